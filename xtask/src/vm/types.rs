//! The types of a kernel that is not running, cut down to what the agent asks for: a few kilobytes that a test can hold
//! against the agent's own search by name.

mod writer;

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use btf_rs::{Btf, BtfType, Struct, Type};
use object::{Object, ObjectSection};
use tracer_ebpf::{FIELDS, Hook};

use self::writer::{Member, VOID, Writer};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is no kernel image with types in it: {reason}")]
    Image { path: PathBuf, reason: String },
    #[error("cannot unpack the kernel with {program}: {source}")]
    Unpack { program: &'static str, source: io::Error },
    #[error("the kernel's types cannot be parsed: {0}")]
    Btf(#[from] btf_rs::Error),
}

/// The types of the kernel in this image, reduced.
pub fn of_image(path: &Path) -> Result<Vec<u8>, Error> {
    let image = fs::read(path).map_err(|source| Error::Read { path: path.to_path_buf(), source })?;
    let wrong = |reason: &str| Error::Image { path: path.to_path_buf(), reason: reason.to_owned() };
    let raw = if image.get(0x202..0x206).is_some_and(|magic| magic == *b"HdrS") || is_bzimage(&image) {
        let payload = payload(&image).ok_or_else(|| wrong("a bzImage without a payload"))?;
        let kernel = unpack(payload).map_err(|error| match error {
            Some((program, source)) => Error::Unpack { program, source },
            None => wrong("packed in a way that Debian's kernels are not"),
        })?;
        let file = object::File::parse(&*kernel).map_err(|error| wrong(&error.to_string()))?;
        let section = file.section_by_name(".BTF").ok_or_else(|| wrong("no section .BTF"))?;
        section.data().map_err(|error| wrong(&error.to_string()))?.to_vec()
    } else {
        plain(&image).ok_or_else(|| wrong("no BTF header"))?.to_vec()
    };
    reduce(&Btf::from_bytes(&raw)?)
}

fn is_bzimage(image: &[u8]) -> bool {
    image.get(0x1fe..0x200) == Some(&[0x55, 0xaa])
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(word)).ok()
}

/// The packed kernel in an x86 image (Documentation/arch/x86/boot.rst): setup_sects, payload_offset, payload_length.
fn payload(image: &[u8]) -> Option<&[u8]> {
    let sectors = match image.get(0x1f1)? {
        0 => 4,
        sectors => usize::from(*sectors),
    };
    let begin = (sectors + 1) * 512 + word(image, 0x248)?;
    // The last four bytes are the size when unpacked.
    image.get(begin..begin + word(image, 0x24c)?.checked_sub(4)?)
}

/// `None`: an unknown packing.
fn unpack(payload: &[u8]) -> Result<Vec<u8>, Option<(&'static str, io::Error)>> {
    let program = match payload.get(..4) {
        Some([0x02, 0x21, 0x4c, 0x18]) => "lz4",
        Some([0x28, 0xb5, 0x2f, 0xfd]) => "zstd",
        _ => return Err(None),
    };
    let mut command = Command::new(program);
    command.args(["-d", "-c", "-q"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let unpacked = command.spawn().and_then(|mut child| {
        let stdin = child.stdin.take();
        thread::scope(|scope| {
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(payload)));
            child.wait_with_output()
        })
    });
    unpacked.map(|output| output.stdout).map_err(|source| Some((program, source)))
}

/// BTF somewhere in an unpacked image: by its header (Documentation/bpf/btf.rst).
fn plain(image: &[u8]) -> Option<&[u8]> {
    let starts =
        image.windows(8).enumerate().filter(|(_, window)| **window == [0x9f, 0xeb, 1, 0, 24, 0, 0, 0]);
    starts.map(|(at, _)| &image[at..]).find_map(|btf| {
        let (type_offset, types, strings, string_bytes) =
            (word(btf, 8)?, word(btf, 12)?, word(btf, 16)?, word(btf, 20)?);
        (type_offset == 0 && types > 0 && strings == types).then(|| btf.get(..24 + strings + string_bytes))?
    })
}

/// Every struct of [`FIELDS`] with all its members, the tracepoints of the hooks, the iterator's target and the reset
/// reasons. What members are made of is kept only as far as a path of [`FIELDS`] leads through it.
fn reduce(btf: &Btf) -> Result<Vec<u8>, Error> {
    let mut reduced = Reduced { btf, writer: Writer::default() };
    let mut containers: Vec<_> = FIELDS.iter().map(|(_, source)| source.container).collect();
    containers.sort_unstable();
    containers.dedup();
    for container in containers {
        let found = btf.resolve_types_by_name(container).unwrap_or_default();
        if let Some(structure) = found.into_iter().find_map(|found| match found {
            Type::Struct(structure) => Some(structure),
            _ => None,
        }) {
            let of_it = FIELDS.iter().filter(|(_, source)| source.container == container);
            let paths: Vec<Vec<&str>> = of_it.map(|(_, source)| source.path.split('.').collect()).collect();
            reduced.structure(&structure, false, &paths);
        }
    }
    for hook in Hook::ALL {
        reduced.tracepoint(&format!("btf_trace_{}", hook.name()));
    }
    reduced.function("bpf_iter_tcp");
    reduced.reasons("sk_rst_reason");
    Ok(reduced.writer.finish())
}

struct Reduced<'a> {
    btf: &'a Btf,
    writer: Writer,
}

impl Reduced<'_> {
    fn structure(&mut self, structure: &Struct, is_union: bool, paths: &[Vec<&str>]) -> u32 {
        let members: Vec<_> = structure
            .members
            .iter()
            .map(|member| {
                let name = self.btf.resolve_name(member).unwrap_or_default();
                let onward: Vec<Vec<&str>> = if name.is_empty() {
                    paths.to_vec()
                } else {
                    let fitting = paths.iter().filter(|path| path.first() == Some(&name.as_str()));
                    fitting.map(|path| path[1..].to_vec()).filter(|path| !path.is_empty()).collect()
                };
                let of = self.member_type(member, &onward);
                Member {
                    name,
                    of,
                    bit_offset: member.bit_offset(),
                    bits: member.bitfield_size().unwrap_or(0),
                }
            })
            .collect();
        let name = self.btf.resolve_name(structure).unwrap_or_default();
        self.writer.structure(&name, structure.size(), is_union, &members)
    }

    /// Its type without typedefs and qualifiers.
    fn member_type(&mut self, member: &dyn BtfType, onward: &[Vec<&str>]) -> u32 {
        let base = self.btf.chained_type_iter(member).find(|found| {
            !matches!(found, Type::Typedef(_) | Type::Const(_) | Type::Volatile(_) | Type::TypeTag(_))
        });
        match base {
            Some(Type::Struct(structure)) => self.aggregate(&structure, false, onward),
            Some(Type::Union(union)) => self.aggregate(&union, true, onward),
            Some(Type::Int(int)) => self.writer.int(int.size()),
            Some(Type::Enum(found)) => self.writer.int(found.size()),
            _ => self.writer.pointer(VOID),
        }
    }

    fn aggregate(&mut self, structure: &Struct, is_union: bool, onward: &[Vec<&str>]) -> u32 {
        if onward.is_empty() {
            // Without a name: an empty struct must not be found in place of the real one.
            return self.writer.structure("", structure.size(), is_union, &[]);
        }
        self.structure(structure, is_union, onward)
    }

    fn tracepoint(&mut self, name: &str) {
        let found = self.btf.resolve_types_by_name(name).unwrap_or_default();
        let Some(typedef) = found.iter().find(|found| matches!(found, Type::Typedef(_))) else { return };
        let Some(typedef) = typedef.as_btf_type() else { return };
        let arguments = self.btf.chained_type_iter(typedef).find_map(|found| match found {
            Type::FuncProto(prototype) => Some(prototype.parameters.len()),
            _ => None,
        });
        if let Some(arguments) = arguments {
            let prototype = self.writer.prototype(arguments);
            let pointer = self.writer.pointer(prototype);
            self.writer.typedef(name, pointer);
        }
    }

    fn function(&mut self, name: &str) {
        let found = self.btf.resolve_types_by_name(name).unwrap_or_default();
        if found.iter().any(|found| matches!(found, Type::Func(_))) {
            let prototype = self.writer.prototype(0);
            self.writer.function(name, prototype);
        }
    }

    fn reasons(&mut self, name: &str) {
        let found = self.btf.resolve_types_by_name(name).unwrap_or_default();
        if let Some(Type::Enum(found)) = found.into_iter().find(|found| matches!(found, Type::Enum(_))) {
            let values = found.members.iter();
            let values: Vec<_> = values
                .filter_map(|member| Some((self.btf.resolve_name(member).ok()?, member.val())))
                .collect();
            self.writer.enumeration(name, &values);
        }
    }
}

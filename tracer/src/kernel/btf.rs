//! Offsets, hooks and enums of the running kernel, from its BTF and by name.

use std::path::{Path, PathBuf};

use btf_rs::{Btf, Struct, Type};
use tracer_ebpf::{FIELDS, MISSING, Source};

use crate::decode;

/// Where the kernel exports its own BTF.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Why BTF could not answer.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The file cannot be read.
    #[error(
        "cannot read the kernel's type information {path}: {source}; the agent needs a kernel built with \
         CONFIG_DEBUG_INFO_BTF=y (look for it in /boot/config-$(uname -r))"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no BTF.
    #[error("the kernel's type information {path} cannot be parsed: {reason}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: btf_rs::Error,
    },
    /// A field without which nothing can be traced.
    #[error(
        "this kernel's type information has no {container}.{path}, which every record needs; please report it with the output of `uname -a`"
    )]
    Field {
        /// The struct.
        container: &'static str,
        /// The member.
        path: &'static str,
    },
}

/// The types of one kernel.
pub struct Types {
    btf: Btf,
}

impl Types {
    /// Parses the types of the running kernel.
    ///
    /// # Errors
    ///
    /// [`BtfError::Read`] without CONFIG_DEBUG_INFO_BTF, [`BtfError::Parse`] on damaged contents.
    pub fn of_running_kernel() -> Result<Self, BtfError> {
        Self::from_file(Path::new(VMLINUX))
    }

    /// Parses raw BTF from a file, for example that of another kernel.
    ///
    /// # Errors
    ///
    /// As [`Types::of_running_kernel`].
    pub fn from_file(path: &Path) -> Result<Self, BtfError> {
        let bytes = std::fs::read(path).map_err(|source| BtfError::Read { path: path.to_owned(), source })?;
        let btf =
            Btf::from_bytes(&bytes).map_err(|reason| BtfError::Parse { path: path.to_owned(), reason })?;
        Ok(Self { btf })
    }

    /// Byte offset of every field of [`FIELDS`], [`MISSING`] where this kernel has none.
    ///
    /// # Errors
    ///
    /// [`BtfError::Field`] when a required field is missing.
    pub fn offsets(&self) -> Result<Vec<u32>, BtfError> {
        FIELDS
            .iter()
            .map(|(_, source)| match self.offset(source) {
                Some(offset) => Ok(offset),
                None if source.required => {
                    Err(BtfError::Field { container: source.container, path: source.path })
                }
                None => Ok(MISSING),
            })
            .collect()
    }

    /// Byte offset of one field; `None` when this kernel has no such field, or only as a bit field.
    #[must_use]
    pub fn offset(&self, field: &Source) -> Option<u32> {
        let mut container = self.structure(field.container)?;
        let mut bits = 0;
        let mut names = field.path.split('.').peekable();
        while let Some(name) = names.next() {
            let (offset, member) = self.member(&container, name)?;
            bits += offset;
            if names.peek().is_some() {
                container = self.as_structure(member)?;
            } else if field.plain && self.as_structure(member).is_some() {
                return None;
            }
        }
        (bits % 8 == 0).then_some(bits / 8)
    }

    /// Bit offset of a bit field that is a direct member of its struct; `None` when this kernel has no such member.
    #[must_use]
    pub fn bit_field(&self, container: &str, name: &str) -> Option<u32> {
        let container = self.structure(container)?;
        let mut members = container.members.iter();
        let is_named = |found: &str| found == name;
        let found =
            members.find(|member| self.btf.resolve_name(*member).is_ok_and(|found| is_named(&found)))?;
        Some(found.bit_offset())
    }

    /// Number of arguments that the BTF tracepoint of this name hands to a program; `None` when there is none.
    #[must_use]
    pub fn tracepoint_arguments(&self, name: &str) -> Option<usize> {
        // `typedef void (*btf_trace_NAME)(void *, ...)`: the first argument is not the program's.
        let typedefs = self.btf.resolve_types_by_name(&format!("btf_trace_{name}")).ok()?;
        let typedef = typedefs.iter().find(|found| matches!(found, Type::Typedef(_)))?;
        self.btf.chained_type_iter(typedef.as_btf_type()?).find_map(|found| match found {
            Type::FuncProto(prototype) => Some(prototype.parameters.len().saturating_sub(1)),
            _ => None,
        })
    }

    /// True when the kernel has a function of this name, as for the target of an iterator (`bpf_iter_tcp`).
    #[must_use]
    pub fn has_function(&self, name: &str) -> bool {
        self.btf
            .resolve_types_by_name(name)
            .is_ok_and(|found| found.iter().any(|found| matches!(found, Type::Func(_))))
    }

    /// Values of an enum, with `prefix` cut from the names; empty when this kernel has no such enum.
    #[must_use]
    pub fn enum_values(&self, name: &str, prefix: &str) -> Vec<(u32, String)> {
        let Ok(types) = self.btf.resolve_types_by_name(name) else { return Vec::new() };
        let Some(found) = types.into_iter().find_map(|found| match found {
            Type::Enum(found) => Some(found),
            _ => None,
        }) else {
            return Vec::new();
        };
        found
            .members
            .iter()
            .filter_map(|member| {
                let name = self.btf.resolve_name(member).ok()?;
                Some((member.val(), name.strip_prefix(prefix).unwrap_or(&name).to_owned()))
            })
            .collect()
    }

    /// What the decoder has to know of this kernel.
    #[must_use]
    pub fn for_decoder(&self) -> decode::Kernel {
        decode::Kernel { reset_reasons: self.enum_values("sk_rst_reason", "SK_RST_REASON_") }
    }

    fn structure(&self, name: &str) -> Option<Struct> {
        self.btf.resolve_types_by_name(name).ok()?.into_iter().find_map(|found| match found {
            Type::Struct(found) => Some(found),
            _ => None,
        })
    }

    /// A member of this name, also inside anonymous structs and unions: its bit offset and its type.
    fn member(&self, container: &Struct, name: &str) -> Option<(u32, Type)> {
        for member in &container.members {
            let found = self.btf.resolve_name(member).unwrap_or_default();
            if found == name {
                if member.bitfield_size().is_some_and(|bits| bits != 0) {
                    return None;
                }
                return Some((member.bit_offset(), self.btf.resolve_chained_type(member).ok()?));
            }
            if found.is_empty()
                && let Some(inner) =
                    self.btf.resolve_chained_type(member).ok().and_then(|inner| self.as_structure(inner))
                && let Some((offset, member_type)) = self.member(&inner, name)
            {
                return Some((member.bit_offset() + offset, member_type));
            }
        }
        None
    }

    /// Looks through typedefs and qualifiers.
    fn as_structure(&self, mut found: Type) -> Option<Struct> {
        loop {
            found = match found {
                Type::Struct(structure) | Type::Union(structure) => return Some(structure),
                Type::Typedef(_) | Type::Const(_) | Type::Volatile(_) | Type::TypeTag(_) => {
                    self.btf.resolve_chained_type(found.as_btf_type()?).ok()?
                }
                _ => return None,
            }
        }
    }
}

impl std::fmt::Debug for Types {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Types").finish_non_exhaustive()
    }
}

//! Writes BTF (Documentation/bpf/btf.rst), little-endian.

use std::collections::HashMap;

/// The type number of nothing.
pub const VOID: u32 = 0;

const INT: u32 = 1;
const PTR: u32 = 2;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const TYPEDEF: u32 = 8;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;

/// A member of a struct or a union.
#[derive(Debug)]
pub struct Member {
    pub name: String,
    /// The number of its type.
    pub of: u32,
    pub bit_offset: u32,
    /// Width of a bit field, else 0.
    pub bits: u32,
}

/// Types in the making. Each method adds one and returns its number; equal ones are added once.
#[derive(Debug, Default)]
pub struct Writer {
    types: Vec<u8>,
    count: u32,
    strings: Vec<u8>,
    offsets: HashMap<String, u32>,
    known: HashMap<Vec<u8>, u32>,
}

impl Writer {
    pub fn int(&mut self, size: usize) -> u32 {
        let bits = u32::try_from(size * 8).unwrap_or(0);
        let name = self.name(&format!("u{bits}"));
        self.add(&[name, INT << 24, bits / 8, bits])
    }

    pub fn pointer(&mut self, to: u32) -> u32 {
        self.add(&[0, PTR << 24, to])
    }

    pub fn structure(&mut self, name: &str, size: usize, is_union: bool, members: &[Member]) -> u32 {
        let kind = if is_union { UNION } else { STRUCT };
        let has_bit_fields = members.iter().any(|member| member.bits != 0);
        let count = u32::try_from(members.len()).unwrap_or(0);
        let info = u32::from(has_bit_fields) << 31 | kind << 24 | count;
        let mut words = vec![self.name(name), info, u32::try_from(size).unwrap_or(0)];
        for member in members {
            let bits = if has_bit_fields { member.bits << 24 } else { 0 };
            words.extend([self.name(&member.name), member.of, bits | member.bit_offset]);
        }
        self.add(&words)
    }

    pub fn enumeration(&mut self, name: &str, values: &[(String, u32)]) -> u32 {
        let count = u32::try_from(values.len()).unwrap_or(0);
        let mut words = vec![self.name(name), ENUM << 24 | count, 4];
        for (name, value) in values {
            words.extend([self.name(name), *value]);
        }
        self.add(&words)
    }

    pub fn typedef(&mut self, name: &str, of: u32) -> u32 {
        let name = self.name(name);
        self.add(&[name, TYPEDEF << 24, of])
    }

    /// A function with so many arguments, of no type in particular.
    pub fn prototype(&mut self, arguments: usize) -> u32 {
        let mut words = vec![0, FUNC_PROTO << 24 | u32::try_from(arguments).unwrap_or(0), VOID];
        let argument = self.pointer(VOID);
        words.extend([0, argument].repeat(arguments));
        self.add(&words)
    }

    pub fn function(&mut self, name: &str, prototype: u32) -> u32 {
        let name = self.name(name);
        self.add(&[name, FUNC << 24, prototype])
    }

    /// Header, types, strings.
    pub fn finish(self) -> Vec<u8> {
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(0);
        // The first string is the empty one.
        let strings = [&[0], self.strings.as_slice()].concat();
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        let header = [24, 0, size(&self.types), size(&self.types), size(&strings)];
        bytes.extend(header.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(self.types);
        bytes.extend(strings);
        bytes
    }

    fn add(&mut self, words: &[u32]) -> u32 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        if let Some(known) = self.known.get(&bytes) {
            return *known;
        }
        self.types.extend(&bytes);
        self.count += 1;
        self.known.insert(bytes, self.count);
        self.count
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        *self.offsets.entry(name.to_owned()).or_insert_with(|| {
            let offset = u32::try_from(self.strings.len() + 1).unwrap_or(0);
            self.strings.extend(name.as_bytes());
            self.strings.push(0);
            offset
        })
    }
}

#[cfg(test)]
mod tests {
    use btf_rs::{Btf, Type};

    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut writer = Writer::default();
        let int = writer.int(4);
        assert_eq!(writer.int(4), int, "once");
        let member =
            |name: &str, bit_offset, bits| Member { name: name.to_owned(), of: int, bit_offset, bits };
        writer.structure("plain", 8, false, &[member("a", 0, 0), member("b", 32, 0)]);
        writer.structure("fields", 4, false, &[member("low", 0, 3), member("high", 3, 29)]);
        writer.enumeration("reasons", &[("ONE".to_owned(), 1)]);
        let prototype = writer.prototype(3);
        let pointer = writer.pointer(prototype);
        writer.typedef("btf_trace_x", pointer);

        let btf = Btf::from_bytes(&writer.finish()).unwrap();
        let one = |name: &str| btf.resolve_types_by_name(name).unwrap().remove(0);
        let Type::Struct(plain) = one("plain") else { panic!("no struct") };
        let offsets: Vec<_> = plain.members.iter().map(btf_rs::Member::bit_offset).collect();
        assert_eq!((plain.size(), offsets), (8, vec![0, 32]));
        let Type::Struct(fields) = one("fields") else { panic!("no struct") };
        assert_eq!(fields.members[1].bitfield_size(), Some(29));
        let Type::Typedef(typedef) = one("btf_trace_x") else { panic!("no typedef") };
        let prototype = btf.chained_type_iter(&typedef).find_map(|found| match found {
            Type::FuncProto(prototype) => Some(prototype.parameters.len()),
            _ => None,
        });
        assert_eq!(prototype, Some(3));
    }
}

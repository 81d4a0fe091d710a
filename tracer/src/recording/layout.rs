//! The layout of a record, for whoever reads recordings with other means.

use serde::{Deserialize, Serialize};
use tracer_ebpf::{RECORD_VERSION, Record};

/// How records are laid out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Changes whenever the layout or the meaning does.
    pub version: u32,
    /// Bytes of one record.
    pub size: usize,
    /// `little` or `big`.
    pub byte_order: String,
    /// Its fields.
    pub fields: Vec<FieldLayout>,
}

/// One field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldLayout {
    /// Its name.
    pub name: String,
    /// Bytes before it.
    pub offset: usize,
    /// Its type, as Rust spells it.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Layout {
    /// What this program writes and reads.
    #[must_use]
    pub fn own() -> Self {
        let byte_order = if cfg!(target_endian = "big") { "big" } else { "little" };
        Self {
            version: RECORD_VERSION,
            size: Record::SIZE,
            byte_order: byte_order.to_owned(),
            fields: fields(),
        }
    }

    /// True when records of this layout are what the decoder takes.
    #[must_use]
    pub fn is_own(&self) -> bool {
        let own = Self::own();
        (self.version, self.size, &self.byte_order) == (own.version, own.size, &own.byte_order)
    }
}

/// A record as its bytes: for whoever makes records without a kernel.
#[must_use]
pub const fn bytes(record: &Record) -> [u8; Record::SIZE] {
    // SAFETY: a Record is integers without padding, so every byte of it is initialised.
    unsafe { std::mem::transmute_copy(record) }
}

/// The record in these bytes; `None` when they are more or fewer than a record has.
#[must_use]
pub fn record(bytes: &[u8]) -> Option<Record> {
    // SAFETY: the length was checked, and a Record is integers only, so that any bytes make a valid one.
    (bytes.len() == Record::SIZE).then(|| unsafe { bytes.as_ptr().cast::<Record>().read_unaligned() })
}

macro_rules! fields {
    ($($name:ident: $kind:ty),* $(,)?) => {
        fn fields() -> Vec<FieldLayout> {
            // A field that is missing here, or of another type, does not compile.
            let Record { $($name: _),* } = Record::EMPTY;
            $(let _: $kind = Record::EMPTY.$name;)*
            vec![$(FieldLayout {
                name: stringify!($name).to_owned(),
                offset: std::mem::offset_of!(Record, $name),
                kind: stringify!($kind).to_owned(),
            }),*]
        }
    };
}

fields! {
    time_ns: u64, cookie: u64, socket: u64, netns: u64, task: u64, detail: u64,
    comm: [u8; 16], local: [u8; 16], remote: [u8; 16],
    sock_flags: u32, una: u32, nxt: u32, write_seq: u32, rcv_nxt: u32, copied_seq: u32, window: u32, srtt_us: u32,
    retransmits: u32, lingertime: u32, linger2: i32, err: i32, err_soft: i32,
    protocol: u16, family: u16, local_port: u16, remote_port: u16, cpu: u16,
    hook: u8, copy: u8, from: u8, to: u8, shutdown: u8, bits: u8,
    reason: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_fill_the_record() {
        let Layout { fields, size, .. } = Layout::own();
        let mut end = 0;
        for field in &fields {
            assert_eq!(field.offset, end, "{}", field.name);
            end += match field.kind.as_str() {
                "u64" => 8,
                "[u8; 16]" => 16,
                "u32" | "i32" => 4,
                "u16" => 2,
                "u8" => 1,
                other => panic!("a field of type {other}"),
            };
        }
        assert_eq!(end, size);
    }

    #[test]
    fn bytes_are_where_the_layout_says() {
        let record = Record { cookie: 0x0102_0304_0506_0708, reason: 9, ..Record::EMPTY };
        let bytes = bytes(&record);
        assert_eq!(bytes[8..16], record.cookie.to_ne_bytes());
        assert_eq!(bytes[Record::SIZE - 4..], record.reason.to_ne_bytes());
    }
}

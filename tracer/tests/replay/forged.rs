//! Checksums keep damage out of recordings; whoever makes files by hand can put anything into them. Every sink bears it.

use std::{
    fs::File,
    io::{self, BufReader},
    path::Path,
};

use proptest::prelude::*;
use serde_json::Value;
use tracer::{
    anchor::Anchor,
    decode::Malformed,
    judge::{Audience, Input, Loss},
    kernel::counts::Fate,
    recording::{
        Entry, Header, Reader,
        entry::{Encoder, Entries, Unwritten},
        frame::Packer,
        layout,
    },
    replay::{self, Listener, Trouble},
    sink::{
        metrics::Metrics,
        rows::{self, Rows},
        stream::{Format, Selection, Stream, Table},
        summary::Summary,
    },
    step::Finding,
};
use tracer_ebpf::{Hook, Record};

use crate::{recordings::summary_of, tape};

/// Frames that are taken from the recording: all of them would take long.
const FRAMES: usize = 3;

/// Every sink at once.
struct Everyone {
    summary: Summary,
    rows: Rows,
    metrics: Metrics,
    table: Stream<io::Sink>,
    json: Stream<io::Sink>,
}

impl Everyone {
    fn new(header: &Header) -> Self {
        let all = || Selection { all: true, ..Selection::default() };
        let stream = |format| {
            let mut stream = Stream::new(io::sink(), format, all(), header.begun);
            stream.start(header.begun, &header.decoder());
            stream
        };
        Self {
            summary: Summary::default(),
            rows: Rows::create(Path::new("/dev/null"), rows::Format::Jsonl).unwrap(),
            metrics: Metrics::new(&header.decoder()).unwrap(),
            table: stream(Format::Table(Table { width: 160, color: true })),
            json: stream(Format::Json),
        }
    }
}

impl Audience for Everyone {
    fn finding(&mut self, finding: &Finding<'_>) {
        self.summary.finding(finding);
        self.rows.finding(finding);
        self.metrics.record(finding);
        self.table.finding(finding);
        self.json.finding(finding);
    }

    fn malformed(&mut self, reason: &Malformed, hook: Option<Hook>) {
        self.summary.malformed(reason, hook);
        self.metrics.invalid(hook);
    }
}

impl Listener for Everyone {
    fn stream(&mut self, header: &Header) {
        self.summary.stream(header);
        self.rows.stream(header);
    }

    fn entry(&mut self, entry: &Entry<'_>) {
        self.summary.entry(entry);
        self.rows.entry(entry);
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.summary.trouble(trouble);
    }
}

/// Through every sink, to the end.
fn everyone(bytes: &[u8]) -> Summary {
    let reader = Reader::new(bytes, Path::new("bytes")).unwrap();
    let mut everyone = Everyone::new(reader.header());
    replay::streams(vec![reader], &mut everyone);
    let Everyone { summary, rows, metrics, table, json } = everyone;
    rows.finish().unwrap();
    table.finish().unwrap();
    json.finish().unwrap();
    assert!(!metrics.registry().gather().is_empty());
    serde_json::to_string(&summary).unwrap();
    summary
}

fn recording() -> Reader<BufReader<File>> {
    Reader::open(&tape::path()).unwrap()
}

/// A file of these entries, with these frames.
fn file(header: &Header, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut packer = Packer::new().unwrap();
    let mut bytes = header.encode().unwrap();
    for (place, entries) in (0..).zip(frames) {
        bytes.extend(packer.pack(header.first_frame.wrapping_add(place), entries).unwrap());
    }
    bytes
}

/// A number where things end.
fn edge() -> impl Strategy<Value = u64> {
    let half = 1 << 63;
    prop::sample::select(vec![0, 1, u64::from(u32::MAX), half - 1, half, u64::MAX - 1, u64::MAX])
}

/// An entry that is nothing but numbers.
fn numbers() -> impl Strategy<Value = Entry<'static>> {
    let hook = prop::sample::select(Hook::ALL.to_vec());
    (0..9, hook, prop::array::uniform5(edge())).prop_map(|(kind, hook, [one, two, three, four, five])| {
        let half = |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap();
        match kind {
            0 => Entry::Input(Input::Lost(Loss { hook, until: one, ring_full: two, missed: three })),
            1 => Entry::Input(Input::Flush(one)),
            2 => Entry::Input(Input::Listing),
            3 => Entry::Input(Input::Walked(one)),
            4 => Entry::Input(Input::Complete(one)),
            5 => Entry::Anchor(Anchor { monotonic_ns: one, wall_ns: two.cast_signed() }),
            6 => Entry::Listing { namespaces: half(one), problems: half(two) },
            7 => Entry::Unwritten(Unwritten { records: one, until: two }),
            _ => Entry::Fate(
                hook,
                Fate { delivered: one, filtered: two, ring_full: three, missed: four, recovered: five },
            ),
        }
    })
}

/// A record's number, at its place and in its width, becomes this one.
fn put(record: &mut [u8; Record::SIZE], field: prop::sample::Index, number: u64) {
    let fields = layout::Layout::own().fields;
    let at = field.index(fields.len());
    let end = fields.get(at + 1).map_or(Record::SIZE, |next| next.offset);
    for (place, byte) in record[fields[at].offset..end].iter_mut().zip(number.to_le_bytes().iter().cycle()) {
        *place = *byte;
    }
}

/// Each number of a JSON value, in order, is given to `change`.
fn numbers_of(value: &mut Value, change: &mut impl FnMut(&mut Value)) {
    match value {
        Value::Number(_) => change(value),
        Value::Array(items) => items.iter_mut().for_each(|item| numbers_of(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| numbers_of(field, change)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[test]
fn sums_stay_at_the_largest_number_there_is() {
    let header = recording().header().clone();
    let loss = Loss { hook: Hook::Destroy, until: 1, ring_full: u64::MAX, missed: u64::MAX };
    let gap = Unwritten { records: u64::MAX, until: u64::MAX };
    let mut encoder = Encoder::default();
    for _ in 0..2 {
        encoder.push(&Entry::Input(Input::Lost(loss)));
        encoder.push(&Entry::Unwritten(gap));
    }
    let summary = everyone(&file(&header, &[encoder.take()]));
    assert_eq!((summary.lost[Hook::Destroy.name()], summary.unwritten), (u64::MAX, u64::MAX));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_of_a_frame_are_borne(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        noise in prop::collection::vec(any::<u8>(), 0..600),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut reader = recording();
        let mut frames = Vec::new();
        for _ in 0..FRAMES {
            let mut entries = reader.next_frame().unwrap().unwrap().entries;
            for (at, byte) in &changes {
                let at = at.index(entries.len());
                entries[at] = *byte;
            }
            frames.push(entries);
        }
        prop_assert!(everyone(&file(reader.header(), &frames)).records < 10_000);
        frames.push(noise);
        let forged = file(reader.header(), &frames);
        let _ = everyone(&forged);
        let _ = summary_of(&forged[..cut.index(forged.len() + 1)]);
    }

    /// Numbers as large as they get, in records and between them.
    #[test]
    fn extreme_numbers_are_borne(
        records in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), edge()), 0..40),
        between in prop::collection::vec((any::<prop::sample::Index>(), numbers()), 1..20),
    ) {
        let mut reader = recording();
        let mut encoder = Encoder::default();
        let entries = reader.next_frame().unwrap().unwrap().entries;
        let mut all = Vec::new();
        let mut rest = Entries::new(&entries);
        while let Some(entry) = rest.next_entry().unwrap() {
            all.push(entry);
        }
        for (place, entry) in all.iter().enumerate() {
            match entry {
                Entry::Input(Input::Record(bytes)) => {
                    let mut record: [u8; Record::SIZE] = (*bytes).try_into().unwrap();
                    for (_, field, number) in records.iter().filter(|(at, ..)| at.index(all.len()) == place) {
                        put(&mut record, *field, *number);
                    }
                    encoder.push(&Entry::Input(Input::Record(&record)));
                }
                other => encoder.push(other),
            }
            for (_, entry) in between.iter().filter(|(at, _)| at.index(all.len()) == place) {
                encoder.push(entry);
            }
        }
        let summary = everyone(&file(reader.header(), &[encoder.take()]));
        prop_assert!(!summary.is_whole(), "the rest of the recording is missing");
    }

    #[test]
    fn extreme_numbers_in_a_header_are_an_error_or_borne(
        changes in prop::collection::vec((any::<prop::sample::Index>(), edge()), 1..6),
    ) {
        let mut reader = recording();
        let entries = reader.next_frame().unwrap().unwrap().entries;
        let mut header = serde_json::to_value(reader.header()).unwrap();
        let mut count = 0;
        numbers_of(&mut header, &mut |_| count += 1);
        for (at, number) in changes {
            let mut place = 0;
            numbers_of(&mut header, &mut |value| {
                if place == at.index(count) {
                    *value = number.into();
                }
                place += 1;
            });
        }
        if let Ok(header) = serde_json::from_value::<Header>(header) {
            let bytes = file(&header, &[entries]);
            match Reader::new(bytes.as_slice(), Path::new("bytes")) {
                Ok(_) => drop(everyone(&bytes)),
                Err(error) => prop_assert!(error.to_string().contains("bytes")),
            }
        }
    }
}

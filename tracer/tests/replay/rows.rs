//! Recordings as rows, read again by others.

use std::{collections::BTreeMap, fs::File, io::BufRead, path::PathBuf, process::Command};

use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, RowAccessor},
};
use serde_json::Value;

use crate::tape;

fn convert(format: &str) -> PathBuf {
    let file = std::env::temp_dir().join(format!("tcp-tracer-rows-{}.{format}", std::process::id()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcp-tracer"));
    let status =
        command.arg("convert").arg(tape::path()).args(["--to", format, "-o"]).arg(&file).output().unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    file
}

#[test]
fn both_formats_hold_the_same_rows_with_types_that_engines_know() {
    let (jsonl, parquet) = (convert("jsonl"), convert("parquet"));
    let lines = std::io::BufReader::new(File::open(&jsonl).unwrap()).lines();
    let objects: Vec<Value> = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let reader = SerializedFileReader::new(File::open(&parquet).unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let kinds: BTreeMap<_, _> = schema
        .columns()
        .iter()
        .map(|column| (column.name().to_owned(), format!("{:?}", column.logical_type_ref())))
        .collect();
    assert!(kinds["timestamp"].contains("NANOS") && kinds["timestamp"].contains("true"), "{kinds:?}");
    assert!(kinds["cookie"].contains("64") && kinds["local_port"].contains("16"), "{kinds:?}");
    assert!(kinds["local_address"].contains("String"), "{kinds:?}");

    let place = |name: &str| schema.columns().iter().position(|column| column.name() == name).unwrap();
    let mut rows = 0;
    for (row, object) in reader.get_row_iter(None).unwrap().zip(&objects) {
        let row = row.unwrap();
        let (kind, cookie) =
            (row.get_string(place("kind")).unwrap(), row.get_ulong(place("cookie")).unwrap());
        assert_eq!(
            (kind.as_str(), cookie),
            (object["kind"].as_str().unwrap(), object["cookie"].as_u64().unwrap())
        );
        let columns: BTreeMap<_, _> = row.get_column_iter().collect();
        for (name, column) in columns {
            match (&object[name], column) {
                (Value::Null, Field::Null) => {}
                (Value::String(text), Field::Str(found)) => assert_eq!(text, found, "{name}"),
                (Value::Bool(value), Field::Bool(found)) => assert_eq!(value, found, "{name}"),
                (Value::Number(number), Field::ULong(found)) => {
                    assert_eq!(number.as_u64(), Some(*found), "{name}");
                }
                (Value::Number(number), Field::UInt(found)) => {
                    assert_eq!(number.as_u64(), Some(u64::from(*found)), "{name}");
                }
                (Value::Number(number), Field::UShort(found)) => {
                    assert_eq!(number.as_u64(), Some(u64::from(*found)), "{name}");
                }
                (Value::Number(number), Field::Double(found)) => {
                    assert_eq!(number.as_f64(), Some(*found), "{name}");
                }
                (
                    Value::String(time),
                    Field::TimestampMillis(_) | Field::TimestampMicros(_) | Field::Long(_),
                ) => {
                    assert!(name == "timestamp" && time.ends_with('Z'), "{name}: {time}");
                }
                (json, parquet) => panic!("{name}: {json} and {parquet:?}"),
            }
        }
        rows += 1;
    }
    assert_eq!(rows, objects.len());
    let transitions = objects.iter().filter(|object| object["kind"] == "transition").count();
    assert_eq!(transitions, 3449);
    for file in [jsonl, parquet] {
        std::fs::remove_file(file).unwrap();
    }
}

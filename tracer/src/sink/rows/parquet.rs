//! Apache Parquet. Written column by column, without Arrow: it would be the largest dependency of all, for a table that
//! is made row by row anyway.

use std::{fs::File, sync::Arc};

use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel},
    column::writer::ColumnWriter,
    data_type::ByteArray,
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::Type,
};

use super::{COLUMNS, Kind, Row, RowError, Value};

/// Rows of a group: what is in memory at once.
const GROUP: usize = 1 << 16;

#[derive(Debug)]
pub(super) struct Table {
    writer: SerializedFileWriter<File>,
    columns: Vec<Column>,
    rows: usize,
}

/// The values of a column in this group; a level for every row: 1 where there is a value.
#[derive(Debug)]
struct Column {
    values: Values,
    levels: Vec<i16>,
}

#[derive(Debug)]
enum Values {
    Wide(Vec<i64>),
    Narrow(Vec<i32>),
    Real(Vec<f64>),
    Flag(Vec<bool>),
    Text(Vec<ByteArray>),
}

impl Table {
    pub(super) fn new(file: File) -> Result<Self, RowError> {
        let fields = COLUMNS.iter().map(|(name, kind)| field(name, *kind)).collect::<Result<_, _>>()?;
        let schema = Type::group_type_builder("finding").with_fields(fields).build()?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
            .set_created_by(format!("tcp-tracer {}", env!("CARGO_PKG_VERSION")))
            .build();
        let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?;
        Ok(Self { writer, columns: COLUMNS.iter().map(|(_, kind)| Column::new(*kind)).collect(), rows: 0 })
    }

    pub(super) fn row(&mut self, row: &Row) -> Result<(), RowError> {
        row.values(|column, value| self.columns[column].push(value));
        self.rows += 1;
        if self.rows == GROUP { self.group() } else { Ok(()) }
    }

    fn group(&mut self) -> Result<(), RowError> {
        if std::mem::take(&mut self.rows) == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for column in &mut self.columns {
            let Some(mut writer) = group.next_column()? else {
                return Err(ParquetError::General("a column without a place".to_owned()).into());
            };
            column.write(writer.untyped())?;
            writer.close()?;
        }
        group.close()?;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(), RowError> {
        self.group()?;
        self.writer.close()?;
        Ok(())
    }
}

fn field(name: &str, kind: Kind) -> Result<Arc<Type>, ParquetError> {
    let unsigned = |bit_width| Some(LogicalType::integer(bit_width, false));
    let (physical, logical) = match kind {
        Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
        Kind::U64 => (Physical::INT64, unsigned(64)),
        Kind::U32 => (Physical::INT32, unsigned(32)),
        Kind::U16 => (Physical::INT32, unsigned(16)),
        Kind::Seconds => (Physical::DOUBLE, None),
        Kind::Flag => (Physical::BOOLEAN, None),
        Kind::Name | Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
        .map(Arc::new)
}

impl Column {
    const fn new(kind: Kind) -> Self {
        let values = match kind {
            Kind::Time | Kind::U64 => Values::Wide(Vec::new()),
            Kind::U32 | Kind::U16 => Values::Narrow(Vec::new()),
            Kind::Seconds => Values::Real(Vec::new()),
            Kind::Flag => Values::Flag(Vec::new()),
            Kind::Name | Kind::Text => Values::Text(Vec::new()),
        };
        Self { values, levels: Vec::new() }
    }

    fn push(&mut self, value: Option<Value<'_>>) {
        self.levels.push(value.is_some().into());
        match (&mut self.values, value) {
            (Values::Wide(values), Some(Value::Wide(value))) => values.push(value),
            (Values::Narrow(values), Some(Value::Narrow(value))) => values.push(value),
            (Values::Real(values), Some(Value::Real(value))) => values.push(value),
            (Values::Flag(values), Some(Value::Flag(value))) => values.push(value),
            (Values::Text(values), Some(Value::Text(value))) => values.push(value.into()),
            (_, other) => debug_assert_eq!(other, None, "a column and its values come from one table"),
        }
    }

    fn write(&mut self, writer: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = Some(self.levels.as_slice());
        match (&mut self.values, writer) {
            (Values::Wide(values), ColumnWriter::Int64ColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            (Values::Narrow(values), ColumnWriter::Int32ColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            (Values::Real(values), ColumnWriter::DoubleColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            (Values::Flag(values), ColumnWriter::BoolColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            (Values::Text(values), ColumnWriter::ByteArrayColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            _ => return Err(ParquetError::General("a column of another type than its schema".to_owned())),
        }
        self.levels.clear();
        Ok(())
    }
}

//! One JSON object per line.

use std::{
    fs::File,
    io::{BufWriter, Write},
};

use super::{Row, RowError};

#[derive(Debug)]
pub(super) struct Lines(BufWriter<File>);

impl Lines {
    pub(super) fn new(file: File) -> Self {
        Self(BufWriter::with_capacity(1 << 20, file))
    }

    pub(super) fn row(&mut self, row: &Row) -> Result<(), RowError> {
        serde_json::to_writer(&mut self.0, row)?;
        self.0.write_all(b"\n")?;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(), RowError> {
        Ok(self.0.flush()?)
    }
}

//! Tables: for eyes, for programs, and for documents.

use serde_json::{Map, Value};

/// How a table is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// Columns for eyes.
    Table,
    /// One JSON array of objects.
    Json,
    /// For a document.
    Markdown,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its title, and in lower case its key in JSON.
    title: &'static str,
    /// The most columns of the screen it takes.
    widest: usize,
    /// False for what only programs want.
    shown: bool,
}

impl Column {
    /// A column that is as wide as its longest cell.
    pub const fn new(title: &'static str) -> Self {
        Self { title, widest: usize::MAX, shown: true }
    }

    /// A column whose longer cells are wrapped.
    pub const fn wrapped(title: &'static str, widest: usize) -> Self {
        Self { title, widest, shown: true }
    }

    /// A column in JSON only.
    pub const fn hidden(title: &'static str) -> Self {
        Self { title, widest: usize::MAX, shown: false }
    }

    fn key(self) -> String {
        self.title.to_ascii_lowercase().replace(' ', "_")
    }
}

/// Columns and rows; every row has a cell for every column.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
}

impl Table {
    /// A table. The last shown column takes the room that the others leave.
    pub fn new(columns: Vec<Column>, rows: Vec<Vec<Value>>) -> Self {
        Self { columns, rows }
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Keeps the rows in which every word occurs, in whatever case.
    #[must_use]
    pub fn containing(mut self, words: &[String]) -> Self {
        self.rows.retain(|row| {
            let text = row.iter().map(text).collect::<Vec<_>>().join("\n").to_lowercase();
            words.iter().all(|word| text.contains(&word.to_lowercase()))
        });
        self
    }

    /// The table as a text that ends with a newline.
    pub fn print(&self, output: Output, width: usize) -> String {
        match output {
            Output::Table => self.plain(width),
            Output::Json => format!("{:#}\n", self.json()),
            Output::Markdown => self.markdown(),
        }
    }

    fn json(&self) -> Value {
        let object = |row: &Vec<Value>| {
            let cells = self.columns.iter().map(|column| column.key()).zip(row.iter().cloned());
            Value::Object(cells.collect::<Map<_, _>>())
        };
        Value::Array(self.rows.iter().map(object).collect())
    }

    /// Each shown column and its cells.
    fn shown(&self) -> Vec<(Column, Vec<String>)> {
        let columns = self.columns.iter().enumerate().filter(|(_, column)| column.shown);
        let cells =
            |at: usize| self.rows.iter().map(|row| row.get(at).map(text).unwrap_or_default()).collect();
        columns.map(|(at, column)| (*column, cells(at))).collect()
    }

    fn markdown(&self) -> String {
        let shown = self.shown();
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut page = line(shown.iter().map(|(column, _)| column.title.to_owned()).collect());
        page += &line(shown.iter().map(|_| "---".to_owned()).collect());
        for row in 0..self.rows.len() {
            let cell = |(_, cells): &(Column, Vec<String>)| {
                cells.get(row).map(|text| text.replace('|', "\\|").replace('<', "&lt;")).unwrap_or_default()
            };
            page += &line(shown.iter().map(cell).collect());
        }
        page
    }

    fn plain(&self, width: usize) -> String {
        let shown = self.shown();
        let mut left = width;
        let mut widths = Vec::new();
        for (at, (column, cells)) in shown.iter().enumerate() {
            let room = if at + 1 == shown.len() { left } else { column.widest };
            let title = column.title.chars().count();
            let longest = |text: &String| lines(text, room).iter().map(|line| line.chars().count()).max();
            let room = cells.iter().filter_map(longest).max().unwrap_or(0).max(title);
            widths.push(room);
            left = left.saturating_sub(room + GAP);
        }
        let mut page = String::new();
        let titles: Vec<_> = shown.iter().map(|(column, _)| vec![column.title.to_uppercase()]).collect();
        print_row(&mut page, &titles, &widths);
        for row in 0..self.rows.len() {
            let cell = |((_, cells), width): (&(Column, Vec<String>), &usize)| {
                lines(cells.get(row).map(String::as_str).unwrap_or_default(), *width)
            };
            let cells: Vec<_> = shown.iter().zip(&widths).map(cell).collect();
            print_row(&mut page, &cells, &widths);
        }
        page
    }
}

/// Between columns.
const GAP: usize = 2;

fn print_row(page: &mut String, cells: &[Vec<String>], widths: &[usize]) {
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    for line in 0..height {
        let mut row = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            let text = cell.get(line).map(String::as_str).unwrap_or_default();
            row += &format!("{text:<width$}{:GAP$}", "");
        }
        page.push_str(row.trim_end());
        page.push('\n');
    }
}

/// `text` in lines of at most `width`; a longer word stays whole.
fn lines(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_ascii_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A cell for eyes.
fn text(cell: &Value) -> String {
    match cell {
        Value::Null => "-".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(cells) if cells.is_empty() => "-".to_owned(),
        Value::Array(cells) => cells.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Column, Output, Table};

    fn table() -> Table {
        let columns = vec![
            Column::new("Name"),
            Column::wrapped("Seen in", 8),
            Column::hidden("Id"),
            Column::new("Text"),
        ];
        Table::new(
            columns,
            vec![
                vec!["one".into(), json!(["wire", "fields"]), 1.into(), "some words that are long".into()],
                vec!["two".into(), json!([]), 2.into(), "a|b".into()],
            ],
        )
    }

    #[test]
    fn cells_are_wrapped_and_hidden_columns_are_not_shown() {
        let expected = "NAME  SEEN IN  TEXT\none   wire,    some words\n      fields   that are long\ntwo   -        a|b\n";
        assert_eq!(table().print(Output::Table, 28), expected);
    }

    #[test]
    fn json_has_every_column_and_keeps_the_types() {
        let value: serde_json::Value = serde_json::from_str(&table().print(Output::Json, 80)).unwrap();
        let first = json!({"name": "one", "seen_in": ["wire", "fields"], "id": 1, "text": "some words that are long"});
        assert_eq!(value[0], first);
    }

    #[test]
    fn markdown_escapes_its_bars() {
        let page = table().print(Output::Markdown, 80);
        assert!(page.starts_with("| Name | Seen in | Text |\n| --- | --- | --- |\n| one |"), "{page}");
        assert!(page.ends_with("| two | - | a\\|b |\n"), "{page}");
    }

    #[test]
    fn every_word_must_occur() {
        let found = |words: &[&str]| {
            table().containing(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()).rows.len()
        };
        assert_eq!(found(&[]), 2);
        assert_eq!(found(&["WIRE", "words"]), 1);
        assert_eq!(found(&["wire", "two"]), 0);
    }
}

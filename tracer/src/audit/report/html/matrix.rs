//! The matrix as a picture: a panel for each state, a row for each flag set, a column for each position.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{badge, link};
use crate::audit::report::{
    cells::Place,
    model::{Answer, Grid, Matrix, Outcome, Report},
    words::{Counts, counted, several, thousands},
};

/// A cell with its gap, its ink, and the gap between groups of columns and of rows.
const CELL: usize = 8;
const INK: usize = 7;
const GROUP: usize = 5;
/// Width of a letter of a label.
const LETTER: usize = 6;
const LETTERS: usize = 16;

/// How many kinds of answers the table shows.
const SHOWN: usize = 60;

pub(super) fn section(report: &Report, matrix: &Matrix) -> Markup {
    let Matrix { states, flags, seqs, acks, texts, answers: _, grids } = matrix;
    html! {
        section #matrix {
            h2 { "Matrix" }
            p.lead {
                "In each of " (states.len()) " states, each of " (flags.len()) " flag sets arrived from each position in sequence space, with each acknowledgment, with and without text. "
                "The model says what has to come of it; a square is what the kernel did."
            }
            (legend(matrix))
            p.of {
                "Groups of columns: where the segment begins (" (seqs.join(", ")) "). Columns in a group: what it acknowledges ("
                (acks.join(", ")) "). Rows: the flags; rows in a group: octets of text ("
                @for (at, text) in texts.iter().enumerate() { @if at > 0 { ", " } (text) }
                "). Point at a square to see the answer."
            }
            // Panels may shrink a little to stand side by side.
            @let width = (room(flags) + seqs.len() * (acks.len() * CELL + GROUP)) * 4 / 5;
            @for grid in grids {
                @let (states, remark) = shown(matrix, grid);
                h3 { (grid.family.label()) span.of { (remark) } }
                div.panels style={ "--width:" (width) "px" } { @for state in states { (panel(matrix, grid, state)) } }
            }
            (answers(report, matrix))
        }
    }
}

/// How many cells have an answer.
fn ran(matrix: &Matrix, grid: &Grid) -> usize {
    grid.cells.iter().filter(|cell| matrix.answer(**cell).is_some()).count()
}

/// The states of which a grid has panels, and a remark on it: of all, or where another family is pictured already, of
/// those in which it differs.
fn shown(matrix: &Matrix, grid: &Grid) -> (Vec<usize>, String) {
    let count = several(ran(matrix, grid) as u64, "cell", "cells");
    let first = match matrix.grids.first() {
        Some(first) if first.family != grid.family => first,
        _ => return ((0..matrix.states.len()).collect(), count),
    };
    let pairs = first.cells.iter().zip(&grid.cells).enumerate();
    let other = pairs.filter(|(_, (one, other))| matrix.answer(**one) != matrix.answer(**other));
    let mut states: Vec<_> = other.map(|(index, _)| matrix.place(index).state).collect();
    let differ = states.len() as u64;
    states.dedup();
    let than = first.family.label();
    let remark = match differ {
        0 => format!("{count}, every one as over {than}"),
        1 => format!("{count}; one answers otherwise than over {than}, in this state"),
        _ => format!("{count}; {} answer otherwise than over {than}, in these states", thousands(differ)),
    };
    (states, remark)
}

/// The colours: what the kernel answered where that is right, and else how it ended.
const COLOURS: [(&str, &str); 7] = [
    ("silent", "right: no answer"),
    ("answered", "right: an answer"),
    ("reset", "right: a reset"),
    ("deviation", "known deviation"),
    ("inconclusive", "inconclusive"),
    ("fail", "unexplained"),
    ("error", "error"),
];

fn colour(answer: &Answer) -> &'static str {
    match answer.outcome {
        Outcome::Pass if answer.sent == "-" || answer.sent.is_empty() => "silent",
        Outcome::Pass if answer.sent.contains("RST") => "reset",
        Outcome::Pass => "answered",
        Outcome::Deviation | Outcome::Inconclusive | Outcome::Fail | Outcome::Error => answer.outcome.name(),
    }
}

fn legend(matrix: &Matrix) -> Markup {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut empty = 0;
    for cell in matrix.grids.iter().flat_map(|grid| &grid.cells) {
        match matrix.answer(*cell) {
            Some(answer) => *counts.entry(colour(answer)).or_default() += 1,
            None => empty += 1,
        }
    }
    html! {
        p.keys {
            @for (class, words) in COLOURS {
                @if let Some(count) = counts.get(class) {
                    span { i class={ "key " (class) } {} (words) " " b { (thousands(*count as u64)) } }
                }
            }
            @if empty > 0 {
                span { i.key.empty {} "cannot be reached, or did not run " b { (thousands(empty)) } }
            }
        }
    }
}

/// The squares of one state.
fn panel(matrix: &Matrix, grid: &Grid, state: usize) -> Markup {
    let Matrix { states, flags, seqs, acks, texts, .. } = matrix;
    let each = matrix.size() / states.len().max(1);
    let cells = grid.cells.get(state * each..(state + 1) * each).unwrap_or_default();
    let mut paths: BTreeMap<u32, Squares> = BTreeMap::new();
    let mut counts = Counts::default();
    let column = acks.len() * CELL + GROUP;
    let row = texts.len() * CELL + GROUP;
    let (left, top) = (room(flags), room(seqs));
    // Row by row, so that equal neighbours become one line.
    for index in 0..cells.len() {
        let Place { flags, seq, ack, text, .. } = matrix.place(index);
        let Some(cell) = cells.get(index).copied().flatten() else { continue };
        let Some(answer) = matrix.answer(Some(cell)) else { continue };
        *counts.cells.entry(answer.outcome).or_default() += 1;
        let (x, y) = (left + seq * column + ack * CELL, top + flags * row + text * CELL + CELL / 2);
        paths.entry(cell).or_default().add(x, y);
    }
    let (width, height) = (left + seqs.len() * column, top + flags.len() * row);
    let name = states.get(state).map_or("", String::as_str);
    html! {
        figure.panel {
            figcaption { b { (name) } " " span { (counted(&counts.cells)) @if counts.cells.is_empty() { "did not run" } } }
            svg viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height) role="img" aria-label={ "What comes of each segment in " (name) } {
                @for (at, seq) in seqs.iter().enumerate() {
                    @let x = left + at * column + acks.len() * CELL / 2 + 3;
                    text transform={ "translate(" (x) " " (top - 5) ")rotate(-90)" } { (short(seq)) }
                }
                @for (at, flags) in flags.iter().enumerate() {
                    text.end x=(left - 7) y=(top + at * row + texts.len() * CELL / 2 + 3) { (short(flags)) }
                    path.ground d={ "M" (left) " " (top + at * row + texts.len() * CELL / 2) "h" (seqs.len() * column - GROUP) }
                        stroke-width=(texts.len() * CELL) {}
                }
                @for (cell, squares) in paths {
                    @if let Some(answer) = matrix.answer(Some(cell)) {
                        path class={ "sq " (colour(answer)) } d=(squares.path()) { title { (said(answer)) } }
                    }
                }
            }
        }
    }
}

fn said(answer: &Answer) -> String {
    let Answer { outcome, sent, state, note } = answer;
    let sent = if sent == "-" || sent.is_empty() { "no answer" } else { sent };
    let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
    format!("{outcome}: {sent}, then {state}{note}")
}

fn short(label: &str) -> String {
    if label.chars().count() <= LETTERS {
        return label.to_owned();
    }
    label.chars().take(LETTERS - 1).chain(['…']).collect()
}

/// Room for the longest of these labels.
fn room(labels: &[String]) -> usize {
    labels.iter().map(|label| label.chars().count()).max().unwrap_or(0).min(LETTERS) * LETTER + 9
}

/// Squares of one answer.
#[derive(Default)]
struct Squares {
    places: Vec<(usize, usize)>,
}

impl Squares {
    fn add(&mut self, x: usize, y: usize) {
        self.places.push((y, x));
    }

    /// Lines along the rows; their dashes are the squares.
    fn path(mut self) -> String {
        self.places.sort_unstable();
        let mut path = String::new();
        let mut places = self.places.into_iter().peekable();
        while let Some((y, x)) = places.next() {
            let mut end = x;
            while places.next_if(|next| *next == (y, end + CELL)).is_some() {
                end += CELL;
            }
            path.push_str(&format!("M{x} {y}h{}", end - x + INK));
        }
        path
    }
}

/// What came of cells other than what the RFC says, by kind.
fn answers(report: &Report, matrix: &Matrix) -> Markup {
    let mut kinds: BTreeMap<&Answer, (usize, String)> = BTreeMap::new();
    for grid in &matrix.grids {
        for (index, cell) in grid.cells.iter().enumerate() {
            let Some(answer) = matrix.answer(*cell).filter(|answer| answer.outcome > Outcome::Pass) else {
                continue;
            };
            let example = || format!("{}, {}", matrix.name(matrix.place(index)), grid.family.label());
            kinds.entry(answer).or_insert_with(|| (0, example())).0 += 1;
        }
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(answer, (count, _))| std::cmp::Reverse((answer.outcome, *count)));
    let left = kinds.len().saturating_sub(SHOWN);
    html! {
        @if !kinds.is_empty() {
            h3 { "Answers that are not the RFC's" }
            table.answers {
                thead { tr { th {} th { "cells" } th { "kernel" } th { "why, or what was expected" } th { "for example" } } }
                @for (answer, (count, example)) in kinds.iter().take(SHOWN) {
                    tr {
                        td { (badge(answer.outcome.name(), answer.outcome.name())) }
                        td.count { (thousands(*count as u64)) }
                        td { @if answer.sent == "-" { "no answer" } @else { (answer.sent) } ", then " (answer.state) }
                        td { (link::deviations(report, &answer.note)) }
                        td.example { (example) }
                    }
                }
            }
            @if left > 0 { p.of { "And " (left) " kinds more, in report.json." } }
        }
    }
}

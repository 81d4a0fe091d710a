//! A set of cells as few boxes: readable, and the same for the same set.

use std::collections::HashSet;

use crate::cells::{ACKS, BITS, Cell, SEQS, SIZES, TEXTS};

/// Places in each dimension.
type Sides = [Vec<usize>; 8];

/// Boxes that together are exactly these cells, each with how many of the cells it is the first to cover.
pub fn boxes(cells: &[Cell]) -> Vec<String> {
    let set: HashSet<[usize; 8]> = cells.iter().map(|cell| cell.at).collect();
    let mut covered: HashSet<[usize; 8]> = HashSet::new();
    let mut lines = Vec::new();
    for cell in cells {
        if covered.contains(&cell.at) {
            continue;
        }
        let sides = widen(cell.at, &set);
        let before = covered.len();
        covered.extend(inside(&sides));
        lines.push(line(&sides, covered.len() - before));
    }
    lines
}

// Greedy: each dimension in turn takes every place that keeps the box inside the set.
fn widen(at: [usize; 8], set: &HashSet<[usize; 8]>) -> Sides {
    let mut sides: Sides = at.map(|place| vec![place]);
    for dimension in [4, 7, 6, 5, 3, 2, 1, 0] {
        for place in 0..SIZES[dimension] {
            if sides[dimension].contains(&place) {
                continue;
            }
            let mut slice = sides.clone();
            slice[dimension] = vec![place];
            if inside(&slice).iter().all(|cell| set.contains(cell)) {
                sides[dimension].push(place);
                sides[dimension].sort_unstable();
            }
        }
    }
    sides
}

fn inside(sides: &Sides) -> Vec<[usize; 8]> {
    let mut cells = vec![[0; 8]];
    for (dimension, places) in sides.iter().enumerate() {
        cells = cells
            .iter()
            .flat_map(|cell| {
                places.iter().map(move |place| {
                    let mut next = *cell;
                    next[dimension] = *place;
                    next
                })
            })
            .collect();
    }
    cells
}

fn line(sides: &Sides, count: usize) -> String {
    let mut flags = String::new();
    for ((_, name), places) in BITS.iter().zip(sides) {
        match places.as_slice() {
            [0] => flags += &format!("!{name} "),
            [1] => flags += &format!("{name} "),
            _ => {}
        }
    }
    let names = |places: &[usize], names: &[&str]| -> String {
        if places.len() == names.len() {
            return "any".to_owned();
        }
        places.iter().map(|place| names[*place]).collect::<Vec<_>>().join(",")
    };
    let texts = TEXTS.map(|octets| octets.to_string());
    format!(
        "{count:>5}  {:<24} seq {:<34} ack {:<26} text {}",
        if flags.is_empty() { "any flags" } else { flags.trim_end() },
        names(&sides[5], &SEQS),
        names(&sides[6], &ACKS),
        names(&sides[7], &texts.each_ref().map(String::as_str)),
    )
}

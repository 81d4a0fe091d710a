//! The cells of the matrix by their places.

use super::model::{Answer, Matrix};

/// Where a cell is: places in the matrix' five lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// In [`Matrix::states`].
    pub state: usize,
    /// In [`Matrix::flags`].
    pub flags: usize,
    /// In [`Matrix::seqs`].
    pub seq: usize,
    /// In [`Matrix::acks`].
    pub ack: usize,
    /// In [`Matrix::texts`].
    pub text: usize,
}

impl Matrix {
    /// How many cells each grid has.
    #[must_use]
    pub fn size(&self) -> usize {
        let Self { states, flags, seqs, acks, texts, answers: _, grids: _ } = self;
        [states.len(), flags.len(), seqs.len(), acks.len(), texts.len()].into_iter().product()
    }

    /// What a cell says; none for a cell that is empty.
    #[must_use]
    pub fn answer(&self, cell: Option<u32>) -> Option<&Answer> {
        self.answers.get(usize::try_from(cell?).ok()?)
    }

    /// Where the cell with this index is in a grid.
    #[must_use]
    pub fn place(&self, index: usize) -> Place {
        let mut rest = index;
        let mut split = |length: usize| {
            let at = rest % length.max(1);
            rest /= length.max(1);
            at
        };
        let text = split(self.texts.len());
        let ack = split(self.acks.len());
        let seq = split(self.seqs.len());
        let flags = split(self.flags.len());
        Place { state: rest, flags, seq, ack, text }
    }

    /// A place in words, as in findings: `ESTABLISHED SYN rcv.nxt snd.una 0`.
    #[must_use]
    pub fn name(&self, place: Place) -> String {
        let Place { state, flags, seq, ack, text } = place;
        let word = |list: &[String], at: usize| list.get(at).cloned().unwrap_or_default();
        let text = self.texts.get(text).copied().unwrap_or_default();
        format!(
            "{} {} {} {} {text}",
            word(&self.states, state),
            word(&self.flags, flags),
            word(&self.seqs, seq),
            word(&self.acks, ack)
        )
    }

    /// What is wrong with the shape: each grid has to have a value for each cell, and each value has to be an answer.
    #[must_use]
    pub fn damage(&self) -> Option<String> {
        let size = self.size();
        self.grids.iter().find_map(|grid| {
            let family = grid.family;
            if grid.cells.len() != size {
                return Some(format!("the matrix of {family} has {} cells and not {size}", grid.cells.len()));
            }
            let astray = grid.cells.iter().find(|cell| cell.is_some() && self.answer(**cell).is_none());
            astray.map(|_| format!("a cell of the matrix of {family} points to no answer"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::model::Matrix, Place};

    #[test]
    fn the_last_list_moves_fastest() {
        let words = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
        let matrix = Matrix {
            states: words(2),
            flags: words(3),
            seqs: words(4),
            acks: words(5),
            texts: vec![0, 10],
            answers: vec![],
            grids: vec![],
        };
        assert_eq!(matrix.size(), 240);
        assert_eq!(matrix.place(0), Place { state: 0, flags: 0, seq: 0, ack: 0, text: 0 });
        assert_eq!(matrix.place(1), Place { state: 0, flags: 0, seq: 0, ack: 0, text: 1 });
        assert_eq!(matrix.place(2), Place { state: 0, flags: 0, seq: 0, ack: 1, text: 0 });
        assert_eq!(matrix.place(239), Place { state: 1, flags: 2, seq: 3, ack: 4, text: 1 });
        assert_eq!(matrix.name(matrix.place(239)), "1 2 3 4 10");
    }
}

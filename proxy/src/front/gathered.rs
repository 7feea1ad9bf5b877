//! Pieces of an answer that go out together, each from where it lies.
//!
//! Pingora writes one after the other. Whoever has several announces them; they then wait here, with
//! the short lines between them, and all go out with the last.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};
use smallvec::SmallVec;

/// The longest that is copied when it stands among pieces: a head, or the size of a chunk.
const SHORT: usize = 8 * 1024;
/// How many slices are written at once.
const SLICES: usize = 16;

/// What waits for the last of the pieces that were announced.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Pieces that are about to be written, in their order.
    coming: VecDeque<Bytes>,
    /// What was written and has not gone out.
    waiting: VecDeque<Bytes>,
}

impl Gathered {
    /// Notes which pieces are written next.
    pub(super) fn announce(&mut self, pieces: impl IntoIterator<Item = Bytes>) {
        self.coming.clear();
        self.coming.extend(pieces);
    }

    /// Takes in what is written, unless it is the last piece, or none that goes with others.
    pub(super) fn takes(&mut self, written: &[IoSlice<'_>]) -> bool {
        for slice in written {
            let Some(piece) = self.coming.front() else {
                return false;
            };
            if is_same(piece, slice) {
                if self.coming.len() == 1 {
                    self.coming.clear();
                    return false;
                }
            } else if slice.len() > SHORT {
                self.coming.clear();
                return false;
            }
        }
        for slice in written {
            match self.coming.front() {
                Some(piece) if is_same(piece, slice) => {
                    self.waiting.extend(self.coming.pop_front())
                }
                _ => self.waiting.push_back(Bytes::copy_from_slice(slice)),
            }
        }
        true
    }

    /// Whether more is about to be written, so that a flush can wait.
    pub(super) fn is_going_on(&self) -> bool {
        !self.coming.is_empty()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What waits, and `more` behind it, as far as it is written at once.
    pub(super) fn slices<'a>(&'a self, more: &'a [IoSlice<'_>]) -> SmallVec<[IoSlice<'a>; SLICES]> {
        let waiting = self.waiting.iter().map(|bytes| IoSlice::new(bytes));
        let more = more.iter().map(|slice| IoSlice::new(slice));
        waiting.chain(more).take(SLICES).collect()
    }

    /// Lets go of so many bytes; returns how many of them were none that waited.
    pub(super) fn advance(&mut self, mut written: usize) -> usize {
        while let Some(first) = self.waiting.front_mut() {
            if written < first.len() {
                first.advance(written);
                return 0;
            }
            written -= first.len();
            self.waiting.pop_front();
        }
        // Most connections have no answer in hand most of the time.
        self.waiting = VecDeque::new();
        written
    }
}

/// Whether a slice is this very piece, and not only like it.
fn is_same(piece: &Bytes, slice: &[u8]) -> bool {
    piece.as_ptr() == slice.as_ptr() && piece.len() == slice.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathering(pieces: &[Bytes]) -> Gathered {
        let mut gathered = Gathered::default();
        gathered.announce(pieces.iter().cloned());
        gathered
    }

    fn whole(gathered: &Gathered, more: &[u8]) -> Vec<u8> {
        let more = [IoSlice::new(more)];
        let slices = gathered.slices(&more);
        slices.iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn all_go_out_with_the_last() {
        let pieces = [vec![1; 70_000], vec![2; 5], vec![3; 20_000]].map(Bytes::from);
        let mut gathered = gathering(&pieces);
        assert!(gathered.takes(&[IoSlice::new(b"head")]));
        assert!(gathered.takes(&[IoSlice::new(&pieces[0])]));
        assert!(gathered.takes(&[
            IoSlice::new(b"5"),
            IoSlice::new(&pieces[1]),
            IoSlice::new(b"\r")
        ]));
        assert!(gathered.is_going_on());
        assert!(!gathered.takes(&[IoSlice::new(&pieces[2])]));
        assert!(!gathered.is_going_on());
        let expected = [b"head", &pieces[0][..], b"5", &pieces[1], b"\r", &pieces[2]].concat();
        assert!(whole(&gathered, &pieces[2]) == expected);
        assert_eq!(
            gathered.slices(&[])[1].as_ptr(),
            pieces[0].as_ptr(),
            "copied"
        );
        assert_eq!(gathered.advance(5), 0);
        assert!(whole(&gathered, &pieces[2]) == expected[5..]);
        assert_eq!(gathered.advance(expected.len() - 5), pieces[2].len());
        assert!(gathered.is_empty());
    }

    #[test]
    fn what_was_not_announced_does_not_wait() {
        let piece = Bytes::from(vec![1; 20_000]);
        assert!(!gathering(&[]).takes(&[IoSlice::new(b"head")]));
        assert!(!gathering(std::slice::from_ref(&piece)).takes(&[IoSlice::new(&piece)]));
        let mut gathered = gathering(&[piece.clone(), piece.clone()]);
        assert!(gathered.takes(&[IoSlice::new(b"head")]));
        assert!(
            !gathered.takes(&[IoSlice::new(&vec![1; 20_000])]),
            "another one"
        );
        assert!(!gathered.is_going_on());
        assert!(!gathered.is_empty(), "the head goes before it");
    }
}

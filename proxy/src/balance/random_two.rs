//! Two servers are drawn by weight, and the less busy one is picked.
//!
//! Nearly as even as comparing all, and proxies that do not know of each other do not all run to
//! the same idle server.

use std::cmp::Ordering;

use fastrand::Rng;

use super::least_connections::busier;
use super::{Fleet, Reason};

pub(super) fn pick(
    fleet: &Fleet<'_>,
    dice: &mut Rng,
    note: &mut impl FnMut(usize, Reason),
) -> Option<usize> {
    let first = draw(fleet, dice, None)?;
    let second = draw(fleet, dice, Some(first)).unwrap_or(first);
    let (picked, other) = match busier(fleet, first, second) {
        Ordering::Greater => (second, first),
        Ordering::Less | Ordering::Equal => (first, second),
    };
    for index in fleet.open() {
        note(index, Reason::NotDrawn);
    }
    note(other, Reason::BusierOfTwo);
    note(picked, Reason::LessBusyOfTwo);
    Some(picked)
}

/// Draws a server by weight, `but` one that was drawn already.
fn draw(fleet: &Fleet<'_>, dice: &mut Rng, but: Option<usize>) -> Option<usize> {
    let mut drawn = fleet.open().filter(|&index| Some(index) != but);
    let total: u64 = drawn
        .clone()
        .map(|index| u64::from(fleet.weight(index)))
        .sum();
    if total == 0 {
        return None;
    }
    let mut left = dice.u64(..total);
    drawn.find(|&index| {
        let weight = u64::from(fleet.weight(index));
        let found = left < weight;
        left = left.saturating_sub(weight);
        found
    })
}

//! The server with the fewest requests in hand for its weight; of several, the one whose turn it is.

use std::cmp::Ordering;

use super::{Fleet, Reason, Turns};

pub(super) fn pick(
    fleet: &Fleet<'_>,
    turns: &mut Turns<'_>,
    note: &mut impl FnMut(usize, Reason),
) -> Option<usize> {
    let least = fleet.open().min_by(|&a, &b| busier(fleet, a, b))?;
    let is_least = |index| busier(fleet, index, least) == Ordering::Equal;
    let mut others = fleet.open().filter(|&index| index != least);
    for index in fleet.open().filter(|&index| !is_least(index)) {
        note(index, Reason::Busier);
    }
    if others.any(is_least) {
        return turns.pick(fleet, is_least, note);
    }
    note(least, Reason::LeastBusy);
    Some(least)
}

/// Compares what two servers have in hand for their weight.
pub(super) fn busier(fleet: &Fleet<'_>, a: usize, b: usize) -> Ordering {
    let load = |of: usize, other: usize| {
        u64::from(fleet.candidate(of).in_flight) * u64::from(fleet.weight(other))
    };
    load(a, b).cmp(&load(b, a))
}

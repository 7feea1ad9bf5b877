//! The server that promises the earliest first byte: its average time, times the requests that it
//! would have in hand, for its weight.

use super::{Fleet, Reason, Turns};

pub(super) fn pick(
    fleet: &Fleet<'_>,
    turns: &mut Turns<'_>,
    note: &mut impl FnMut(usize, Reason),
) -> Option<usize> {
    let measured = |index| fleet.candidate(index).first_byte;
    // One that was not measured is taken for as quick as the quickest: it is tried, not flooded.
    let quickest = fleet.open().filter_map(measured).min();
    let cost = |index| {
        let candidate = fleet.candidate(index);
        let seconds = measured(index)
            .or(quickest)
            .map_or(1.0, |time| time.as_secs_f64().max(1e-6));
        seconds * (f64::from(candidate.in_flight) + 1.0) / f64::from(fleet.weight(index))
    };
    let least = fleet.open().map(cost).min_by(f64::total_cmp)?;
    for index in fleet.open().filter(|&index| cost(index) > least) {
        note(index, Reason::Slower);
    }
    let mut quick = fleet.open().filter(|&index| cost(index) <= least);
    match (quick.next(), quick.next()) {
        (Some(only), None) => {
            note(only, Reason::Quickest);
            Some(only)
        }
        _ => turns.pick(fleet, |index| cost(index) <= least, note),
    }
}

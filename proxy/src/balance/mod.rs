//! Which server gets the next request? One file per method, one way to ask them.
//!
//! Pure: a [`Fleet`] of [`Candidate`]s and what is known of the request go in, an index comes out;
//! no clock, no lock, no socket. [`crate::upstream`] keeps one [`Balancer`] per upstream and
//! describes its servers anew for each pick; `crate::simulate` does the same with servers that
//! are not there.
//!
//! A pick goes through three steps. The `tier` is found: servers that are up, or the
//! backups among them when no other can be picked, or else those that are out only for their 5xx
//! answers. A sticky cookie is obeyed if its server is in the tier. Else the method decides.
//! Whoever wants to know why hands in a closure that is told a [`Reason`] for each candidate.

mod average;
mod candidate;
pub mod hashing;
mod least_connections;
mod least_time;
mod method;
mod random_two;
mod reason;
mod round_robin;
pub mod slow_start;
pub mod sticky;
mod wish;

use fastrand::Rng;

pub use average::MovingAverage;
use candidate::Tier;
pub use candidate::{Candidate, Fitness, Fleet};
pub use method::{Key, Method};
pub use reason::Reason;
pub use round_robin::SmoothRoundRobin;
pub use wish::{Asked, Wish};

/// Why no server was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPick {
    /// Servers are up, but all have as many requests in hand as they may.
    Full,
    /// None is up that the request has not tried.
    Nobody,
}

/// What has to be remembered from pick to pick.
#[derive(Debug, Clone)]
pub struct Balancer {
    /// Whose turn it is, in each tier.
    turns: [SmoothRoundRobin; Tier::COUNT],
    dice: Rng,
}

impl Balancer {
    /// A balancer at the beginning; the seed decides what `random-two` draws.
    pub fn new(seed: u64) -> Self {
        Self {
            turns: Default::default(),
            dice: Rng::with_seed(seed),
        }
    }

    /// Picks a server and tells `note` why each of the others was not picked.
    ///
    /// To ask without taking a turn, ask a clone.
    pub fn pick(
        &mut self,
        method: &Method,
        candidates: &[Candidate],
        wish: Wish,
        note: &mut impl FnMut(usize, Reason),
    ) -> Result<usize, NoPick> {
        let tier = Tier::of(candidates);
        let fleet = Fleet::new(candidates, tier.unwrap_or(Tier::Primary));
        for index in 0..candidates.len() {
            if let Some(reason) = fleet.excluded(index) {
                note(index, reason);
            }
        }
        let tier = tier?;
        if let Some(index) = wish.sticky.and_then(|identity| fleet.find(identity)) {
            fleet.note_others(index, Reason::StuckElsewhere, note);
            note(index, Reason::Sticky);
            return Ok(index);
        }
        let mut turns = Turns {
            turns: &mut self.turns[tier as usize],
            again: wish.again,
        };
        let picked = match (method, wish.key) {
            (Method::LeastConnections, _) => least_connections::pick(&fleet, &mut turns, note),
            (Method::LeastTime, _) => least_time::pick(&fleet, &mut turns, note),
            (Method::RandomTwo, _) => random_two::pick(&fleet, &mut self.dice, note),
            (Method::IpHash | Method::Hash(_), Some(key)) => hashing::pick(&fleet, key, note),
            (Method::RoundRobin | Method::IpHash | Method::Hash(_), _) => {
                turns.pick(&fleet, |_| true, note)
            }
        };
        // The tier was chosen for having a server that can be picked.
        picked.ok_or(NoPick::Nobody)
    }
}

/// The turns of a tier, for a first try or for a further one.
struct Turns<'b> {
    turns: &'b mut SmoothRoundRobin,
    again: bool,
}

impl Turns<'_> {
    /// Picks whose turn it is among those that `may` be picked.
    fn pick(
        &mut self,
        fleet: &Fleet<'_>,
        may: impl Fn(usize) -> bool,
        note: &mut impl FnMut(usize, Reason),
    ) -> Option<usize> {
        let may = |index| fleet.is_open(index) && may(index);
        let index = if self.again {
            self.turns.detour(fleet.weights(), may)
        } else {
            self.turns.pick(fleet.weights(), may)
        }?;
        for other in (0..fleet.len()).filter(|&other| may(other)) {
            let reason = if other == index {
                Reason::ItsTurn
            } else {
                Reason::NotItsTurn
            };
            note(other, reason);
        }
        Some(index)
    }
}

#[cfg(test)]
mod properties;

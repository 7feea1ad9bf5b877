//! The laws that every pick must keep, told apart from the code that picks: each is checked from
//! outside, on what a server had in hand and could do just before the pick.

use std::sync::Arc;

use super::outcome::Outcome;
use crate::balance::{Fitness, Method, NoPick};
use crate::upstream::server::Server;

/// How many breaches are told in words.
const TOLD: usize = 10;

/// A server just before a pick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    weight: u32,
    in_flight: usize,
    backup: bool,
    fitness: Fitness,
    full: bool,
    tried: bool,
}

impl Seen {
    fn is_up_and_free(&self) -> bool {
        self.weight > 0 && self.fitness == Fitness::Up && !self.full && !self.tried
    }
}

/// Watches every pick of a simulation.
#[derive(Debug)]
pub(super) struct Laws {
    method: Method,
    /// Weights bend while servers start slowly: exact shares are not promised then.
    exact: bool,
    sticky: bool,
    seen: Vec<Seen>,
    /// Where each client was sent last, and who could have been picked then.
    last: Vec<Option<(usize, u128)>>,
    stable: Stable,
}

/// A time in which the same servers could be picked, with the same weights.
#[derive(Debug, Default)]
struct Stable {
    weights: Vec<u32>,
    picks: Vec<u64>,
}

impl Laws {
    pub(super) fn new(method: &Method, exact: bool, sticky: bool, clients: u32) -> Self {
        let clients = usize::try_from(clients).unwrap_or(usize::MAX);
        Self {
            method: method.clone(),
            exact,
            sticky,
            seen: Vec::new(),
            last: vec![None; clients],
            stable: Stable::default(),
        }
    }

    /// Looks at the servers before a pick.
    pub(super) fn before(&mut self, servers: &[Arc<Server>], tried: &[Arc<Server>]) {
        self.seen.clear();
        self.seen.extend(servers.iter().map(|server| Seen {
            weight: server.weight(),
            in_flight: server.in_flight(),
            backup: server.is_backup(),
            fitness: server.fitness(),
            full: server.is_full(),
            tried: tried.iter().any(|other| Arc::ptr_eq(other, server)),
        }));
    }

    /// Holds the pick against the laws.
    pub(super) fn after(
        &mut self,
        picked: Result<usize, NoPick>,
        client: usize,
        outcome: &mut Outcome,
    ) {
        let mut broken = |law: &str, seen: &[Seen]| {
            outcome.broken += 1;
            if outcome.breaches.len() < TOLD {
                let breach = format!("{law}: {picked:?} among {seen:?}");
                outcome.breaches.push(breach);
            }
        };
        let Ok(index) = picked else {
            if self.seen.iter().any(Seen::is_up_and_free) {
                broken("somebody could be picked and nobody was", &self.seen);
            }
            return;
        };
        if let Some(law) = self.who_may_be_picked(index) {
            broken(law, &self.seen);
        }
        let first = self.seen.iter().all(|seen| !seen.tried);
        let law = match &self.method {
            _ if self.sticky || self.seen[index].fitness != Fitness::Up => None,
            Method::LeastConnections if self.exact => self.least_busy(index),
            Method::IpHash | Method::Hash(_) if self.exact => self.who_stays(index, client),
            Method::RoundRobin if self.exact && first => self.shares(index),
            _ => None,
        };
        if let Some(law) = law {
            broken(law, &self.seen);
        }
    }

    fn who_may_be_picked(&self, index: usize) -> Option<&'static str> {
        let picked = self.seen[index];
        let primary = |seen: &Seen| seen.is_up_and_free() && !seen.backup;
        let in_use = |seen: &Seen| seen.weight > 0 && seen.fitness != Fitness::Out && !seen.tried;
        if picked.weight == 0 {
            Some("one without weight was picked")
        } else if picked.fitness == Fitness::Out && self.seen.iter().any(in_use) {
            // With nobody left, one request at a time may try one that is out.
            Some("one that is out was picked")
        } else if picked.full {
            Some("a full one was picked")
        } else if picked.tried {
            Some("a tried one was picked")
        } else if picked.fitness == Fitness::Ejected && self.seen.iter().any(Seen::is_up_and_free) {
            Some("an ejected one was picked though another was up")
        } else if picked.backup && self.seen.iter().any(primary) {
            Some("a backup was picked without need")
        } else {
            None
        }
    }

    fn least_busy(&self, index: usize) -> Option<&'static str> {
        let picked = self.seen[index];
        let busier = |other: &&Seen| {
            other.is_up_and_free()
                && other.backup == picked.backup
                && picked.in_flight * other.weight as usize
                    > other.in_flight * picked.weight as usize
        };
        let less_busy = self.seen.iter().find(busier);
        less_busy.map(|_| "a busier one was picked than must be")
    }

    fn who_stays(&mut self, index: usize, client: usize) -> Option<&'static str> {
        let weights = self.seen.iter().map(|seen| seen.weight);
        if !weights.clone().eq(self.stable.weights.iter().copied()) {
            self.stable.weights = weights.collect();
            self.last.fill(None);
        }
        let open = self.seen.iter().enumerate();
        let open = open
            .filter(|(_, seen)| seen.is_up_and_free() && seen.backup == self.seen[index].backup);
        let open = open.fold(0u128, |bits, (at, _)| bits | 1 << (at % 128));
        let could = |bits: u128, at: usize| bits & (1 << (at % 128)) != 0;
        let last = self.last[client].replace((index, open))?;
        let moved = last.0 != index && could(open, last.0) && could(last.1, index);
        moved.then_some("a key moved between two that could be picked all along")
    }

    fn shares(&mut self, index: usize) -> Option<&'static str> {
        let backups = self.seen[index].backup;
        let weights = self.seen.iter().map(|seen| {
            let counts = seen.is_up_and_free() && seen.backup == backups;
            if counts { seen.weight } else { 0 }
        });
        let stable = &mut self.stable;
        if !weights.clone().eq(stable.weights.iter().copied()) {
            stable.weights = weights.collect();
            stable.picks = vec![0; self.seen.len()];
        }
        stable.picks[index] += 1;
        let all: u64 = stable.picks.iter().sum();
        let total: u64 = stable.weights.iter().copied().map(u64::from).sum();
        let weight = u64::from(stable.weights[index]);
        // Within every cycle exactly its weight: never more than that ahead.
        let ahead = (stable.picks[index] * total).saturating_sub(all * weight);
        (ahead > weight * total).then_some("a share is further from its weight than a cycle allows")
    }
}

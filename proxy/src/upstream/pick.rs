//! From servers to candidates and back: the one place where [`crate::balance`] is asked.
//!
//! A pick and the place that it takes on its server are one step under one lock, so that
//! `max_connections` is never exceeded however many ask at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::server::Server;
use super::settings::Settings;
use super::tries::Slot;
use super::{Upstream, lock};
use crate::balance::{Candidate, Fitness, Method, NoPick, Reason, Wish, slow_start};

/// A server that was picked, with a place among the requests that it has in hand.
#[derive(Debug)]
pub struct Picked {
    /// The server.
    pub server: Arc<Server>,
    /// Its place, given back when dropped.
    pub slot: Slot,
}

/// What a pick would say of one server.
#[derive(Debug)]
pub struct Explained {
    /// The server.
    pub server: Arc<Server>,
    /// How the pick saw it.
    pub candidate: Candidate,
    /// Why it would be picked, or would not.
    pub reason: Reason,
    /// It would be picked.
    pub picked: bool,
}

impl Upstream {
    /// Picks the server for a request that has tried `tried` before, and takes a place on it.
    ///
    /// When all servers are out, those that are out only for their 5xx answers are used. When there
    /// are none of these either, one request at a time may try one that is out by a hard fact.
    pub fn pick(&self, wish: Wish, tried: &[Arc<Server>], now: Instant) -> Result<Picked, NoPick> {
        let servers = self.servers();
        let settings = self.settings.load();
        let mut balancer = lock(&self.balancer);
        let candidates: SmallVec<[Candidate; 8]> = servers
            .iter()
            .map(|server| candidate(server, tried, &settings, now))
            .collect();
        let wish = Wish {
            again: !tried.is_empty(),
            ..wish
        };
        match balancer.pick(&settings.method, &candidates, wish, &mut |_, _| {}) {
            Ok(index) => Ok(servers[index].take()),
            Err(NoPick::Nobody) if tried.is_empty() => self
                .try_one_that_is_out(&servers, now)
                .ok_or(NoPick::Nobody),
            Err(none) => Err(none),
        }
    }

    /// Says what the next pick would say of every server, without taking a turn.
    pub fn explain(&self, wish: Wish, now: Instant) -> Vec<Explained> {
        let servers = self.servers();
        let settings = self.settings.load();
        let mut balancer = lock(&self.balancer).clone();
        let candidates: Vec<Candidate> = servers
            .iter()
            .map(|server| candidate(server, &[], &settings, now))
            .collect();
        let mut reasons = vec![Reason::Out; candidates.len()];
        let mut note = |index: usize, reason| reasons[index] = reason;
        let picked = balancer.pick(&settings.method, &candidates, wish, &mut note);
        let explained = servers.iter().zip(candidates).zip(reasons).enumerate();
        explained
            .map(|(index, ((server, candidate), reason))| Explained {
                server: Arc::clone(server),
                candidate,
                reason,
                picked: picked == Ok(index),
            })
            .collect()
    }

    /// Whether a server is up, and not full, that the request has not tried.
    pub fn has_another(&self, tried: &[Arc<Server>]) -> bool {
        let servers = self.servers();
        servers
            .iter()
            .any(|server| takes_requests(server) && !server.is_full() && !contains(tried, server))
    }

    /// The same, be it full: its place can be waited for.
    pub fn has_another_to_wait_for(&self, tried: &[Arc<Server>]) -> bool {
        let servers = self.servers();
        servers
            .iter()
            .any(|server| takes_requests(server) && !contains(tried, server))
    }

    /// Whether the server with this identity takes requests.
    pub fn is_up(&self, identity: u64) -> bool {
        let servers = self.servers();
        servers
            .iter()
            .any(|server| server.identity() == identity && takes_requests(server))
    }
}

fn candidate(
    server: &Arc<Server>,
    tried: &[Arc<Server>],
    settings: &Settings,
    now: Instant,
) -> Candidate {
    let first_byte = match settings.method {
        Method::LeastTime => server.first_byte(now),
        _ => None,
    };
    Candidate {
        identity: server.identity(),
        weight: server.weight(),
        warmth: warmth(server, settings.slow_start, now),
        backup: server.is_backup(),
        fitness: server.fitness(),
        full: server.is_full(),
        tried: contains(tried, server),
        in_flight: u32::try_from(server.in_flight()).unwrap_or(u32::MAX),
        first_byte,
    }
}

fn warmth(server: &Server, length: Duration, now: Instant) -> u32 {
    let up_for = match server.up_since() {
        Some(since) if !length.is_zero() => now.saturating_duration_since(since),
        _ => length,
    };
    slow_start::warmth(up_for, length)
}

fn takes_requests(server: &Server) -> bool {
    server.weight() > 0 && server.fitness() == Fitness::Up
}

fn contains(servers: &[Arc<Server>], server: &Arc<Server>) -> bool {
    servers.iter().any(|other| Arc::ptr_eq(other, server))
}

//! What a pick asks of a server, kept where it can be read without waiting.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::health::{Cause, State};
use super::lock;
use super::pick::Picked;
use super::server::Server;
use super::settings::ServerSettings;
use super::stamp::Stamp;
use crate::balance::{Fitness, MovingAverage};

const OUT: u8 = 0;
const UP: u8 = 1;
const EJECTED: u8 = 2;

/// How a server stands among the others.
#[derive(Debug)]
pub(super) struct Standing {
    identity: u64,
    backup: AtomicBool,
    /// Zero: as many as come.
    max_connections: AtomicU32,
    fitness: AtomicU8,
    up_since: Stamp,
    first_byte: Mutex<MovingAverage>,
}

impl Standing {
    /// The standing of a server that is out.
    pub(super) fn new(settings: &ServerSettings, identity: u64, now: Instant) -> Self {
        Self {
            identity,
            backup: AtomicBool::new(settings.backup),
            max_connections: AtomicU32::new(settings.max_connections),
            fitness: AtomicU8::new(OUT),
            up_since: Stamp::unset(now),
            first_byte: Mutex::default(),
        }
    }

    /// Follows the health, which has been in `state` since then.
    pub(super) fn follow(&self, state: State, since: Instant) {
        let fitness = match state {
            State::Up => UP,
            State::Out(Cause::ServerErrors) => EJECTED,
            State::Out(_) => OUT,
        };
        if fitness == UP && self.fitness.load(Ordering::Relaxed) != UP {
            self.up_since.set(since);
        }
        self.fitness.store(fitness, Ordering::Release);
    }
}

impl Server {
    /// Tells it from all others, the same in every proxy.
    pub fn identity(&self) -> u64 {
        self.standing.identity
    }

    /// Whether it is there for when no other can be picked.
    pub fn is_backup(&self) -> bool {
        self.standing.backup.load(Ordering::Relaxed)
    }

    /// How many requests it may have in hand; `None`: as many as come.
    pub fn max_connections(&self) -> Option<u32> {
        Some(self.standing.max_connections.load(Ordering::Relaxed)).filter(|&most| most > 0)
    }

    /// Takes over what the file says of its place among the others.
    pub(super) fn set_place(&self, settings: &ServerSettings) {
        let standing = &self.standing;
        standing.backup.store(settings.backup, Ordering::Relaxed);
        let most = settings.max_connections;
        standing.max_connections.store(most, Ordering::Relaxed);
    }

    /// Whether it has as many requests in hand as it may.
    pub fn is_full(&self) -> bool {
        let in_flight = self.in_flight();
        self.max_connections()
            .is_some_and(|most| usize::try_from(most).is_ok_and(|most| in_flight >= most))
    }

    /// Whether it is up, or why not.
    pub fn fitness(&self) -> Fitness {
        match self.standing.fitness.load(Ordering::Acquire) {
            UP => Fitness::Up,
            EJECTED => Fitness::Ejected,
            _ => Fitness::Out,
        }
    }

    /// When it last came up.
    pub fn up_since(&self) -> Option<Instant> {
        self.standing.up_since.at()
    }

    /// Takes in how long it took from a request sent whole to the first byte of the answer.
    pub fn measured(&self, first_byte: Duration, now: Instant) {
        lock(&self.standing.first_byte).take_in(first_byte, now);
    }

    /// The moving average of that time.
    pub fn first_byte(&self, now: Instant) -> Option<Duration> {
        lock(&self.standing.first_byte).at(now)
    }

    /// Takes a place on it, full or not: for those who picked it, or come back to it.
    pub fn take(self: &Arc<Self>) -> Picked {
        Picked {
            slot: self.tries().take_slot(),
            server: Arc::clone(self),
        }
    }
}

//! Where each client of a route stands; bounded, whatever the number of clients.
//!
//! A client whose bucket is full again is the same as one that was never seen, and is forgotten
//! when room is needed. Where there is still none, those go who are nearest to a full bucket: they
//! get a little more than their due, and those who are being held back stay so.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Rate, Refused};

/// Parts of a table, so that requests of different clients seldom wait for each other.
const SHARDS: usize = 16;
/// Clients in one part.
const CLIENTS: usize = 4096;

/// Where each client of a route stands.
#[derive(Debug)]
pub struct Table {
    began: Instant,
    by_client: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

/// By client, when its bucket will be full, in time since the table began.
type Shard = HashMap<IpAddr, Duration>;

impl Table {
    /// The most clients that a table remembers.
    pub const MOST: usize = SHARDS * CLIENTS;

    /// A table in which nobody stands.
    pub fn new(now: Instant) -> Self {
        Self {
            began: now,
            by_client: RandomState::new(),
            shards: Default::default(),
        }
    }

    pub(super) fn admit(&self, rate: Rate, client: IpAddr, now: Instant) -> Result<(), Refused> {
        let now = now.saturating_duration_since(self.began);
        let mut shard = self.shard(client);
        let known = shard.get_mut(&client).map(|full| {
            *full = rate.settled(*full, now);
            *full
        });
        let full = rate.admit(known.unwrap_or_default(), now)?;
        if known.is_none() && shard.len() >= CLIENTS {
            make_room(&mut shard, now);
        }
        shard.insert(client, full);
        Ok(())
    }

    pub(super) fn look(&self, rate: Rate, client: IpAddr, now: Instant) -> Result<(), Refused> {
        let now = now.saturating_duration_since(self.began);
        let known = self.shard(client).get(&client).copied();
        rate.admit(known.unwrap_or_default(), now).map(drop)
    }

    /// How many clients are remembered.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether nobody is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, client: IpAddr) -> MutexGuard<'_, Shard> {
        let hash = self.by_client.hash_one(client);
        lock(&self.shards[(hash % SHARDS as u64) as usize])
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets who need not be remembered, or else the eighth that is nearest to that: so this is done
/// once for many new clients.
fn make_room(shard: &mut Shard, now: Duration) {
    shard.retain(|_, full| *full > now);
    if shard.len() < CLIENTS {
        return;
    }
    let mut ends: Vec<Duration> = shard.values().copied().collect();
    let eighth = ends.len() / 8;
    let (_, &mut bound, _) = ends.select_nth_unstable(eighth);
    let mut left = eighth;
    shard.retain(|_, full| {
        let goes = *full <= bound && left > 0;
        left -= usize::from(goes);
        !goes
    });
}

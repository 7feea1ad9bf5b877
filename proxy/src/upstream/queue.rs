//! Requests that wait for a place while all servers are full: first come, first served.
//!
//! A place that is given back wakes the first one, who looks whether it can have it. Whoever
//! leaves, with a place, out of time or because its client has gone, has the one behind it look:
//! so no wake-up is lost. No lock is held while anybody waits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::time::timeout_at;

use super::pick::Picked;
use super::server::Server;
use super::{Upstream, lock};
use crate::balance::{NoPick, Wish};

/// The requests that wait at one upstream.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<VecDeque<Arc<Notify>>>,
    /// How many wait, for those who give a place back and mostly find that nobody does.
    length: AtomicUsize,
}

impl Queue {
    /// How many wait.
    ///
    /// Joining counts before it looks for a place, and a place is given back before this is asked,
    /// both in one order for all (`SeqCst`): one of the two sees the other.
    pub(super) fn length(&self) -> usize {
        self.length.load(Ordering::SeqCst)
    }

    /// Takes the place behind all others, unless `most` wait already.
    fn join(self: &Arc<Self>, most: usize) -> Option<Ticket> {
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= most {
            return None;
        }
        let turn = Arc::new(Notify::new());
        if waiting.is_empty() {
            turn.notify_one();
        }
        waiting.push_back(Arc::clone(&turn));
        self.length.store(waiting.len(), Ordering::SeqCst);
        let queue = Arc::clone(self);
        Some(Ticket { queue, turn })
    }

    /// Has the first one look: a place may be free.
    pub(super) fn wake(&self) {
        if self.length() > 0
            && let Some(first) = lock(&self.waiting).front()
        {
            first.notify_one();
        }
    }
}

/// A place in the queue; given back when dropped.
#[derive(Debug)]
pub struct Ticket {
    queue: Arc<Queue>,
    turn: Arc<Notify>,
}

/// What becomes at once of a request that asks for a server.
#[derive(Debug)]
pub enum Placing {
    /// It has a server, or will have none.
    Settled(Result<Picked, NoPick>),
    /// All are full: it waits in line.
    Waits(Ticket),
}

impl Ticket {
    /// Whether it was woken since it was last asked: then it should look.
    pub fn is_woken(&self) -> bool {
        self.turn.notified().now_or_never().is_some()
    }

    /// Has the one behind look: what was free is nothing for this one.
    fn pass_on(&self) {
        let waiting = lock(&self.queue.waiting);
        let mut behind = waiting
            .iter()
            .skip_while(|turn| !Arc::ptr_eq(turn, &self.turn));
        if let Some(next) = behind.nth(1) {
            next.notify_one();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut waiting = lock(&self.queue.waiting);
        let place = waiting
            .iter()
            .position(|turn| Arc::ptr_eq(turn, &self.turn));
        if let Some(place) = place {
            waiting.remove(place);
            if let Some(behind) = waiting.get(place) {
                behind.notify_one();
            }
        }
        self.queue.length.store(waiting.len(), Ordering::SeqCst);
    }
}

impl Upstream {
    /// Picks a server as [`Self::pick`] does; when all are full, waits for a place.
    ///
    /// To leave the queue, drop the future.
    pub async fn place(&self, wish: Wish, tried: &[Arc<Server>]) -> Result<Picked, NoPick> {
        let now = Instant::now();
        match self.ask(wish, tried, now) {
            Placing::Settled(settled) => settled,
            // Boxed, as hardly any request has to wait.
            Placing::Waits(ticket) => Box::pin(self.wait(ticket, wish, tried, now)).await,
        }
    }

    async fn wait(
        &self,
        ticket: Ticket,
        wish: Wish,
        tried: &[Arc<Server>],
        since: Instant,
    ) -> Result<Picked, NoPick> {
        let end = since + self.settings.load().queue.wait;
        loop {
            if timeout_at(end.into(), ticket.turn.notified())
                .await
                .is_err()
            {
                return Err(NoPick::Full);
            }
            if let Some(settled) = self.look(&ticket, wish, tried, Instant::now()) {
                return settled;
            }
        }
    }

    /// Picks a server, or gives the request a place in the queue: behind those that wait already.
    pub fn ask(&self, wish: Wish, tried: &[Arc<Server>], now: Instant) -> Placing {
        if self.queue.length() == 0 {
            let picked = self.pick(wish, tried, now);
            if !matches!(picked, Err(NoPick::Full)) {
                return Placing::Settled(picked);
            }
        }
        let ticket = self.queue.join(self.settings.load().queue.length);
        ticket.map_or(Placing::Settled(Err(NoPick::Full)), Placing::Waits)
    }

    /// Has a request look that was woken; `None`: it waits on.
    pub fn look(
        &self,
        ticket: &Ticket,
        wish: Wish,
        tried: &[Arc<Server>],
        now: Instant,
    ) -> Option<Result<Picked, NoPick>> {
        match self.pick(wish, tried, now) {
            Err(NoPick::Full) if !tried.is_empty() => {
                ticket.pass_on();
                None
            }
            Err(NoPick::Full) => None,
            settled => Some(settled),
        }
    }

    /// How many requests wait for a place.
    pub fn waiting(&self) -> usize {
        self.queue.length()
    }
}

#[cfg(test)]
mod tests;

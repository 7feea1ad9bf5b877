//! The virtual proxy's line of requests that wait for a place: [`Upstream::place`] without its clock.
//!
//! [`Upstream::place`]: crate::upstream::Upstream::place

use super::sending::End;
use super::world::{Event, World};
use crate::balance::NoPick;
use crate::upstream::Ticket;

impl World<'_> {
    /// Has a request wait.
    pub(super) fn wait(&mut self, key: usize, ticket: Ticket) {
        let end = self.now + self.settings.queue.wait;
        let request = &mut self.requests[key];
        request.waits = Some((ticket, end));
        let event = Event::Impatient(key, request.serial);
        self.schedule(end, event);
        self.waiting.push(key);
        self.outcome.waited += 1;
        let most = self.outcome.most_waiting.max(self.waiting.len());
        self.outcome.most_waiting = most;
    }

    /// Has those look who were woken, the first one first.
    pub(super) fn let_in(&mut self) {
        let mut at = 0;
        while let Some(&key) = self.waiting.get(at) {
            let request = &self.requests[key];
            let Some((ticket, _)) = &request.waits else {
                return;
            };
            let tried = &request.exchange.tried;
            if !ticket.is_woken() {
                if tried.is_empty() {
                    // Only one that a place is no use to has those behind it look.
                    return;
                }
                at += 1;
                continue;
            }
            self.laws.before(&self.servers, tried);
            let now = self.instant();
            let looked = self
                .upstream
                .look(ticket, request.exchange.wish, tried, now);
            match looked {
                None => {
                    let (full, client) = (Err(NoPick::Full), request.client);
                    self.laws.after(full, client, &mut self.outcome);
                    at += 1;
                }
                Some(settled) => {
                    self.waiting.remove(at);
                    self.requests[key].waits = None;
                    if self.placed(key, settled) {
                        self.send(key);
                    }
                    at = 0;
                }
            }
        }
    }

    /// Refuses a request that has waited long enough.
    pub(super) fn lose_patience(&mut self, key: usize, serial: u64) {
        let request = self.requests.get(key).filter(|r| r.serial == serial);
        let waits = request.and_then(|request| request.waits.as_ref());
        if waits.is_some_and(|(_, end)| *end <= self.now) {
            self.waiting.retain(|&waiting| waiting != key);
            self.requests[key].waits = None;
            self.end(key, End::Refused);
        }
    }
}

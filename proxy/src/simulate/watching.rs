//! The virtual proxy's watch over its servers, what happens to them, and what it makes of that.

use std::sync::Arc;
use std::time::Duration;

use super::outcome::Turn;
use super::plan::What;
use super::sending::Request;
use super::world::{Event, FIRST, Urgent, World};
use crate::balance::Fitness;
use crate::retry::Failure;
use crate::upstream::health::{Break, Probe, State};
use crate::upstream::silence;
use crate::upstream::tries::Cut;

impl World<'_> {
    /// Has a server asked how it is.
    pub(super) fn ask(&mut self, index: usize, limit: Duration, urgent: Urgent) {
        let (probe, takes) = self.simulated[index].check(limit);
        let event = Event::Checked(index, probe, self.now, urgent);
        self.schedule(self.now + takes, event);
    }

    pub(super) fn ask_at_once(&mut self, index: usize) {
        if let Some(turn) = self.servers[index].begin_probe() {
            self.simulated[index].turn = Some(turn);
            self.ask(index, silence::QUIET, true);
        }
    }

    pub(super) fn checked(&mut self, index: usize, probe: Probe, asked: Duration, urgent: Urgent) {
        let now = self.instant();
        let server = Arc::clone(&self.servers[index]);
        if urgent {
            let asked = self.begin + asked;
            silence::conclude(&self.upstream, &server, probe, asked, now);
            self.simulated[index].turn = None;
            self.move_cut(index);
        } else {
            self.upstream.probed(&server, probe, now);
        }
        self.note_turn(index);
    }

    pub(super) fn look(&mut self) {
        self.schedule(self.now + silence::EVERY, Event::Look);
        let now = self.instant();
        self.upstream.forget_words(now);
        self.note_degraded();
        for index in 0..self.servers.len() {
            let server = &self.servers[index];
            if server.in_flight() > 0 {
                if silence::look_at(&self.upstream, server, now) {
                    self.ask_at_once(index);
                }
                self.move_cut(index);
            }
        }
    }

    /// Ends the tries on a server that were cut.
    pub(super) fn move_cut(&mut self, index: usize) {
        for key in self.in_hand_of(index) {
            let current = self.requests[key].exchange.current.as_ref();
            let failure = match current.and_then(|current| current.open.was_cut()) {
                Some(Cut::Silent) => Failure::Silent,
                Some(Cut::Late) => Failure::Late,
                None => continue,
            };
            if self.fail(key, failure) {
                self.send(key);
            }
        }
    }

    pub(super) fn in_hand_of(&self, index: usize) -> Vec<usize> {
        let identity = self.servers[index].identity();
        let on_it = |request: &Request| {
            let current = request.exchange.current.as_ref();
            current.is_some_and(|current| current.server.identity() == identity)
        };
        let requests = self.requests.iter();
        requests
            .filter(|(_, r)| on_it(r))
            .map(|(key, _)| key)
            .collect()
    }

    pub(super) fn happens(&mut self, index: usize, what: What) {
        let in_hand = match what {
            What::Dies => self.in_hand_of(index),
            _ => Vec::new(),
        };
        if let What::Weighs(weight) = what {
            self.servers[index].set_weight(weight);
        }
        for job in self.simulated[index].happens(what) {
            self.done(index, job);
        }
        while let Some((job, takes)) = self.simulated[index].next(&mut self.dice) {
            self.schedule(self.now + takes, Event::Done(index, job));
        }
        let died = !in_hand.is_empty();
        for key in in_hand {
            let goes_on = self.fail(key, Failure::Broken);
            let server = Arc::clone(&self.servers[index]);
            self.upstream
                .doubt(&server, Some(Break::Head), true, self.instant());
            self.note_turn(index);
            if goes_on {
                self.send(key);
            }
        }
        if died {
            self.ask_at_once(index);
        }
    }

    /// Notes whether the upstream has become degraded, or no longer is.
    pub(super) fn note_degraded(&mut self) {
        let is_degraded = self.upstream.is_degraded();
        let was = self.outcome.degraded.last();
        if is_degraded != was.is_some_and(|&(_, was)| was) {
            let at = self.now.saturating_sub(FIRST);
            self.outcome.degraded.push((at, is_degraded));
        }
    }

    /// Notes whether a server has gone out or come back.
    pub(super) fn note_turn(&mut self, index: usize) {
        let server = &self.servers[index];
        let up = server.fitness() == Fitness::Up;
        if up == self.up[index] {
            return;
        }
        self.up[index] = up;
        let cause = match server.with_health(|health| health.state()) {
            State::Out(cause) => cause.as_str(),
            State::Up => "",
        };
        let at = self.now.saturating_sub(FIRST);
        let server = index;
        self.outcome.turns.push(Turn {
            at,
            server,
            up,
            cause,
        });
    }
}

//! The virtual proxy's way of a request: what [`crate::gateway`] does, with the same calls in the
//! same order.

use std::sync::Arc;
use std::time::Duration;

use super::server::{Answer, Job};
use super::world::{Event, FIRST, World};
use crate::balance::{Method, NoPick, Wish, hashing};
use crate::gateway::exchange::{Exchange, RequestFacts};
use crate::retry::{Decision, Failure};
use crate::upstream::health::Cause;
use crate::upstream::{Picked, Placing, Ticket};

/// How many of the first picks are kept in order.
const KEPT: usize = 60;

/// Every request here can be sent again as long as its client has no answer.
const UNANSWERED: RequestFacts = RequestFacts {
    replayable: true,
    answered: false,
};

/// A request that is under way.
pub(super) struct Request {
    pub(super) exchange: Exchange,
    pub(super) serial: u64,
    write: bool,
    pub(super) client: usize,
    /// Its place in line, and until when it waits there.
    pub(super) waits: Option<(Ticket, Duration)>,
    arrived: Duration,
    /// How often it was carried out.
    carried_out: u32,
}

/// How a request ended, for the client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Well,
    Error,
    Refused,
    Lost,
}

impl World<'_> {
    pub(super) fn arrive(&mut self) {
        let next = FIRST + Duration::from_secs_f64((self.serial + 1) as f64 / self.plan.rate);
        self.schedule(next, Event::Arrive);
        let client = self.dice.usize(..self.cookies.len());
        let mut exchange = Exchange::new(Arc::clone(&self.live), self.instant());
        exchange.upstream = Some(Arc::clone(&self.upstream));
        exchange.settings = Some(Arc::clone(&self.settings));
        exchange.wish = Wish {
            key: match self.plan.method {
                Method::IpHash | Method::Hash(_) => Some(hashing::key(&client.to_be_bytes())),
                _ => None,
            },
            sticky: self.cookies[client],
            again: false,
        };
        let write = self.dice.f64() < self.plan.writes;
        exchange.repeatable = !write;
        let key = self.requests.insert(Request {
            exchange,
            serial: self.serial,
            write,
            client,
            waits: None,
            arrived: self.now,
            carried_out: 0,
        });
        self.serial += 1;
        self.outcome.sent += 1;
        self.upstream.earn(self.instant());
        self.send(key);
    }

    /// Sends a request to one server after the other, until one takes it, it has to wait for a
    /// place, or it has to give up.
    pub(super) fn send(&mut self, key: usize) {
        loop {
            let now = self.instant();
            let request = &mut self.requests[key];
            let exchange = &request.exchange;
            self.laws.before(&self.servers, &exchange.tried);
            let is_first = self.upstream.waiting() == 0;
            match self.upstream.ask(exchange.wish, &exchange.tried, now) {
                Placing::Settled(Err(NoPick::Full)) if !is_first => {
                    return self.end(key, End::Refused);
                }
                Placing::Settled(settled) => {
                    if !self.placed(key, settled) {
                        return;
                    }
                }
                Placing::Waits(ticket) => {
                    if is_first {
                        let (full, client) = (Err(NoPick::Full), request.client);
                        self.laws.after(full, client, &mut self.outcome);
                    }
                    return self.wait(key, ticket);
                }
            }
        }
    }

    /// Sends a request to the server that it was given; returns whether it is to go on to another.
    pub(super) fn placed(&mut self, key: usize, settled: Result<Picked, NoPick>) -> bool {
        let now = self.instant();
        let request = &mut self.requests[key];
        let found = settled
            .as_ref()
            .map(|picked| self.index[&picked.server.identity()]);
        let found = found.map_err(|&nobody| nobody);
        self.laws.after(found, request.client, &mut self.outcome);
        let (Ok(picked), Ok(index)) = (settled, found) else {
            self.end(key, End::Refused);
            return false;
        };
        let again = !request.exchange.tried.is_empty();
        request.exchange.begin_try(picked, now);
        self.note_sent(index, again);
        if self.simulated[index].accepts() {
            let request = &mut self.requests[key];
            request.exchange.passed_on(true, true, now);
            let job = self.simulated[index].job(key, request.serial);
            if let Some(takes) = self.simulated[index].take(job, &mut self.dice) {
                self.schedule(self.now + takes, Event::Done(index, job));
            }
            return false;
        }
        self.upstream
            .take_out(&self.servers[index], Cause::NotConnected, now);
        self.note_turn(index);
        self.fail(key, Failure::NotConnected)
    }

    fn note_sent(&mut self, index: usize, again: bool) {
        let served = &mut self.outcome.servers[index];
        if again {
            served.again += 1;
        } else {
            served.first += 1;
            if self.outcome.order.len() < KEPT {
                self.outcome.order.push(index);
            }
        }
        let tenth = usize::try_from(self.now.as_millis() / 100).unwrap_or(0);
        if served.by_tenth.len() <= tenth {
            served.by_tenth.resize(tenth + 1, 0);
        }
        served.by_tenth[tenth] += 1;
        let in_flight = self.servers[index].in_flight();
        served.most_in_flight = served.most_in_flight.max(in_flight);
    }

    /// Ends the try of a request that has failed; returns whether it goes on to another server.
    pub(super) fn fail(&mut self, key: usize, failure: Failure) -> bool {
        let now = self.instant();
        let request = &mut self.requests[key];
        let decision = request.exchange.decide(failure, UNANSWERED, now);
        self.settle(key, failure, decision);
        if decision == Decision::GiveUp {
            // Nobody could be reached, so nothing was sent: the proxy says 503 at once.
            let is_refused = failure == Failure::NotConnected;
            self.end(key, if is_refused { End::Refused } else { End::Lost });
        }
        decision != Decision::GiveUp
    }

    pub(super) fn settle(&mut self, key: usize, failure: Failure, decision: Decision) {
        let now = self.instant();
        let exchange = &mut self.requests[key].exchange;
        let current = exchange.current.as_ref();
        if let Some(index) = current.map(|current| self.index[&current.server.identity()]) {
            self.outcome.servers[index].failed += 1;
        }
        exchange.settle(failure, decision, "failed", now);
    }

    pub(super) fn end(&mut self, key: usize, end: End) {
        let now = self.instant();
        let mut request = self.requests.remove(key);
        request.exchange.end_try("answered", now);
        match end {
            End::Well => {
                self.outcome.well += 1;
                self.outcome.times.push(self.now - request.arrived);
            }
            End::Error => self.outcome.errors += 1,
            End::Refused => self.outcome.refused += 1,
            End::Lost if request.write => self.outcome.lost_writes += 1,
            End::Lost => self.outcome.lost_reads += 1,
        }
        if request.write {
            if end != End::Well && request.carried_out > 0 {
                self.outcome.ghosts += 1;
            }
            let tried_elsewhere = !request.exchange.tried.is_empty();
            if tried_elsewhere || end == End::Lost {
                self.ended
                    .insert(request.serial, (end, request.carried_out));
            }
        }
    }

    pub(super) fn done(&mut self, index: usize, job: Job) {
        let answer = self.simulated[index].finish(job);
        while let Some((next, takes)) = self.simulated[index].next(&mut self.dice) {
            self.schedule(self.now + takes, Event::Done(index, next));
        }
        let Some(answer) = answer else { return };
        let identity = self.servers[index].identity();
        let request = self
            .requests
            .get_mut(job.key)
            .filter(|r| r.serial == job.serial);
        let Some(request) = request else {
            return self.carried_out_late(job, answer);
        };
        if answer == Answer::Well {
            request.carried_out += 1;
            if request.write && request.carried_out > 1 {
                self.outcome.doubled += 1;
            }
        }
        let current = request.exchange.current.as_ref();
        if current.is_some_and(|current| current.server.identity() == identity) {
            self.answered(index, job.key, answer);
        }
    }

    /// A server was done with a request that had ended for its client before.
    pub(super) fn carried_out_late(&mut self, job: Job, answer: Answer) {
        if answer != Answer::Well {
            return;
        }
        if let Some((end, times)) = self.ended.get_mut(&job.serial) {
            *times += 1;
            self.outcome.doubled += u64::from(*times > 1);
            self.outcome.ghosts += u64::from(*end != End::Well && *times == 1);
        }
    }

    /// Takes in an answer as `gateway::passing` does.
    pub(super) fn answered(&mut self, index: usize, key: usize, answer: Answer) {
        let now = self.instant();
        let server = Arc::clone(&self.servers[index]);
        let request = &mut self.requests[key];
        if let Some(current) = &request.exchange.current {
            current.open.answered();
            current.open.heard.set(now);
            if let (Answer::Well, Some(sent)) = (answer, current.open.sent.at()) {
                server.measured(now.saturating_duration_since(sent), now);
            }
        }
        server.heard().set(now);
        let is_away = answer == Answer::DatabaseAway;
        if is_away {
            self.upstream.said_away(&server, now);
        } else {
            self.upstream.said_nothing_of_it(now);
        }
        self.note_degraded();
        self.upstream
            .answered(&server, answer == Answer::ServerError, now);
        if answer == Answer::Well {
            self.upstream.came_whole(&server);
        }
        if self.simulated[index].drains {
            self.upstream.take_out(&server, Cause::Draining, now);
        }
        self.note_turn(index);
        let request = &mut self.requests[key];
        if is_away && request.exchange.may_ask_another(UNANSWERED, now) {
            self.settle(key, Failure::Unavailable, Decision::AnotherServer);
            return self.send(key);
        }
        let client = request.client;
        let had = self.cookies[client].filter(|&had| self.upstream.is_up(had));
        if self.plan.sticky && had.is_none() {
            self.cookies[client] = Some(server.identity());
        }
        let end = match answer {
            Answer::Well => End::Well,
            Answer::ServerError | Answer::DatabaseAway => End::Error,
        };
        self.end(key, end);
    }
}

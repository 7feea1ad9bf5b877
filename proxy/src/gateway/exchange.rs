//! The state of one request on its way through the gateway.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use smallvec::SmallVec;

use super::line::Unlogged;
use super::tunnel::Tunnel;
use super::uncopied::Shelf;
use crate::access_log::TryEntry;
use crate::balance::Wish;
use crate::compress::Encoder;
use crate::figures::InFlight;
use crate::idempotency::Key;
use crate::live::Live;
use crate::request_id::RequestId;
use crate::respond::Failure;
use crate::retry;
use crate::upstream::server::Server;
use crate::upstream::tries::{Before, OpenTry};
use crate::upstream::{Picked, Settings, Upstream};

/// How soon a server must say that something shared is away for another one to be asked: one that
/// waited for it before would have the client wait twice as long.
const EARLY: Duration = Duration::from_millis(500);

/// What [`crate::front`] knows of a request when it hands it over.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The client's address.
    pub client: IpAddr,
    /// The same, as it is told to servers.
    pub written: HeaderValue,
    /// Whether it speaks over TLS.
    pub is_secure: bool,
    /// When the first byte of its head was seen.
    pub at: Instant,
}

/// A try that is under way.
#[derive(Debug)]
pub struct CurrentTry {
    /// The server that has it.
    pub server: Arc<Server>,
    /// Its entry among the server's tries.
    pub open: OpenTry,
    began: Instant,
}

impl CurrentTry {
    /// How long it has been under way.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }
}

/// The state of one request.
#[derive(Debug)]
pub struct Exchange {
    /// What the proxy served by when it began; a reload does not change it.
    pub live: Arc<Live>,
    /// Where it comes from.
    pub arrival: Arrival,
    /// Whose request it is: of trusted proxies, their client.
    pub client: IpAddr,
    /// Its id, the client's or a new one.
    pub request_id: RequestId,
    /// It counts as in flight, on its route when that is known.
    pub in_flight: InFlight,
    /// The upstream that serves it.
    pub upstream: Option<Arc<Upstream>>,
    /// What was set of the upstream when the request came to it.
    pub settings: Option<Arc<Settings>>,
    /// What its pick goes by.
    pub wish: Wish,
    /// The largest body that its route takes, in bytes.
    pub max_body: u64,
    /// What of its body has passed on the current try, in bytes.
    pub body_bytes: u64,
    /// It is the handshake of a `WebSocket`.
    pub websocket: bool,
    /// Its connection has become a tunnel.
    pub tunnel: Option<Tunnel>,
    /// Its route sends text as gzip.
    pub compress: bool,
    /// The body of its answer passes through this.
    pub encoder: Option<Encoder>,
    /// Nothing but the end of the connection ends its answer.
    pub ends_by_close: bool,
    /// Its idempotency key.
    pub key: Key,
    /// Sending it twice is the same as sending it once.
    pub repeatable: bool,
    /// The place that it has been given for its first try.
    pub place: Option<Picked>,
    /// The try that is under way.
    pub current: Option<CurrentTry>,
    /// Servers that it has tried and will not try again.
    pub tried: Vec<Arc<Server>>,
    /// It was sent on because of something that all servers share.
    pub asked_another: bool,
    /// How many of its tries have sent something.
    pub sent_tries: u32,
    /// Every finished try, for the log.
    pub tries: SmallVec<[TryEntry; 1]>,
    /// The next try goes to this server, over a connection of its own.
    pub again: Option<Arc<Server>>,
    /// What the server of the current try has answered.
    pub try_status: Option<u16>,
    /// When it was first sent whole.
    pub sent: Option<Instant>,
    /// From the arrival to the first byte of a server's answer.
    pub first_byte: Option<Duration>,
    /// Who answered.
    pub instance: Option<HeaderValue>,
    /// Why the proxy answers itself.
    pub failure: Option<Failure>,
    /// The client's connection could be kept when the request arrived.
    pub keep_alive: bool,
    /// Where its session is found again, if another one stands in for it.
    pub(super) shelf: Option<Arc<Shelf>>,
    /// Its line in the log, as long as it is not written.
    pub(super) unlogged: Option<Unlogged>,
}

impl Exchange {
    /// A request of which nothing is known yet.
    pub fn new(live: Arc<Live>, now: Instant) -> Self {
        Self {
            in_flight: live.unrouted.begin(),
            live,
            arrival: Arrival {
                is_secure: false,
                client: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                written: HeaderValue::from_static("0.0.0.0"),
                at: now,
            },
            client: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            request_id: RequestId::NONE,
            upstream: None,
            settings: None,
            wish: Wish::default(),
            max_body: u64::MAX,
            body_bytes: 0,
            websocket: false,
            tunnel: None,
            compress: false,
            encoder: None,
            ends_by_close: false,
            key: Key::None,
            repeatable: false,
            place: None,
            current: None,
            tried: Vec::new(),
            asked_another: false,
            sent_tries: 0,
            tries: SmallVec::new(),
            again: None,
            try_status: None,
            sent: None,
            first_byte: None,
            instance: None,
            failure: None,
            keep_alive: false,
            shelf: None,
            unlogged: None,
        }
    }

    /// Begins a try on the server that was picked.
    pub fn begin_try(&mut self, picked: Picked, now: Instant) {
        let Picked { server, slot } = picked;
        self.body_bytes = 0;
        server.count_request();
        let before = Before {
            servers: self.tried.clone().into_boxed_slice(),
            sent: self.sent_tries,
        };
        self.current = Some(CurrentTry {
            open: slot.open(self.repeatable.then_some(before), now),
            server,
            began: now,
        });
    }

    /// Notes that a piece of the request went to the server, and perhaps the last one.
    ///
    /// A request that is no longer `replayable` cannot be moved to another server.
    pub fn passed_on(&mut self, replayable: bool, whole: bool, now: Instant) {
        let (Some(current), Some(settings)) = (&self.current, &self.settings) else {
            return;
        };
        current.open.moved.set(now);
        if !replayable {
            current.open.pin();
        }
        if whole {
            let first_sent = *self.sent.get_or_insert(now);
            let gives_up = settings.timeouts.gives_up(first_sent, now);
            current.open.gives_up.set(gives_up);
            current.open.sent.set(now);
        }
    }

    /// Ends the current try and notes what came of it; returns the server that had it.
    pub fn end_try(&mut self, outcome: &'static str, now: Instant) -> Option<Arc<Server>> {
        let ended = self.current.take()?;
        self.tries.push(TryEntry {
            server: Arc::clone(ended.server.endpoint_text()),
            outcome,
            status: self.try_status.take(),
            began: ended.began.saturating_duration_since(self.arrival.at),
            took: now.saturating_duration_since(ended.began),
        });
        Some(ended.server)
    }

    /// Decides what becomes of the request after a failed try, and pays for a further one.
    pub fn decide(
        &mut self,
        failure: retry::Failure,
        request: RequestFacts,
        now: Instant,
    ) -> retry::Decision {
        let (Some(upstream), Some(settings)) = (&self.upstream, &self.settings) else {
            return retry::Decision::GiveUp;
        };
        let mut tried = self.tried.clone();
        tried.extend(self.current.as_ref().map(|try_| Arc::clone(&try_.server)));
        let limit = settings.timeouts.request;
        let situation = retry::Situation {
            repeatable: self.repeatable,
            replayable: request.replayable,
            answered: request.answered,
            tries: self.sent_tries + u32::from(failure != retry::Failure::NotConnected),
            another: match failure {
                // There is an answer at hand, which is better than to wait for a place.
                retry::Failure::Unavailable => upstream.has_another(&tried),
                _ => upstream.has_another_to_wait_for(&tried),
            },
            expired: self
                .sent
                .is_some_and(|sent| now.saturating_duration_since(sent) >= limit),
        };
        let decision = retry::decide(&settings.retry, failure, &situation);
        // Nothing was sent, or it was paid for when the try was cut.
        let free = matches!(
            failure,
            retry::Failure::NotConnected | retry::Failure::Silent
        );
        if decision == retry::Decision::AnotherServer && !free && !upstream.spend(now) {
            return retry::Decision::GiveUp;
        }
        decision
    }
}

impl Exchange {
    /// Whether a request whose server says that something is away which all share goes on to one
    /// that has not just said the same: once, and not while all have.
    pub fn may_ask_another(&mut self, request: RequestFacts, now: Instant) -> bool {
        let Some(upstream) = self.upstream.clone() else {
            return false;
        };
        let took = self.current.as_ref().map(|current| current.age(now));
        let came_late = took.is_some_and(|took| took > EARLY);
        if self.asked_another || came_late || upstream.is_degraded() {
            return false;
        }
        let tried = self.tried.len();
        self.tried.extend(upstream.who_says_away(now));
        let decision = self.decide(retry::Failure::Unavailable, request, now);
        self.asked_another = decision == retry::Decision::AnotherServer;
        if !self.asked_another {
            self.tried.truncate(tried);
        }
        self.asked_another
    }

    /// Ends the current try after its failure and says where the next one goes.
    pub fn settle(
        &mut self,
        failure: retry::Failure,
        decision: retry::Decision,
        outcome: &'static str,
        now: Instant,
    ) {
        if decision != retry::Decision::SameServer && failure != retry::Failure::NotConnected {
            self.sent_tries += 1;
        }
        let Some(server) = self.end_try(outcome, now) else {
            return;
        };
        if decision != retry::Decision::GiveUp
            && let Some(upstream) = &self.upstream
        {
            upstream.retries().count(outcome);
        }
        if decision == retry::Decision::SameServer {
            self.again = Some(server);
        } else {
            server.count_failure();
            self.tried.push(server);
        }
    }
}

/// What the session knows of a request that may be sent again.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts {
    /// What was read of its body is still at hand.
    pub replayable: bool,
    /// A part of an answer has gone to the client.
    pub answered: bool,
}

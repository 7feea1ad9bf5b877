//! One server of an upstream: where it is, how it fares, what it has in hand.
//!
//! Shared by the requests that go there, its health checks and the status page. Its state starts
//! afresh when its address comes back after having been gone.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use pingora_core::upstreams::peer::{HttpPeer, Scheme};
use tokio::sync::Notify;

use super::dialler::Dialler;
use super::health::{Cause, Health, Mode, State};
use super::queue::Queue;
use super::settings::{ServerSettings, Timeouts};
use super::stamp::Stamp;
use super::standing::Standing;
use super::tls::Tls;
use super::tries::Tries;
use crate::balance::hashing;
use crate::figures::ServerFigures;

/// Tells connection pools of servers, and of single fresh connections, apart.
static NEXT_POOL: AtomicU64 = AtomicU64::new(1);

/// How long a server may be quiet before its pooled connections are held for old.
const RESTED: Duration = Duration::from_secs(1);

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// An IP address and a TCP port.
    Inet(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One server.
#[derive(Debug)]
pub struct Server {
    address: String,
    endpoint: Endpoint,
    endpoint_text: Arc<str>,
    weight: AtomicU32,
    peer: ArcSwap<HttpPeer>,
    dialler: ArcSwap<Dialler>,
    health: Mutex<Health>,
    pub(super) standing: Standing,
    heard: Stamp,
    said_away: Stamp,
    answered_probe: Stamp,
    probing: AtomicBool,
    tries: Arc<Tries>,
    figures: ServerFigures,
    requests: AtomicU64,
    failures: AtomicU64,
    instance: Mutex<Option<String>>,
    retired: AtomicBool,
    unwatched: AtomicBool,
    woken: Notify,
    /// Its next health check is due at once.
    due: Notify,
}

impl Server {
    /// A server at `endpoint`, out until its first health check passes.
    ///
    /// Fails when the path of a Unix socket is too long for one.
    pub fn new(
        settings: &ServerSettings,
        endpoint: Endpoint,
        timeouts: &Timeouts,
        now: Instant,
    ) -> Result<Self, Box<pingora_error::Error>> {
        let mut peer = match &endpoint {
            Endpoint::Inet(address) => HttpPeer::new(address, false, String::new()),
            Endpoint::Unix(path) => {
                HttpPeer::new_uds(&path.to_string_lossy(), false, String::new())?
            }
        };
        peer.group_key = NEXT_POOL.fetch_add(1, Ordering::Relaxed);
        let figures = ServerFigures::default();
        let dialler = limit(&mut peer, timeouts, &figures);
        let address = settings.address.to_string();
        let endpoint_text: Arc<str> = endpoint.to_string().into();
        let identity = hashing::identity(&address, &endpoint_text);
        Ok(Self {
            standing: Standing::new(settings, identity, now),
            address,
            endpoint_text,
            endpoint,
            weight: AtomicU32::new(settings.weight),
            peer: ArcSwap::from_pointee(peer),
            dialler: ArcSwap::new(dialler),
            health: Mutex::new(Health::new(settings.down, now)),
            heard: Stamp::unset(now),
            said_away: Stamp::unset(now),
            answered_probe: Stamp::unset(now),
            probing: AtomicBool::new(false),
            tries: Arc::default(),
            figures,
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            instance: Mutex::new(None),
            retired: AtomicBool::new(false),
            unwatched: AtomicBool::new(false),
            woken: Notify::new(),
            due: Notify::new(),
        })
    }

    /// The same, with the queue of the upstream that it joins.
    pub(super) fn waited_for_in(self, queue: Arc<Queue>) -> Self {
        Self {
            tries: Arc::new(Tries::before(queue)),
            ..self
        }
    }

    /// The address as configured.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The endpoint in words.
    pub fn endpoint_text(&self) -> &Arc<str> {
        &self.endpoint_text
    }

    /// The weight that it has now, configured or given at run time.
    pub fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    /// Gives it another weight, which counts from the next pick.
    pub fn set_weight(&self, weight: u32) {
        self.weight.store(weight, Ordering::Relaxed);
    }

    /// Takes in what the operator wants of it. Returns whether that is new.
    pub fn set_mode(&self, mode: Mode, now: Instant) -> bool {
        let is_new = self.with_health(|health| health.set_mode(mode, now));
        self.due.notify_one();
        is_new
    }

    /// Takes limits over, for connections that are made from now on.
    pub(super) fn set_limits(&self, timeouts: &Timeouts, tls: Option<&Tls>) {
        let mut peer = HttpPeer::clone(&self.peer.load());
        let dialler = limit(&mut peer, timeouts, &self.figures);
        // Connections that were made by other rules are used no more.
        peer.group_key = NEXT_POOL.fetch_add(1, Ordering::Relaxed);
        match tls {
            Some(tls) => {
                tls.secure(&mut peer);
                peer.options.total_connection_timeout = Some(timeouts.connect);
            }
            None => peer.scheme = Scheme::HTTP,
        }
        self.peer.store(Arc::new(peer));
        self.dialler.store(dialler);
        self.due.notify_one();
    }

    /// How Pingora reaches it. A `fresh` peer uses no pooled connection.
    pub fn peer(&self, fresh: bool) -> Box<HttpPeer> {
        let mut peer = Box::new(HttpPeer::clone(&self.peer.load()));
        if fresh {
            peer.group_key = NEXT_POOL.fetch_add(1, Ordering::Relaxed);
            // Nobody will ever ask for it under this key.
            peer.options.idle_timeout = Some(Duration::ZERO);
        }
        peer
    }

    /// How Pingora reaches it for a tunnel. A Unix socket needs a connection of its own for that.
    pub fn tunnel_peer(&self, fresh: bool) -> Box<HttpPeer> {
        let is_unix = matches!(self.endpoint, Endpoint::Unix(_));
        let mut peer = self.peer(fresh || is_unix);
        if is_unix {
            peer.options.custom_l4 = Some(Arc::new(self.dialler.load().for_tunnels()));
        }
        peer
    }

    /// Whether nothing was heard of it for so long that it may be about to close its idle
    /// connections: a request that cannot be sent again then better takes a fresh one.
    pub fn is_rested(&self, now: Instant) -> bool {
        let heard = self.heard.at();
        heard.is_none_or(|heard| now.saturating_duration_since(heard) >= RESTED)
    }

    /// What stands in `Host` where the client has named none.
    pub fn host_field(&self) -> &str {
        match &self.endpoint {
            Endpoint::Inet(_) => &self.address,
            Endpoint::Unix(_) => "localhost",
        }
    }

    /// The tries in hand.
    pub fn tries(&self) -> &Arc<Tries> {
        &self.tries
    }

    /// How many requests it has in hand.
    pub fn in_flight(&self) -> usize {
        self.tries.count()
    }

    /// When a byte last came from it.
    pub fn heard(&self) -> &Stamp {
        &self.heard
    }

    /// When it last answered a health check, well or not.
    pub(super) fn answered_probe(&self) -> &Stamp {
        &self.answered_probe
    }

    /// When it last said that something is away which all servers share.
    pub fn said_away(&self) -> &Stamp {
        &self.said_away
    }

    /// Lets `change` work on the health and keeps the pick in step with it.
    pub fn with_health<T>(&self, change: impl FnOnce(&mut Health) -> T) -> T {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut health);
        let state = if self.is_retired() {
            State::Out(Cause::Down)
        } else {
            health.state()
        };
        self.standing.follow(state, health.since());
        result
    }

    /// Whether it is down by hand.
    pub fn is_down(&self) -> bool {
        self.with_health(|health| health.mode()) == Mode::Down
    }

    /// Waits until its health check is due before its time.
    pub(super) async fn check_due(&self) {
        self.due.notified().await;
    }

    /// Whether it has said that it is stopping.
    pub fn is_draining(&self) -> bool {
        self.with_health(|health| health.state()) == State::Out(Cause::Draining)
    }

    /// Takes the turn to probe the server out of its ordinary turn; one at a time.
    pub fn begin_probe(self: &Arc<Self>) -> Option<ProbeTurn> {
        let begun = !self.probing.swap(true, Ordering::AcqRel);
        begun.then(|| ProbeTurn(Arc::clone(self)))
    }

    /// What is counted of it beside its requests.
    pub fn figures(&self) -> &ServerFigures {
        &self.figures
    }

    /// Counts a request that was sent here.
    pub fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a try that failed here.
    pub fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests sent here and tries that failed here.
    pub fn counts(&self) -> (u64, u64) {
        (
            self.requests.load(Ordering::Relaxed),
            self.failures.load(Ordering::Relaxed),
        )
    }

    /// The name that it gave in its last health answer.
    pub fn instance(&self) -> Option<String> {
        self.lock_instance().clone()
    }

    /// Remembers the name that it gave in a health answer.
    pub fn set_instance(&self, name: &str) {
        let mut instance = self.lock_instance();
        if instance.as_deref() != Some(name) {
            *instance = Some(name.to_owned());
        }
    }

    /// Takes it out for good: it is no longer part of its upstream.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.with_health(|_| ());
        self.end_checks();
    }

    /// Ends its health checks; requests that know it may still go there.
    pub fn end_checks(&self) {
        self.unwatched.store(true, Ordering::Release);
        self.woken.notify_waiters();
    }

    /// Whether it is no longer part of its upstream.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Whether its health checks have ended.
    pub fn is_unwatched(&self) -> bool {
        self.unwatched.load(Ordering::Acquire)
    }

    /// Waits until its health checks are to end.
    pub async fn end_of_checks(&self) {
        let woken = self.woken.notified();
        if !self.is_unwatched() {
            woken.await;
        }
    }

    fn lock_instance(&self) -> MutexGuard<'_, Option<String>> {
        self.instance.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Limits connections that are made from now on. Returns who makes them.
fn limit(peer: &mut HttpPeer, timeouts: &Timeouts, figures: &ServerFigures) -> Arc<Dialler> {
    let dialler = Arc::new(Dialler::new(
        timeouts.connect,
        Arc::clone(&figures.connections),
    ));
    peer.options.custom_l4 = Some(Arc::clone(&dialler) as _);
    peer.options.idle_timeout = Some(timeouts.keep_alive);
    peer.options.write_timeout = Some(timeouts.first_byte);
    dialler
}

/// The turn to probe a server; given back when dropped.
#[derive(Debug)]
pub struct ProbeTurn(Arc<Server>);

impl Drop for ProbeTurn {
    fn drop(&mut self) {
        self.0.probing.store(false, Ordering::Release);
    }
}

//! Upstreams: sets of servers that answer the same requests.
//!
//! [`discovery`] finds the servers, [`probe`] and [`silence`] watch them, and [`Upstream::pick`]
//! chooses one for a request by asking [`crate::balance`]. Connections are made by [`dialler`].

mod dependency;
pub mod dialler;
pub mod discovery;
pub mod health;
mod members;
mod pick;
pub mod probe;
mod queue;
mod relay;
pub mod server;
mod settings;
pub mod silence;
mod stamp;
mod standing;
mod tls;
mod trial;
pub mod tries;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::{ArcSwap, Guard};

use crate::balance::{Balancer, Fitness};
use crate::events::{Events, What};
use crate::figures::Tally;
use crate::retry::Budget;
use dependency::Dependency;
use health::{Break, Cause, Health, Probe};
use members::Members;
pub use members::by_hand::Change;
pub use pick::{Explained, Picked};
use queue::Queue;
pub use queue::{Placing, Ticket};
use server::Server;
pub use settings::{
    Address, EjectSettings, HealthSettings, QueueSettings, ServerSettings, Settings, Timeouts,
};
use tls::Distrust;
pub use tls::{Authorities, ServerName, Tls};
use trial::Trials;
use tries::Before;

/// Why a server is up again.
const PASSED: &str = "health check passed";
/// Why one is that had been ejected.
const EJECTION_OVER: &str = "its ejection is over";

/// A set of servers that answer the same requests.
#[derive(Debug)]
pub struct Upstream {
    name: Arc<str>,
    events: Arc<Events>,
    settings: ArcSwap<Settings>,
    members: Mutex<Members>,
    /// Its servers in one row, in the file's order, for picks.
    servers: ArcSwap<Vec<Arc<Server>>>,
    balancer: Mutex<Balancer>,
    budget: Mutex<Budget>,
    retries: Tally,
    /// Requests that wait for a place.
    queue: Arc<Queue>,
    trials: Trials,
    dependency: Dependency,
}

impl Upstream {
    /// An upstream whose servers are not known yet; [`Self::start`] finds them.
    pub fn new(settings: Settings, events: Arc<Events>, now: Instant) -> Self {
        Self {
            name: Arc::clone(&settings.name),
            events,
            retries: Tally::default(),
            members: Mutex::new(Members::of(&settings)),
            servers: ArcSwap::default(),
            balancer: Mutex::new(Balancer::new(fastrand::u64(..))),
            budget: Mutex::new(Budget::new(settings.retry.budget, now)),
            settings: ArcSwap::from_pointee(settings),
            queue: Arc::default(),
            trials: Trials::default(),
            dependency: Dependency::default(),
        }
    }

    /// Starts discovery, health checks and the watch over silent servers.
    pub fn start(self: &Arc<Self>) {
        self.follow();
        tokio::spawn(silence::watch(Arc::clone(self)));
    }

    /// The name that routes use.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Further tries of its requests, by what became of the try before.
    pub fn retries(&self) -> &Tally {
        &self.retries
    }

    /// What is set of it now. A request takes it once and keeps it.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Puts servers in place that nobody looks for and nobody checks, and draws with this seed: for
    /// a simulation.
    pub fn stand_in(&self, servers: Vec<Server>, seed: u64) {
        *lock(&self.balancer) = Balancer::new(seed);
        let joined = |server: Server| Arc::new(server.waited_for_in(Arc::clone(&self.queue)));
        let servers = servers.into_iter().map(joined).collect();
        self.servers.store(Arc::new(servers));
    }

    /// Its servers as they are now.
    pub fn servers(&self) -> Guard<Arc<Vec<Arc<Server>>>> {
        self.servers.load()
    }

    /// Whether a request that waits on a dead server can go elsewhere now, having tried `before`
    /// even before that; pays for it if it can.
    fn may_move(&self, before: &Before, now: Instant) -> bool {
        let tries = before.sent.saturating_add(1);
        let may_try = tries < self.settings.load().retry.tries;
        may_try && self.has_another(&before.servers) && self.spend(now)
    }

    /// Books a request in the retry budget.
    pub fn earn(&self, now: Instant) {
        lock(&self.budget).earn(now);
    }

    /// Pays for a retry; false when the budget is empty.
    pub fn spend(&self, now: Instant) -> bool {
        lock(&self.budget).spend(now)
    }

    /// Takes a server out because of a hard fact.
    pub fn take_out(&self, server: &Server, cause: Cause, now: Instant) {
        if server.with_health(|health| health.out(cause, now)) {
            self.report(server, PASSED);
        }
    }

    /// Takes out a server with which no TLS came about, and asks at once why.
    pub fn distrust(self: &Arc<Self>, server: &Arc<Server>, now: Instant) {
        self.take_out(server, Cause::Tls(Distrust::Handshake), now);
        silence::probe_now(self, server);
    }

    /// Takes in that a server broke off what it had in hand, and has it asked at once how it is; `at`: where, or
    /// nothing if the answer has counted as a failure already.
    ///
    /// One that did so `by_reset`, rather than by an answer that makes no sense, is out until it
    /// has answered that, unless it is the only one left. One that does so again and again is
    /// ejected, like one that answers with 5xx.
    pub fn broke_off(
        self: &Arc<Self>,
        server: &Arc<Server>,
        at: Option<Break>,
        by_reset: bool,
        now: Instant,
    ) {
        self.doubt(server, at, by_reset, now);
        silence::probe_now(self, server);
    }

    /// The same; the caller sees to the probe.
    pub fn doubt(&self, server: &Arc<Server>, at: Option<Break>, by_reset: bool, now: Instant) {
        let is_last = !self.has_another(std::slice::from_ref(server));
        let was_up = server.fitness() == Fitness::Up;
        if by_reset && !is_last {
            self.take_out(server, Cause::BrokeOff, now);
        }
        let eject = &self.settings.load().eject;
        let earns_it = |at| server.with_health(|health| health.broke_off(at, eject, now));
        if was_up && at.is_some_and(earns_it) {
            self.eject(server, now);
        }
    }

    /// Takes in the status of an answer; ejects the server when too many in a row have failed and
    /// not too many others are ejected.
    pub fn answered(&self, server: &Server, failed: bool, now: Instant) {
        let eject = &self.settings.load().eject;
        if server.with_health(|health| health.answered(failed, eject, now)) {
            self.eject(server, now);
        }
    }

    /// Takes in that a good answer has come whole.
    pub fn came_whole(&self, server: &Server) {
        server.with_health(Health::came_whole);
    }

    fn eject(&self, server: &Server, now: Instant) {
        if self.may_eject_one_more() {
            let eject = &self.settings.load().eject;
            server.with_health(|health| health.eject(eject, now));
            server.figures().ejections.fetch_add(1, Ordering::Relaxed);
            self.report(server, PASSED);
        }
    }

    /// Takes in the result of a health check.
    pub fn probed(&self, server: &Server, result: Probe, now: Instant) {
        if matches!(result, Probe::Passed | Probe::Draining | Probe::Unwell(_)) {
            server.answered_probe().set(now);
        }
        let checks = &self.settings.load().health;
        let (is_over, changed) = server.with_health(|health| {
            let is_over = health.tick(now);
            let changed = health.probed(result, checks, now);
            (is_over, changed || health.first_pass_is_late(now))
        });
        if is_over || changed {
            self.report(server, if is_over { EJECTION_OVER } else { PASSED });
        }
    }

    fn may_eject_one_more(&self) -> bool {
        let servers = self.servers.load();
        let ejected = servers.iter().filter(|s| s.fitness() == Fitness::Ejected);
        let ejected = ejected.count();
        (ejected + 1) as f64 <= self.settings.load().eject.at_most * servers.len() as f64
    }

    /// Tells that the upstream as a whole has become degraded, or for what `cause` no longer is.
    fn report_degraded(&self, is_degraded: bool, cause: &'static str) {
        let upstream = Arc::clone(&self.name);
        let what = if is_degraded {
            What::UpstreamDegraded { upstream }
        } else {
            What::UpstreamRecovered { upstream }
        };
        self.events.tell(what, cause);
    }

    /// Tells that a server has gone out, or for what `cause` it is up again.
    fn report(&self, server: &Server, up: &'static str) {
        // Who waits for a place may find one now, or learn that there is none to wait for.
        self.queue.wake();
        let place = self.whereabouts(server);
        match server.with_health(|health| health.why_out()) {
            None => self.events.tell(What::ServerUp(place), up),
            Some(cause) => self.events.tell(What::ServerOut(place), cause),
        }
    }
}

/// The locks here guard plain values that no panic leaves half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! When all servers are out by a hard fact, one request at a time may try one all the same.
//!
//! Health checks bring servers back; this is for where they err, or come a moment too late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::Upstream;
use super::health::{Cause, State};
use super::pick::Picked;
use super::server::Server;

/// The turn of the one request, and whose turn it is to be tried.
#[derive(Debug, Default)]
pub(super) struct Trials {
    under_way: Arc<AtomicBool>,
    made: AtomicUsize,
}

/// The turn to try a server that is out; given back when dropped.
#[derive(Debug)]
pub(super) struct Trial(Arc<AtomicBool>);

impl Drop for Trial {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Upstream {
    /// Picks a server that is out, for a request that finds nobody else.
    pub(super) fn try_one_that_is_out(&self, servers: &[Arc<Server>]) -> Option<Picked> {
        let out: Vec<_> = servers
            .iter()
            .filter(|server| may_be_tried(server))
            .collect();
        if out.is_empty() || self.trials.under_way.swap(true, Ordering::AcqRel) {
            return None;
        }
        let trial = Trial(Arc::clone(&self.trials.under_way));
        let turn = self.trials.made.fetch_add(1, Ordering::Relaxed) % out.len();
        let mut picked = out[turn].take();
        picked.slot.is_trial(trial);
        Some(picked)
    }
}

/// Whether a server is out by what was seen of it, rather than by what it or somebody has said.
fn may_be_tried(server: &Server) -> bool {
    let seen = matches!(
        server.with_health(|health| health.state()),
        State::Out(Cause::NotConnected | Cause::BrokeOff | Cause::Silent | Cause::HealthCheck)
    );
    seen && server.weight() > 0 && !server.is_full() && !server.is_retired()
}

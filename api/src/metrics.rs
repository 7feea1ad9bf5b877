//! What is counted of the work of this instance.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The counters of one instance.
pub struct Metrics {
    logins_refused: Family<Why, Counter>,
    repeated_keys: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    why: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let logins_refused = Family::default();
        registry.register("x", "x", logins_refused.clone());
        Self {
            logins_refused,
            repeated_keys: Counter::default(),
        }
    }
}

impl Metrics {
    /// Counts a sign-in that was refused: `wrong`, `throttled` or `busy`.
    pub fn login_refused(&self, why: &'static str) {
        self.logins_refused.get_or_create(&Why { why }).inc();
    }

    /// Counts a write whose key was used before, and which got the stored answer.
    pub fn key_repeated(&self) {
        self.repeated_keys.inc();
    }
}

//! What is measured of the database work of this instance. Clones share the values.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

/// The bounds of the buckets, in seconds: from a query by key to the whole budget of a request.
const BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5,
];

/// The measured values.
#[derive(Clone)]
pub struct Meters {
    /// How many pieces of work wait for a connection.
    pub waiting: Gauge,
    /// How long a piece of work took, the wait for a connection included, in seconds.
    pub seconds: Histogram,
    /// How many reads needed no query of their own, because equal ones waited at the same moment.
    pub shared: Counter,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            waiting: Gauge::default(),
            seconds: Histogram::new(BUCKETS),
            shared: Counter::default(),
        }
    }
}

impl Meters {
    /// Counts one that waits, for as long as the guard lives; its future may be dropped on the way.
    pub(super) fn wait(&self) -> Waiting {
        self.waiting.inc();
        Waiting(self.waiting.clone())
    }
}

/// One that waits.
pub(super) struct Waiting(Gauge);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}

//! A steady load beside a scenario: the same probe that a person starts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stack::probe::{self, Report, Running, Settings};

use crate::world::{SECOND, World};

/// A load under way.
pub(crate) struct Load<'a> {
    world: &'a World,
    running: Running,
    seconds: Arc<AtomicUsize>,
}

impl World {
    /// Starts 40 requests a second, three of ten of them writes, and waits until they flow.
    pub(crate) fn load(&self, new_connections: bool) -> Load<'_> {
        let settings = Settings {
            url: format!("http://{}/", self.address).parse().unwrap(),
            rate: 40.0,
            post: 0.3,
            new_connections,
            path: None,
            slow: SECOND,
            timeout: Duration::from_secs(35),
            keep: false,
            authorization: Some(self.authorization()),
        };
        let seconds = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&seconds);
        let running = self.clock.block_on(async {
            probe::start(settings, move |_| {
                counter.fetch_add(1, Ordering::Relaxed);
            })
        });
        let load = Load {
            world: self,
            running,
            seconds,
        };
        load.flows_on();
        load
    }
}

impl Load<'_> {
    /// Waits until another whole second of load has passed.
    pub(crate) fn flows_on(&self) {
        let until = self.seconds.load(Ordering::Relaxed) + 2;
        self.world.eventually(30 * SECOND, "the load flows", || {
            self.seconds.load(Ordering::Relaxed) >= until
        });
    }

    /// Ends it, after another second, and says what became of every request.
    pub(crate) fn end(self) -> Report {
        self.flows_on();
        let report = self.world.clock.block_on(self.running.stop()).unwrap();
        assert!(report.sent > 40, "{report}");
        report
    }
}

//! When the process is to end: the first signal asks for a drain, the second ends it at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Running,
    Draining,
    Over,
}

/// A view of whether the process is to end. Clones see the same.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Stage>);

/// The other end of a [`Stop`]: whoever holds it says when to end.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Stage>);

impl Stop {
    /// Makes a pair of which neither listens to signals.
    #[must_use]
    pub fn pair() -> (Stopper, Self) {
        let (sender, receiver) = watch::channel(Stage::Running);
        (Stopper(sender), Self(receiver))
    }

    /// Follows SIGTERM and SIGINT from now on.
    pub fn on_signals() -> io::Result<Self> {
        let (stopper, stop) = Self::pair();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                tracing::info!("{name}: stopping");
                stopper.next();
            }
        });
        Ok(stop)
    }

    /// Tells whether the process was told to end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.0.borrow() >= Stage::Draining
    }

    /// Waits until the process is told to end.
    pub async fn draining(&self) {
        self.reached(Stage::Draining).await;
    }

    /// Waits until the process is told to end at once.
    pub async fn over(&self) {
        self.reached(Stage::Over).await;
    }

    /// Runs `work` to its end, or gives it up and returns `None` when the process is told to end.
    pub async fn unless<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.draining() => None,
        }
    }

    async fn reached(&self, stage: Stage) {
        // A stopper that is gone can never stop anything.
        if self.0.clone().wait_for(|now| *now >= stage).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Stopper {
    /// Goes one stage further: first the drain, then the end.
    pub fn next(&self) {
        self.0.send_modify(|stage| {
            *stage = match *stage {
                Stage::Running => Stage::Draining,
                Stage::Draining | Stage::Over => Stage::Over,
            };
        });
    }
}

//! How far the proxy has come with stopping; set by [`crate::server`], read by everybody.

use tokio::sync::watch;

/// The phases of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not stopping.
    Serving,
    /// Still accepting, and telling every client to go elsewhere next time.
    Announcing,
    /// No longer accepting.
    Deaf,
    /// Connections between two requests are closed.
    Closing,
}

/// The phase that the proxy is in, for all who need to know.
#[derive(Debug)]
pub struct Drain {
    phase: watch::Sender<Phase>,
    /// The same for Pingora, which wants to know only whether it has begun.
    begun: watch::Sender<bool>,
    /// What Pingora looks at: one for all requests.
    told: watch::Receiver<bool>,
}

impl Default for Drain {
    fn default() -> Self {
        let (begun, told) = watch::channel(false);
        Self {
            phase: watch::Sender::new(Phase::Serving),
            begun,
            told,
        }
    }
}

impl Drain {
    /// Goes on to a later phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
        self.begun.send_replace(phase > Phase::Serving);
    }

    /// Whether the proxy is stopping.
    pub fn has_begun(&self) -> bool {
        *self.phase.borrow() > Phase::Serving
    }

    /// Waits until a phase is reached or passed.
    pub async fn reached(&self, awaited: Phase) {
        let mut phase = self.phase.subscribe();
        // The sender lives as long as `self`: waiting cannot fail.
        let _ = phase.wait_for(|phase| *phase >= awaited).await;
    }

    /// The watch that Pingora takes.
    pub fn watch(&self) -> &watch::Receiver<bool> {
        &self.told
    }
}

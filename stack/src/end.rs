//! What ends the stack from outside: a signal, or the end of whoever started it.

use std::os::unix::process::parent_id;
use std::time::Duration;

use nix::unistd::{Pid, getsid};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use crate::Fault;

/// How often is looked whether the parent still lives.
const LOOK: Duration = Duration::from_millis(200);

/// What can end the stack from outside.
pub(crate) struct End {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// `None` when the stack was detached on purpose.
    parent: Option<u32>,
}

impl End {
    /// Takes over the signals, so that none is missed from here on.
    pub(crate) fn prepare() -> Result<Self, Fault> {
        let handler =
            |kind| signal(kind).map_err(|error| Fault::new(format!("signal handler: {error}")));
        Ok(Self {
            interrupt: handler(SignalKind::interrupt())?,
            terminate: handler(SignalKind::terminate())?,
            hangup: handler(SignalKind::hangup())?,
            parent: parent_to_watch(),
        })
    }

    /// Waits for the next reason to end.
    pub(crate) async fn begins(&mut self) -> &'static str {
        let orphaned = async {
            while self.parent.is_none() || self.parent == Some(parent_id()) {
                sleep(LOOK).await;
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => "interrupted",
            _ = self.terminate.recv() => "told to end",
            _ = self.hangup.recv() => "the terminal was closed",
            () = orphaned => {
                self.parent = None;
                "the parent process ended"
            }
        }
    }
}

/// A session of its own (`setsid stack up`) is how one asks to outlive the terminal and its shell.
fn parent_to_watch() -> Option<u32> {
    let detached = getsid(None) == Ok(Pid::this());
    (!detached).then(parent_id)
}

//! The tries that a server has in hand, so that they can be watched and cut together.
//!
//! [`crate::gateway`] opens a [`Try`] for each request it sends to a server and tells it what
//! happens; [`super::silence`] looks at all of them and may cut one.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use slab::Slab;

use super::dialler::CutHandle;
use super::queue::Queue;
use super::server::Server;
use super::stamp::Stamp;
use super::trial::{self, Trial};

const WAITING: u8 = 0;
const ANSWERED: u8 = 1;
const SILENT: u8 = 2;
const LATE: u8 = 3;

/// Why a try was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Its server answered neither it nor a probe.
    Silent,
    /// It had all the time that a try may have.
    Late,
}

/// Where a request was before this try.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// The servers that it has tried.
    pub servers: Box<[Arc<Server>]>,
    /// How many of those tries have sent something.
    pub sent: u32,
}

/// One request on one server, seen from outside the task that carries it.
#[derive(Debug)]
pub struct Try {
    phase: AtomicU8,
    /// Set with each piece of the request that is passed on.
    pub moved: Stamp,
    /// Set when the request was sent whole.
    pub sent: Stamp,
    /// Set with each piece of the answer.
    pub heard: Stamp,
    /// The moment when it is given up; set with [`Self::sent`].
    pub gives_up: Stamp,
    /// Where the request was before, if it may go elsewhere when this try is cut.
    before: Option<Before>,
    /// What was sent of it cannot be sent again.
    pinned: AtomicBool,
    connection: OnceLock<Arc<CutHandle>>,
    /// Its connection has become a tunnel, in which both sides may be silent.
    tunnel: AtomicBool,
    /// Its connection was shut down from here.
    disconnected: AtomicBool,
}

impl Try {
    /// Remembers the connection that carries the try.
    pub fn connected(&self, connection: Arc<CutHandle>) {
        // A try has one connection; a second call would be a bug that changes nothing.
        let _ = self.connection.set(connection);
    }

    /// The connection, once there is one.
    pub fn connection(&self) -> Option<&Arc<CutHandle>> {
        self.connection.get()
    }

    /// Notes that the request cannot be sent again.
    pub fn pin(&self) {
        self.pinned.store(true, Ordering::Release);
    }

    /// Where the request was before, if it was sent whole and may still go to another server.
    pub fn movable_from(&self) -> Option<&Before> {
        let waits = self.phase.load(Ordering::Acquire) == WAITING && self.sent.at().is_some();
        let before = self.before.as_ref();
        before.filter(|_| waits && !self.pinned.load(Ordering::Acquire))
    }

    /// Notes that the connection has become a tunnel: silence in it means nothing.
    pub fn became_tunnel(&self) {
        self.tunnel.store(true, Ordering::Release);
    }

    /// Whether the connection has become a tunnel.
    pub fn is_tunnel(&self) -> bool {
        self.tunnel.load(Ordering::Acquire)
    }

    /// Whether the server has sent something that was not read yet: then it is the client who
    /// takes its time.
    pub fn has_unread(&self) -> bool {
        self.connection.get().is_some_and(|c| c.has_unread())
    }

    /// Notes that the answer has begun. Returns why the try was cut, if it was faster.
    pub fn answered(&self) -> Option<Cut> {
        let before =
            self.phase
                .compare_exchange(WAITING, ANSWERED, Ordering::AcqRel, Ordering::Acquire);
        before.err().and_then(cut_of)
    }

    /// Why the try was cut, if it was.
    pub fn was_cut(&self) -> Option<Cut> {
        cut_of(self.phase.load(Ordering::Acquire))
    }

    /// Ends the try if it still waits for its answer.
    pub fn cut(&self, cut: Cut) {
        let phase = match cut {
            Cut::Silent => SILENT,
            Cut::Late => LATE,
        };
        let won = self
            .phase
            .compare_exchange(WAITING, phase, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        if won {
            self.disconnect();
        }
    }

    /// Whether the connection was shut down from here, whatever the phase.
    pub fn was_disconnected(&self) -> bool {
        self.disconnected.load(Ordering::Acquire)
    }

    /// Shuts the connection down, whatever the phase.
    pub fn disconnect(&self) {
        self.disconnected.store(true, Ordering::Release);
        if let Some(connection) = self.connection.get() {
            connection.cut();
        }
    }
}

fn cut_of(phase: u8) -> Option<Cut> {
    match phase {
        SILENT => Some(Cut::Silent),
        LATE => Some(Cut::Late),
        _ => None,
    }
}

/// The tries of one server.
#[derive(Debug, Default)]
pub struct Tries {
    /// Held for one insertion, removal or copy.
    open: Mutex<Slab<Arc<Try>>>,
    count: AtomicUsize,
    /// Where requests wait for a place.
    queue: Arc<Queue>,
}

impl Tries {
    /// None, at a server of an upstream with this queue.
    pub(super) fn before(queue: Arc<Queue>) -> Self {
        Self {
            queue,
            ..Self::default()
        }
    }

    /// Takes a place among what the server has in hand.
    pub fn take_slot(self: &Arc<Self>) -> Slot {
        self.count.fetch_add(1, Ordering::SeqCst);
        Slot {
            tries: Arc::clone(self),
            trial: None,
        }
    }

    /// How many places are taken.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// All of them, as they are now.
    pub fn snapshot(&self) -> Vec<Arc<Try>> {
        self.lock().iter().map(|(_, entry)| entry.clone()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Slab<Arc<Try>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among what a server has in hand, for a try to come; given back when dropped.
#[derive(Debug)]
pub struct Slot {
    tries: Arc<Tries>,
    /// Kept until the place is given back.
    trial: Option<Trial>,
}

impl Slot {
    /// Has it keep the turn to try a server that is out.
    pub(super) fn is_trial(&mut self, trial: Trial) {
        self.trial = Some(trial);
    }

    /// How long a connection may take, if not as long as is set of the upstream.
    pub fn connect_limit(&self) -> Option<Duration> {
        self.trial.as_ref().map(|_| trial::CONNECT)
    }

    /// Opens a try; it is closed when the guard is dropped.
    ///
    /// `before` is where its request was, if it may be sent again at all.
    pub fn open(self, before: Option<Before>, now: Instant) -> OpenTry {
        let entry = Arc::new(Try {
            phase: AtomicU8::new(WAITING),
            moved: Stamp::unset(now),
            sent: Stamp::unset(now),
            heard: Stamp::unset(now),
            gives_up: Stamp::unset(now),
            before,
            pinned: AtomicBool::new(false),
            connection: OnceLock::new(),
            tunnel: AtomicBool::new(false),
            disconnected: AtomicBool::new(false),
        });
        let key = self.tries.lock().insert(Arc::clone(&entry));
        OpenTry {
            slot: self,
            key,
            entry,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.tries.count.fetch_sub(1, Ordering::SeqCst);
        self.tries.queue.wake();
    }
}

/// An open try; dropping it closes it, also when its request panics or its client leaves.
#[derive(Debug)]
pub struct OpenTry {
    slot: Slot,
    key: usize,
    entry: Arc<Try>,
}

impl OpenTry {
    /// The try for somebody who may have to end it from outside.
    pub fn handle(&self) -> Arc<Try> {
        Arc::clone(&self.entry)
    }
}

impl std::ops::Deref for OpenTry {
    type Target = Try;

    fn deref(&self) -> &Try {
        &self.entry
    }
}

impl Drop for OpenTry {
    fn drop(&mut self) {
        self.slot.tries.lock().try_remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_open() {
        let tries = Arc::new(Tries::default());
        let first = tries
            .take_slot()
            .open(Some(Before::default()), Instant::now());
        let second = tries.take_slot().open(None, Instant::now());
        let to_come = tries.take_slot();
        assert_eq!(tries.snapshot().len(), 2);
        assert_eq!(tries.count(), 3);
        drop(to_come);
        drop(first);
        drop(second);
        assert_eq!((tries.count(), tries.snapshot().len()), (0, 0));
    }

    #[test]
    fn an_answer_and_a_cut_exclude_each_other() {
        let tries = Arc::new(Tries::default());
        let answered = tries
            .take_slot()
            .open(Some(Before::default()), Instant::now());
        assert_eq!(answered.answered(), None);
        answered.cut(Cut::Silent);
        assert_eq!(answered.was_cut(), None);
        let cut = tries
            .take_slot()
            .open(Some(Before::default()), Instant::now());
        cut.cut(Cut::Late);
        assert_eq!(cut.answered(), Some(Cut::Late));
    }
}

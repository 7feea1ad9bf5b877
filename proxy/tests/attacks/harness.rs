//! Runs one attack: quiet, attacked, and 2 s afterwards.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::honest::{self, Account};
use crate::table::{Attack, Attacker};
use crate::target::Target;

/// What the honest client's p99 may always be.
const FLOOR: Duration = Duration::from_millis(20);
/// The memory that the proxy may have, in MiB.
const MEMORY: f64 = 400.0;
/// Machines that do something else besides, and builds that are slow, are given so much more time;
/// in full form nobody is.
const ROOM: u32 = 5;
/// How long attackers may take to get in place.
const IN_PLACE: Duration = Duration::from_secs(60);
/// When all is normal again.
const NORMAL: Duration = Duration::from_secs(2);
/// How many attackers come at a time.
const AT_A_TIME: usize = 64;

/// How much of everything.
pub(crate) struct Form {
    is_full: bool,
    quiet: Duration,
    during: Duration,
    settle: Duration,
}

impl Form {
    pub(crate) fn of_environment() -> Self {
        let is_full = std::env::var("ATTACKS").is_ok_and(|form| form == "full");
        let millis = |full, short| Duration::from_millis(if is_full { full } else { short });
        Self {
            is_full,
            quiet: millis(5_000, 500),
            during: millis(15_000, 1_000),
            settle: millis(2_000, 1_000).min(NORMAL),
        }
    }

    fn attackers(&self, attack: &Attack) -> u32 {
        if self.is_full {
            attack.attackers
        } else {
            attack.attackers / 10
        }
    }
}

/// What came of an attack.
pub(crate) struct Row {
    name: &'static str,
    attackers: u32,
    room: u32,
    quiet: Account,
    during: Account,
    after: Account,
    /// Of the proxy, in KiB: before, and the most.
    memory: (u64, u64),
}

/// Runs one attack.
pub(crate) fn run(attack: &Attack, form: &Form) -> Row {
    let attackers = form.attackers(attack);
    allow_connections(u64::from(attackers) + 500);
    let target = Target::start();
    let honest = target.addresses.plain;
    // The first requests, while the server is not known to be up yet, count for nothing.
    honest::ask_for(Duration::from_millis(300), honest);
    let quiet = honest::ask_for(form.quiet, honest);
    let before = target.memory();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let attack_under_way = runtime.block_on(begin(attack, attackers, &target));
    let is_over = AtomicBool::new(false);
    let (during, most) = thread::scope(|scope| {
        let watch = scope.spawn(|| watch_memory(&target, &is_over));
        let during = honest::ask_for(form.during, honest);
        is_over.store(true, Ordering::Relaxed);
        (during, watch.join().unwrap())
    });
    drop(attack_under_way);
    runtime.shutdown_background();
    thread::sleep(form.settle);
    let after = honest::ask_for(form.quiet, honest);
    Row {
        name: attack.name,
        attackers,
        room: if form.is_full { 1 } else { ROOM },
        quiet,
        during,
        after,
        memory: (before, most),
    }
}

/// Starts all attackers, and waits until they are in place.
async fn begin(attack: &Attack, attackers: u32, target: &Target) -> JoinSet<()> {
    let (in_place, mut told) = mpsc::unbounded_channel();
    let mut under_way = JoinSet::new();
    let all_in_place = async {
        let mut waiting = 0;
        for number in 0..attackers {
            let in_place = in_place.clone();
            under_way.spawn((attack.way)(
                target.addresses,
                Attacker { number, in_place },
            ));
            waiting += 1;
            if waiting >= AT_A_TIME && told.recv().await.is_some() {
                waiting -= 1;
            }
        }
        while waiting > 0 && told.recv().await.is_some() {
            waiting -= 1;
        }
    };
    let placed = tokio::time::timeout(IN_PLACE, all_in_place).await;
    assert!(placed.is_ok(), "{}: not all came into place", attack.name);
    under_way
}

fn watch_memory(target: &Target, is_over: &AtomicBool) -> u64 {
    let mut most = target.memory();
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(50));
        most = most.max(target.memory());
    }
    most
}

fn allow_connections(need: u64) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if soft < need {
        assert!(hard >= need, "{need} open files are needed (ulimit -Hn)");
        setrlimit(Resource::RLIMIT_NOFILE, need, hard).unwrap();
    }
}

impl Row {
    pub(crate) const HEAD: &str = "| attack | attackers | p99 quiet, ms | during | after | asked, failed | memory, MiB | for each, KiB |\n| --- | --- | --- | --- | --- | --- | --- | --- |";

    fn bound(&self) -> Duration {
        (self.quiet.p99 * 2).max(FLOOR)
    }

    /// Fails where the honest client was harmed.
    pub(crate) fn judge(&self) {
        let name = self.name;
        for (when, account) in [("during", &self.during), ("after", &self.after)] {
            assert_eq!(account.failed, 0, "{name}, {when}: {account:?}");
            assert!(account.requests > 0);
            assert!(
                account.p99 < self.bound() * self.room,
                "{name}, {when}: {account:?}, quiet {:?}",
                self.quiet
            );
        }
        assert!(
            mebibytes(self.memory.1) < MEMORY,
            "{name}: {:?}",
            self.memory
        );
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |account: &Account| account.p99.as_secs_f64() * 1000.0;
        let late = |account: &Account| {
            if account.p99 < self.bound() {
                ""
            } else {
                " (!)"
            }
        };
        let (before, most) = self.memory;
        let each = most.saturating_sub(before) as f64 / f64::from(self.attackers);
        write!(
            f,
            "| {} | {} | {:.1} | {:.1}{} | {:.1}{} | {}, {} | {:.0} | {each:.1} |",
            self.name,
            self.attackers,
            ms(&self.quiet),
            ms(&self.during),
            late(&self.during),
            ms(&self.after),
            late(&self.after),
            self.during.requests + self.after.requests,
            self.during.failed + self.after.failed,
            mebibytes(most),
        )
    }
}

fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}

//! `kill -9`, again and again, of instances and of Postgres, under writes with keys.
//!
//! `API_TEST_KILL_SECONDS` says for how long; 8 by default.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::RwLock;
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::ledger::{Ledger, post};
use crate::running::Running;
use crate::support::within;

const CLIENTS: usize = 4;

/// Sends songs, each under its own key and to the instances in turn, until it is acknowledged.
async fn client(
    number: usize,
    programs: &[RwLock<Running>; 2],
    ledger: &Ledger,
    over: &AtomicBool,
) {
    let mut turn = number;
    for at in 0.. {
        let song = format!("{number}-{at}");
        loop {
            if over.load(Ordering::Relaxed) {
                return;
            }
            turn += 1;
            let program = programs[turn % 2].read().await;
            let answer = program.try_send(post(&song, Some(&song))).await;
            drop(program);
            if ledger.note(&song, &answer) {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// Kills one after the other, each time as soon as songs are taken again.
async fn kill(
    length: Duration,
    cluster: &mut Cluster,
    programs: &[RwLock<Running>; 2],
    ledger: &Ledger,
) -> usize {
    let started = Instant::now();
    let mut kills = 0;
    while kills < 3 || started.elapsed() < length {
        let before = ledger.written();
        let patience = Duration::from_secs(60);
        within(patience, "songs that are taken", || async {
            ledger.written() > before + 20
        })
        .await;
        match kills % 3 {
            2 => {
                cluster.kill().await;
                cluster.serve().await;
            }
            // Whoever waits for its answer holds the lock for reading: it is killed by a signal from here.
            which => {
                let victim = &programs[which];
                victim.read().await.kill_now();
                let mut program = victim.write().await;
                program.kill().await;
                program.restart();
            }
        }
        kills += 1;
    }
    kills
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_survives_every_kill_and_nothing_is_doubled() {
    let mut cluster = Cluster::start(&[]).await;
    drop(cluster.migrated().await);
    let database = cluster.database();
    let programs = tokio::join!(Running::start(&database), Running::start(&database));
    let programs = [RwLock::new(programs.0), RwLock::new(programs.1)];
    let (ledger, over) = (Ledger::default(), AtomicBool::new(false));
    #[expect(clippy::disallowed_methods, reason = "a test has no command line")]
    let seconds = std::env::var("API_TEST_KILL_SECONDS").map_or(8, |text| text.parse().unwrap());
    let clients = join_all((0..CLIENTS).map(|at| client(at, &programs, &ledger, &over)));
    let killing = async {
        let length = Duration::from_secs(seconds);
        let kills = kill(length, &mut cluster, &programs, &ledger).await;
        over.store(true, Ordering::Relaxed);
        kills
    };
    let (_, kills) = tokio::join!(clients, killing);
    let pool = cluster.migrated().await;
    eprintln!("{kills} kills, {} songs acknowledged", ledger.written());
    ledger.check(&pool).await;
}

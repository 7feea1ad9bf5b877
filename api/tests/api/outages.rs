//! A Postgres of its own that is paused, restarted, read-only, full, or refuses connections; and instances
//! that stay up all the while.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use http::{Method, StatusCode};
use sqlx::{Connection, PgPool};
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::database::is_unavailable;
use crate::ledger::{Ledger, post};
use crate::running::Running;
use crate::support::{Api, Setup, eventually, request};

/// An answer comes in 2 s; a busy machine gets more.
const IN_TIME: Duration = Duration::from_secs(8);
/// After the database is back it works within a second; a busy machine gets more.
const SOON: Duration = Duration::from_secs(5);

/// How long a song is that leaves no useful gap in a page of Postgres.
const ROW: usize = 1500;

/// Adds songs, half of them under a key, from some clients at once until told to stop.
async fn add_songs(program: &Running, ledger: &Ledger, over: &AtomicBool) {
    let client = |number: usize| async move {
        for at in 0.. {
            if over.load(Ordering::Relaxed) {
                return;
            }
            let song = format!("{number}-{at}");
            let key = number.is_multiple_of(2).then_some(song.as_str());
            ledger.note(&song, &program.try_send(post(&song, key)).await);
            // A pace that no machine finds hard.
            sleep(Duration::from_millis(10)).await;
        }
    };
    join_all((0..8).map(client)).await;
}

/// Waits until a write is taken, and returns how long that took.
async fn until_it_writes(program: &Running, ledger: &Ledger, name: &str) -> Duration {
    let (started, mut at) = (Instant::now(), 0);
    loop {
        at += 1;
        let song = format!("{name}-{at}");
        if ledger.note(&song, &program.try_send(post(&song, None)).await) {
            return started.elapsed();
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{name}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_postgres_paused_for_five_seconds_under_writes_leaves_no_ghost() {
    let cluster = Cluster::start(&[]).await;
    let pool = cluster.migrated().await;
    let mut program = Running::start(&cluster.database()).await;
    let (ledger, over) = (Ledger::default(), AtomicBool::new(false));
    let disturbing = async {
        eventually("writes", || async { ledger.written() > 50 }).await;
        cluster.pause();
        sleep(Duration::from_secs(5)).await;
        let health = request(Method::GET, "/healthz", &[], "");
        assert!(
            program
                .try_send(health)
                .await
                .is_ok_and(|answer| answer.status == 200)
        );
        cluster.resume();
        let back = until_it_writes(&program, &ledger, "back").await;
        assert!(back < SOON, "{back:?}");
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(add_songs(&program, &ledger, &over), disturbing);
    assert!(ledger.slowest() < IN_TIME, "{:?}", ledger.slowest());
    assert!(ledger.open() > 0, "nothing was in flight");
    ledger.check(&pool).await;
    assert!(!program.has_ended());
}

#[tokio::test]
async fn a_postgres_that_is_restarted_restarts_no_instance_and_loses_nothing() {
    let mut cluster = Cluster::start(&[]).await;
    let pool = cluster.migrated().await;
    let mut program = Running::start(&cluster.database()).await;
    let (ledger, over) = (Ledger::default(), AtomicBool::new(false));
    let disturbing = async {
        eventually("writes", || async { ledger.written() > 50 }).await;
        cluster.stop().await;
        let down = Instant::now();
        eventually("a while without a Postgres", || async {
            down.elapsed() > Duration::from_secs(2)
        })
        .await;
        cluster.serve().await;
        let back = until_it_writes(&program, &ledger, "back").await;
        assert!(back < SOON, "{back:?}");
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(add_songs(&program, &ledger, &over), disturbing);
    assert!(ledger.slowest() < IN_TIME, "{:?}", ledger.slowest());
    ledger.check(&pool).await;
    assert!(!program.has_ended());
}

#[tokio::test]
async fn connections_that_are_killed_one_by_one_lose_and_double_nothing() {
    let cluster = Cluster::start(&[]).await;
    let pool = cluster.migrated().await;
    let program = Running::start(&cluster.database()).await;
    let (ledger, over) = (Ledger::default(), AtomicBool::new(false));
    let disturbing = async {
        for round in 1..=40 {
            let before = ledger.written();
            eventually("more writes", || async { ledger.written() > before + 3 }).await;
            let kill = "select pg_terminate_backend(pid) from pg_stat_activity
                        where application_name = 'api_8' order by random() limit 1";
            let killed = sqlx::query(kill).execute(&pool).await.unwrap();
            assert!(killed.rows_affected() <= 1, "{round}");
        }
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(add_songs(&program, &ledger, &over), disturbing);
    ledger.check(&pool).await;
    let back = until_it_writes(&program, &ledger, "back").await;
    assert!(back < SOON, "{back:?}");
}

#[tokio::test]
async fn a_hot_standby_reads_and_is_written_to_once_it_is_promoted() {
    let cluster = Cluster::start(&[]).await;
    let pool = cluster.migrated().await;
    sqlx::query("insert into music (song, singer) values ('s', 'x')")
        .execute(&pool)
        .await
        .unwrap();
    let standby = cluster.standby().await;
    let api = Api::start(&standby.database()).await;
    assert_eq!(api.get("/api/music/1/").await.status, StatusCode::OK);
    assert_eq!(api.get("/readyz").await.status, StatusCode::OK);
    for key in [None, Some("k")] {
        // Nobody runs under the key, and nothing is stored: it is certain that nothing was written.
        is_unavailable(&api.send(post("refused", key)).await);
    }
    assert_eq!(
        api.get("/api/music/")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    standby.promote().await;
    eventually("a write", || async {
        api.send(post("taken", Some("k2"))).await.status == StatusCode::CREATED
    })
    .await;
}

#[tokio::test]
async fn a_full_server_is_a_503_and_what_was_written_before_is_still_answered() {
    let cluster = Cluster::start(&[]).await;
    let pool = cluster.migrated().await;
    let api = Api::start(&cluster.database()).await;
    let before = api.send(post("before", Some("before"))).await;
    assert_eq!(before.status, StatusCode::CREATED);
    let disk = Disk::fill(&cluster, &pool).await;
    // As large as what filled it: no gap is left for it.
    let full = "f".repeat(ROW);
    for key in [None, Some("full")] {
        is_unavailable(&api.send(post(&full, key)).await);
    }
    let again = api.send(post("before", Some("before"))).await;
    assert_eq!((again.status, again.body), (before.status, before.body));
    assert_eq!(api.get("/api/music/1/").await.status, StatusCode::OK);
    disk.empty(&pool).await;
    for _ in 0..2 {
        let taken = api.send(post(&full, Some("full"))).await;
        assert_eq!(taken.status, StatusCode::CREATED, "{taken:?}");
    }
    let full: i64 = sqlx::query_scalar("select count(*) from music where song like 'fff%'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(full, 1);
}

/// Where the music is kept, and no room is left.
enum Disk {
    /// A small file system in memory, under a tablespace.
    Mounted(std::path::PathBuf),
    /// Who may not mount gets the same error from a trigger.
    Pretended,
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Self::Mounted(folder) = self {
            drop(Command::new("umount").arg("--lazy").arg(folder).status());
        }
    }
}

impl Disk {
    async fn fill(cluster: &Cluster, pool: &PgPool) -> Self {
        let folder = cluster.folder_for_server("small");
        let mount = |options: &str| {
            let mut mount = Command::new("mount");
            mount
                .args(["-t", "tmpfs", "-o", options, "tmpfs"])
                .arg(&folder);
            mount.output().is_ok_and(|output| output.status.success())
        };
        if !mount("size=256k") {
            eprintln!("cannot mount a small file system: the disk is full by a trigger");
            let full = "create function full_disk() returns trigger language plpgsql as
                $$ begin raise exception 'no space left on device' using errcode = '53100'; end $$;
                create trigger full_disk before insert on music for each row execute function full_disk()";
            sqlx::raw_sql(full).execute(pool).await.unwrap();
            return Self::Pretended;
        }
        let disk = Self::Mounted(folder.clone());
        cluster.give_to_server(&folder);
        let create = format!("create tablespace small location '{}'", folder.display());
        for statement in [&create, "alter table music set tablespace small"] {
            let statement = sqlx::AssertSqlSafe(statement.to_owned());
            sqlx::query(statement).execute(pool).await.unwrap();
        }
        let fill = "insert into music (song, singer) values (repeat('x', $1), 'x')";
        let row = i32::try_from(ROW).unwrap();
        let (mut refused, mut full) = (0, None);
        // The first refusal may be of the map of free space, which is larger than the row itself.
        while refused < 20 {
            let filled = sqlx::query(fill).bind(row).execute(pool).await;
            refused = if filled.is_err() { refused + 1 } else { 0 };
            full = filled.err();
        }
        let full = full.unwrap();
        let code = full.as_database_error().and_then(|error| error.code());
        assert_eq!(code.as_deref(), Some("53100"), "{full}");
        disk
    }

    async fn empty(&self, pool: &PgPool) {
        match self {
            Self::Mounted(folder) => {
                let mut larger = Command::new("mount");
                larger.args(["-o", "remount,size=16m"]).arg(folder);
                assert!(larger.status().unwrap().success());
            }
            Self::Pretended => {
                let drop = sqlx::query("drop trigger full_disk on music");
                drop.execute(pool).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_server_with_too_many_connections_is_a_503_until_there_is_room() {
    let cluster = Cluster::start(&["max_connections=6", "superuser_reserved_connections=1"]).await;
    drop(cluster.migrated().await);
    let mut admin = cluster.connect().await;
    sqlx::raw_sql("create role music login; grant all on all tables in schema public to music;
                   grant all on all sequences in schema public to music; grant select on _sqlx_migrations to music")
        .execute(&mut admin)
        .await
        .unwrap();
    let database = cluster.database().username("music");
    let mut others = Vec::new();
    let refused = loop {
        match sqlx::PgConnection::connect_with(&database).await {
            Ok(connection) => others.push(connection),
            Err(error) => break error,
        }
    };
    let code = refused.as_database_error().and_then(|error| error.code());
    assert_eq!(code.as_deref(), Some("53300"), "{refused}");
    let api = Api::start_with(
        &database,
        Setup {
            connections: 2,
            ..Setup::default()
        },
    )
    .await;
    is_unavailable(&api.get("/api/music/").await);
    is_unavailable(&api.send(post("s", None)).await);
    assert_eq!(api.get("/healthz").await.status, StatusCode::OK);
    for other in others {
        other.close().await.unwrap();
    }
    eventually("a write", || async {
        api.send(post("s", Some("k"))).await.status == StatusCode::CREATED
    })
    .await;
}

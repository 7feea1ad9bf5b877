//! No ghosts: what a client was told was not written is never written later, whoever was paused meanwhile.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use http::{Method, StatusCode};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep_until};

use crate::relay::Relay;
use crate::support::{Answer, Api, NAME, Setup, eventually, request};

/// How long the database is paused: longer than any deadline.
const PAUSE: Duration = Duration::from_secs(5);

/// A write of every kind, with a key and without.
const WRITES: [(&str, &str, bool); 8] = [
    ("POST", "/api/music/", true),
    ("PUT", "/api/music/1/", true),
    ("PATCH", "/api/music/1/", true),
    ("DELETE", "/api/music/1/", true),
    ("POST", "/api/music/", false),
    ("PUT", "/api/music/1/", false),
    ("PATCH", "/api/music/1/", false),
    ("DELETE", "/api/music/1/", false),
];

async fn send(api: &Api, (method, path, keyed): (&str, &str, bool), key: &str) -> Answer {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(Some(("idempotency-key", key)).filter(|_| keyed));
    let body = r#"{"song":"ghost","singer":"x"}"#;
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    api.send(request(method, path, &headers, body)).await
}

/// An API with one connection, for one kind of write.
struct World {
    relay: Relay,
    api: Api,
    write: (&'static str, &'static str, bool),
}

impl World {
    async fn new(database: &PgConnectOptions, write: (&'static str, &'static str, bool)) -> Self {
        let relay = Relay::to(database.clone()).await;
        let setup = Setup {
            connections: 1,
            ..Setup::default()
        };
        let api = Api::start_with(&relay.database, setup).await;
        Self { relay, api, write }
    }

    async fn send(&self, key: &str) -> Answer {
        send(&self.api, self.write, key).await
    }

    /// Has the statement prepared on the connection, so that all of it is sent at once.
    async fn warm_up(&self) {
        let (method, path, keyed) = self.write;
        let elsewhere = path.replace("/1/", "/999/");
        let warm = send(&self.api, (method, &elsewhere, keyed), "warm").await;
        let expected = if method == "POST" { 201 } else { 404 };
        assert_eq!(warm.status, expected, "{warm:?}");
    }
}

/// Warms up until it was quick: a connection that lies idle for a second is asked whether it lives.
async fn warm_up(worlds: &[World]) {
    loop {
        let started = Instant::now();
        join_all(worlds.iter().map(World::warm_up)).await;
        if started.elapsed() < Duration::from_millis(400) {
            return;
        }
    }
}

async fn songs(connection: &mut PgConnection) -> Vec<(i64, String)> {
    sqlx::query_as("select id, song from music order by id")
        .fetch_all(connection)
        .await
        .unwrap()
}

/// Pauses Postgres under a write of every kind; returns the songs before and after.
async fn pause(
    database: &PgConnectOptions,
) -> (Vec<World>, Vec<(i64, String)>, Vec<(i64, String)>) {
    let mut direct = PgConnection::connect_with(database).await.unwrap();
    sqlx::query("insert into music (song, singer) values ('kept', 'x')")
        .execute(&mut direct)
        .await
        .unwrap();
    let worlds = join_all(WRITES.map(|write| World::new(database, write))).await;
    warm_up(&worlds).await;
    let paused = Instant::now();
    worlds.iter().for_each(|world| world.relay.freeze());
    let answers = join_all(worlds.iter().map(|world| world.send("k"))).await;
    for (answer, (method, _, keyed)) in answers.iter().zip(WRITES) {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
        assert!(answer.took < Duration::from_secs(2), "{:?}", answer.took);
        assert_eq!(answer.header("x-lb-cause"), "database");
        let key = if keyed { "k" } else { "" };
        assert_eq!(answer.header("idempotency-key"), key, "{method}");
        assert!(
            !keyed || answer.json()["outcome"] == "unknown",
            "{answer:?}"
        );
    }
    let before = songs(&mut direct).await;
    sleep_until(paused + PAUSE).await;
    worlds.iter().for_each(|world| world.relay.open());
    // The API has left these connections: Postgres reads what lay in them, and then their end.
    let left = "select count(*) from pg_stat_activity
                where application_name = $1 and datname = current_database()";
    eventually("the end of the old connections", || async {
        let mut direct = PgConnection::connect_with(database).await.unwrap();
        let left = sqlx::query_scalar::<_, i64>(left).bind(NAME);
        left.fetch_one(&mut direct).await.unwrap() == 0
    })
    .await;
    let after = songs(&mut direct).await;
    (worlds, before, after)
}

#[sqlx::test(migrations = "../migrations")]
async fn a_statement_that_lay_in_a_paused_postgres_writes_nothing(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let (worlds, before, after) = pause(&database).await;
    assert_eq!(after, before, "a ghost");
    // Asked again, each is carried out, once.
    for world in worlds.iter().filter(|world| world.write.2) {
        let (first, again) = (world.send("k").await, world.send("k").await);
        assert!(first.status.is_success(), "{first:?}");
        assert_eq!((first.status, first.body), (again.status, again.body));
    }
    let mut direct = PgConnection::connect_with(&database).await.unwrap();
    let after = songs(&mut direct).await;
    let added: Vec<_> = after.iter().filter(|row| !before.contains(row)).collect();
    assert_eq!(added.len(), 1, "{added:?}");
}

/// The control: it is the deadline, by the clock of the database, that keeps the ghosts out.
#[sqlx::test(migrations = "../migrations")]
async fn where_the_clock_stands_still_the_same_pause_leaves_ghosts(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let name = database.get_database().unwrap();
    let stopped = format!(
        r#"create function public.clock_timestamp() returns timestamptz language sql volatile as
               $$ select timestamptz '2000-01-01' $$;
           alter database "{name}" set search_path = public, pg_catalog"#
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(stopped))
        .execute(&pool)
        .await
        .unwrap();
    let (_worlds, before, after) = pause(&database).await;
    assert_ne!(after, before);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_write_whose_answer_was_lost_is_answered_when_it_is_asked_for_again(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    // Postgres commits, and its answer never comes: the other half of what "unknown" means.
    let world = World::new(&database, WRITES[0]).await;
    let (relay, api) = (&world.relay, &world.api);
    world.warm_up().await;
    let mut direct = PgConnection::connect_with(&database).await.unwrap();
    let mut lock = PgConnection::connect_with(&database).await.unwrap();
    sqlx::raw_sql("begin; lock table music in share mode")
        .execute(&mut lock)
        .await
        .unwrap();
    let waiting = "select count(*) from pg_stat_activity
                   where application_name = $1 and wait_event_type = 'Lock' and datname = current_database()";
    let (lost, ()) = tokio::join!(send(api, WRITES[0], "k"), async {
        loop {
            let seen: i64 = sqlx::query_scalar(waiting)
                .bind(NAME)
                .fetch_one(&mut direct)
                .await
                .unwrap();
            if seen > 0 {
                break;
            }
        }
        relay.freeze();
        sqlx::raw_sql("rollback").execute(&mut lock).await.unwrap();
    });
    // A slow machine may have let the lock's own limit pass: then it is certain that nothing was written.
    assert_eq!(lost.status, StatusCode::SERVICE_UNAVAILABLE, "{lost:?}");
    relay.open();
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + PAUSE;
    let mut answer = send(api, WRITES[0], "k").await;
    while answer.status != StatusCode::CREATED {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(now < deadline, "{answer:?}");
        answer = send(api, WRITES[0], "k").await;
    }
    let ghosts: i64 = sqlx::query_scalar("select count(*) from music where song = 'ghost'")
        .fetch_one(&mut direct)
        .await
        .unwrap();
    assert_eq!(ghosts, 2, "the one that warmed up, and this one, once");
}

//! The database away, hung, locked, full, read-only, or broken: 503 in time, 500 only for what is broken,
//! and back at work without a restart.

use std::time::Duration;

use futures_util::future::join_all;
use http::{Method, StatusCode};
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use tokio::time::Instant;

use crate::relay::Relay;
use crate::support::{Answer, Api, NAME, Setup, eventually, request};

const IN_TIME: Duration = Duration::from_secs(2);

pub(crate) fn is_unavailable(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.header("x-lb-cause"), "database");
    assert_eq!(answer.header("x-instance"), NAME);
    assert_eq!(
        answer.text(),
        r#"{"detail":"The database is not available. Please try again."}"#
    );
    assert!(answer.took < IN_TIME, "{:?}", answer.took);
}

async fn works(api: &Api) -> bool {
    api.get("/api/music/").await.status == StatusCode::OK
        && api.get("/readyz").await.status == StatusCode::OK
}

async fn is_alive_all_the_same(api: &Api) {
    let health = api.get("/healthz").await;
    assert_eq!(health.status, StatusCode::OK);
    assert!(
        health.took < Duration::from_millis(500),
        "{:?}",
        health.took
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_database_that_is_stopped_is_a_503_until_it_is_back(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let relay = Relay::to(database).await;
    let api = Api::start(&relay.database).await;
    assert!(works(&api).await);
    relay.take_down();
    eventually("the outage", || async {
        api.get("/api/music/").await.status != 200
    })
    .await;
    is_unavailable(&api.get("/api/music/").await);
    is_unavailable(
        &api.write(Method::POST, "/api/music/", r#"{"song":"s","singer":"x"}"#)
            .await,
    );
    is_unavailable(&api.get("/readyz").await);
    is_alive_all_the_same(&api).await;
    // Thirty at once wait no longer than one.
    for answer in join_all((0..30).map(|_| api.get("/api/music/1/"))).await {
        is_unavailable(&answer);
    }
    relay.open();
    eventually("the recovery", || works(&api)).await;
    assert_eq!(
        api.get("/api/music/").await.text(),
        "[]",
        "nothing of the outage was applied"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_database_that_hangs_is_a_503_until_it_is_back(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let relay = Relay::to(database).await;
    let api = Api::start(&relay.database).await;
    // Every place of the pool holds a connection when it hangs.
    join_all((0..8).map(|_| api.get("/readyz"))).await;
    relay.freeze();
    for answer in join_all((0..20).map(|_| api.get("/api/music/"))).await {
        is_unavailable(&answer);
    }
    is_unavailable(&api.get("/readyz").await);
    is_alive_all_the_same(&api).await;
    relay.open();
    eventually("the recovery", || works(&api)).await;
    // No place of the pool was lost: as many queries as connections run at the same time.
    let mut locker = PgConnection::connect_with(&relay.direct).await.unwrap();
    sqlx::raw_sql("begin; lock table music in access exclusive mode")
        .execute(&mut locker)
        .await
        .unwrap();
    for answer in join_all((0..4).map(|_| api.get("/api/music/1/"))).await {
        assert!(
            answer.took < Duration::from_secs(1),
            "it waited for a connection: {answer:?}"
        );
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn connections_that_were_cut_while_idle_are_replaced(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let api = Api::start(&database).await;
    join_all((0..8).map(|_| api.get("/readyz"))).await;
    let mut killer = PgConnection::connect_with(&database).await.unwrap();
    sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and datname = current_database()")
        .bind(NAME)
        .execute(&mut killer)
        .await
        .unwrap();
    eventually("four good answers at once", || async {
        join_all((0..4).map(|_| api.get("/readyz")))
            .await
            .iter()
            .all(|answer| answer.status == 200)
    })
    .await;
}

#[sqlx::test(migrations = "../migrations")]
async fn idle_connections_that_went_silent_cost_no_request(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let relay = Relay::to(database).await;
    let api = Api::start(&relay.database).await;
    join_all((0..8).map(|_| api.get("/readyz"))).await;
    let used = Instant::now();
    relay.abandon();
    eventually("the age at which a connection is checked", || async {
        used.elapsed() > Duration::from_millis(1200)
    })
    .await;
    for answer in join_all((0..8).map(|_| api.get("/api/music/"))).await {
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_connection_that_goes_silent_in_use_leaves_its_place(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    // Silent while it is on its way back to the pool, then while a request uses it.
    for pause in [Duration::ZERO, Duration::from_millis(200)] {
        let relay = Relay::to(database.clone()).await;
        let setup = Setup {
            connections: 1,
            ..Setup::default()
        };
        let api = Api::start_with(&relay.database, setup).await;
        assert_eq!(api.get("/readyz").await.status, StatusCode::OK);
        let used = Instant::now();
        eventually("the pause", || async { used.elapsed() >= pause }).await;
        relay.abandon();
        assert!(api.get("/api/music/").await.took < IN_TIME);
        assert_eq!(api.get("/api/music/").await.status, StatusCode::OK);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_lock_is_not_waited_for_long(_: PgPoolOptions, database: PgConnectOptions) {
    let api = Api::start(&database).await;
    let mut locker = PgConnection::connect_with(&database).await.unwrap();
    sqlx::raw_sql("begin; lock table music in access exclusive mode")
        .execute(&mut locker)
        .await
        .unwrap();
    let answer = api.get("/api/music/").await;
    is_unavailable(&answer);
    assert!(answer.took < Duration::from_secs(1), "{:?}", answer.took);
    sqlx::raw_sql("rollback")
        .execute(&mut locker)
        .await
        .unwrap();
    assert!(works(&api).await);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_statement_that_takes_too_long_is_given_up_by_postgres(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let slow = "create function sleep() returns trigger language plpgsql as
                    $$ begin perform pg_sleep(30); return new; end $$;
                create trigger sleep before insert on music for each row execute function sleep()";
    sqlx::raw_sql(slow).execute(&pool).await.unwrap();
    let api = Api::start(&database).await;
    for headers in [&[][..], &[("idempotency-key", "k")]] {
        let headers = [&[("content-type", "application/json")], headers].concat();
        let body = r#"{"song":"s","singer":"x"}"#;
        let answer = api.send(request(Method::POST, "/api/music/", &headers, body));
        // Postgres says so itself: it is certain that nothing was written.
        is_unavailable(&answer.await);
    }
    assert_eq!(api.get("/api/music/").await.text(), "[]");
}

#[sqlx::test(migrations = "../migrations")]
async fn over_a_full_pool_the_answer_comes_at_once(_: PgPoolOptions, database: PgConnectOptions) {
    let relay = Relay::to(database).await;
    let api = Api::start_with(
        &relay.database,
        Setup {
            connections: 1,
            ..Setup::default()
        },
    )
    .await;
    relay.freeze();
    let answers = join_all((0..60).map(|_| api.get("/api/music/"))).await;
    answers.iter().for_each(is_unavailable);
    let at_once = answers
        .iter()
        .filter(|answer| answer.took < Duration::from_millis(700))
        .count();
    assert!((20..60).contains(&at_once), "{at_once} of 60 did not wait");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_read_only_database_still_reads(_: PgPoolOptions, database: PgConnectOptions) {
    let api = Api::start(&database).await;
    let name = database.get_database().unwrap();
    let mut admin = PgConnection::connect_with(&database).await.unwrap();
    let set = |value: &str| {
        sqlx::AssertSqlSafe(format!(
            r#"alter database "{name}" set default_transaction_read_only = {value}"#
        ))
    };
    sqlx::raw_sql(set("on")).execute(&mut admin).await.unwrap();
    let add = || api.write(Method::POST, "/api/music/", r#"{"song":"s","singer":"x"}"#);
    is_unavailable(&add().await);
    assert_eq!(api.get("/api/music/").await.status, StatusCode::OK);
    sqlx::raw_sql("set default_transaction_read_only = off")
        .execute(&mut admin)
        .await
        .unwrap();
    sqlx::raw_sql(set("off")).execute(&mut admin).await.unwrap();
    // Connections from before keep the old setting, and are thrown away when it shows.
    eventually("a write", || async {
        add().await.status == StatusCode::CREATED
    })
    .await;
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_broken_is_a_500_that_tells_nothing(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let api = Api::start(&database).await;
    let pool = pool.connect_with(database.clone()).await.unwrap();
    sqlx::query("alter table music drop column singer")
        .execute(&pool)
        .await
        .unwrap();
    let answer = api.get("/api/music/1/").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.text(), r#"{"detail":"A server error occurred."}"#);
    assert_eq!(answer.header("x-lb-cause"), "");
    assert_eq!(answer.header("x-instance"), NAME);
}

#[sqlx::test(migrations = false)]
async fn a_database_without_its_tables_is_not_ready(_: PgPoolOptions, database: PgConnectOptions) {
    let api = Api::start(&database).await;
    assert_ne!(api.get("/readyz").await.status, StatusCode::OK);
    is_alive_all_the_same(&api).await;
}

//! The program itself: what it waits for, what it prints, how it ends.

use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{TcpListener, UnixStream};
use tokio::time::{Instant, timeout};

use crate::program::{SECRET, api, output, signal, url};
use crate::support::{Client, PATIENCE, eventually, request};

#[tokio::test]
async fn a_postgres_that_does_not_come_is_waited_for_and_then_named() {
    let environment = [
        (
            "DATABASE_URL",
            "postgres://music:hunter2-secret@127.0.0.1:1/music",
        ),
        ("API_DATABASE_WAIT", "600ms"),
        ("API_LISTEN", "127.0.0.1:0"),
    ];
    let started = Instant::now();
    let (output, errors) = output(&mut api(&["serve"], &environment)).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(errors.contains("waiting for Postgres"), "{errors}");
    let last = errors.lines().last().unwrap();
    assert!(
        last.starts_with("api: Postgres at 127.0.0.1:1 did not answer within 600ms: "),
        "{errors}"
    );
    assert!(!errors.contains(SECRET), "{errors}");
}

#[tokio::test]
async fn a_signal_ends_the_waiting() {
    // A server that accepts and says nothing: the longest wait there is.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://music@{}/music", silent.local_addr().unwrap());
    let child = api(
        &["serve"],
        &[("DATABASE_URL", &url), ("API_LISTEN", "127.0.0.1:0")],
    )
    .spawn()
    .unwrap();
    let _accepted = timeout(PATIENCE, silent.accept()).await.unwrap().unwrap();
    let told = Instant::now();
    signal(&child, "-TERM");
    let output = timeout(PATIENCE, child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        told.elapsed() < Duration::from_secs(1),
        "{:?}",
        told.elapsed()
    );
}

#[sqlx::test(migrations = false)]
async fn what_waiting_cannot_mend_is_said_at_once(_: PgPoolOptions, database: PgConnectOptions) {
    let missing = url(&database).replace(database.get_database().unwrap(), "no_such_database");
    let (output, errors) = output(&mut api(&["migrate"], &[("DATABASE_URL", &missing)])).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        errors.contains("refused") && errors.contains("no_such_database"),
        "{errors}"
    );
    assert!(
        errors.ends_with("\" does not exist\n"),
        "in Postgres's words, without a line of its source: {errors}"
    );
    assert!(!errors.contains(SECRET), "{errors}");
}

#[sqlx::test(migrations = false)]
async fn a_postgres_that_is_too_old_is_refused(pool: PgPoolOptions, database: PgConnectOptions) {
    // A function that stands before Postgres's own in the path of search, and lies.
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let lie = "create function public.current_setting(text) returns text language sql as
               $$ select case $1 when 'server_version_num' then '130018' else '13.18' end $$";
    sqlx::raw_sql(lie).execute(&pool).await.unwrap();
    let url = format!(
        "{}?options=-c%20search_path%3Dpublic%2Cpg_catalog",
        url(&database)
    );
    let (output, errors) = output(&mut api(&["migrate"], &[("DATABASE_URL", &url)])).await;
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("is version 13.18, and 14 or newer is needed"),
        "{errors}"
    );
}

#[sqlx::test(migrations = false)]
async fn two_instances_may_start_at_once_on_an_empty_database(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let url = url(&database);
    for (output, errors) in join_all(
        (0..3).map(|_| async { output(&mut api(&["migrate"], &[("DATABASE_URL", &url)])).await }),
    )
    .await
    {
        assert_eq!(output.status.code(), Some(0), "{errors}");
    }
}

#[sqlx::test(migrations = false)]
async fn it_serves_on_a_socket_logs_each_request_and_ends_on_a_signal(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.sock");
    let listen = format!("unix:{}", path.display());
    let password_file = folder.path().join("password");
    tokio::fs::write(&password_file, format!("{SECRET}\n"))
        .await
        .unwrap();
    let port = database.get_port().to_string();
    let environment = [
        ("API_LISTEN", listen.as_str()),
        ("INSTANCE_NAME", "api2_1"),
        ("PGHOST", database.get_host()),
        ("PGPORT", &port),
        ("PGUSER", database.get_username()),
        ("PGDATABASE", database.get_database().unwrap()),
        ("PGPASSWORD_FILE", password_file.to_str().unwrap()),
        ("RUST_LOG", "debug"),
    ];
    let mut child = api(&["serve"], &environment).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    eventually("a healthy instance", || async {
        api(&["healthcheck"], &environment)
            .status()
            .await
            .unwrap()
            .success()
    })
    .await;

    let mut client = Client::on(UnixStream::connect(&path).await.unwrap()).await;
    let answer = client
        .send(request(
            Method::GET,
            "/api/music/?secret=1",
            &[("x-request-id", "r-1")],
            "",
        ))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("x-instance")),
        (200, "api2_1")
    );
    let line = loop {
        let line = timeout(PATIENCE, lines.next_line())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        if line["request_id"] == "r-1" {
            break line;
        }
    };
    assert_eq!(
        (
            &line["instance"],
            &line["method"],
            &line["path"],
            &line["status"]
        ),
        (
            &"api2_1".into(),
            &"GET".into(),
            &"/api/music/".into(),
            &200.into()
        )
    );
    assert!(
        line["elapsed_ms"]
            .as_f64()
            .is_some_and(|elapsed| elapsed > 0.0),
        "{line}"
    );

    signal(&child, "-TERM");
    let status = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(!path.exists());
    let mut errors = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .await
        .unwrap();
    assert!(
        errors.contains("listening") && errors.contains("SIGTERM"),
        "{errors}"
    );
    assert!(!errors.contains(SECRET), "{errors}");
    let (health, errors) = output(&mut api(&["healthcheck"], &environment)).await;
    assert_eq!(health.status.code(), Some(1), "{errors}");
}

//! The whole list, when it is long: complete, in order, and without holding a connection for a slow reader.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Api, Setup, eventually};

async fn fill(pool: PgPoolOptions, database: &PgConnectOptions, rows: i32, text: &str) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    sqlx::query("insert into music (song, singer) select 'song ' || i || $2, 'x' from generate_series(1, $1) i")
        .bind(rows)
        .bind(text)
        .execute(&pool)
        .await
        .unwrap();
    // Gaps, also at the edges of pages.
    sqlx::query("delete from music where id in (1, 500, 999, 1000, 1001)")
        .execute(&pool)
        .await
        .unwrap();
}

fn ids(list: &serde_json::Value) -> Vec<i64> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|music| music["id"].as_i64().unwrap())
        .collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_list_of_several_pages_is_whole_and_in_order(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    fill(pool, &database, 3005, "").await;
    let api = Api::start(&database).await;
    let answer = api.get("/api/music/").await;
    let expected: Vec<i64> = (1..=3005)
        .filter(|id| ![1, 500, 999, 1000, 1001].contains(id))
        .collect();
    assert_eq!(ids(&answer.json()), expected);
    assert_eq!(answer.header("content-length"), "", "it is streamed");
}

#[sqlx::test(migrations = "../migrations")]
async fn exactly_one_page_ends_as_it_should(pool: PgPoolOptions, database: PgConnectOptions) {
    fill(pool, &database, 1005, "").await;
    let answer = Api::start(&database).await.get("/api/music/").await;
    assert_eq!(ids(&answer.json()).len(), 1000);
}

#[sqlx::test(migrations = "../migrations")]
async fn rows_of_megabytes_come_in_smaller_pages(pool: PgPoolOptions, database: PgConnectOptions) {
    fill(pool, &database, 12, &"x".repeat(700_000)).await;
    let answer = Api::start(&database).await.get("/api/music/").await;
    assert_eq!(ids(&answer.json()), (2..=12).collect::<Vec<_>>());
}

#[sqlx::test(migrations = "../migrations")]
async fn readers_that_do_not_read_hold_no_connection(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    fill(pool, &database, 200, &"x".repeat(200_000)).await;
    let api = Api::start_with(
        &database,
        Setup {
            connections: 1,
            ..Setup::default()
        },
    )
    .await;
    let mut readers = Vec::new();
    for _ in 0..3 {
        let mut reader = TcpStream::connect(api.address).await.unwrap();
        reader
            .write_all(b"GET /api/music/ HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut beginning = [0; 16];
        reader.read_exact(&mut beginning).await.unwrap();
        readers.push(reader);
    }
    // All three wait in the middle of 40 MB, and the only connection is free for others.
    eventually("a free connection", || async {
        api.get("/api/music/2/").await.status == 200
    })
    .await;
    let answer = api.get("/api/music/2/detail/").await;
    assert!(
        answer.status == 200 && answer.took < Duration::from_secs(1),
        "{answer:?}"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_client_that_does_not_read_is_cut_off(pool: PgPoolOptions, database: PgConnectOptions) {
    fill(pool, &database, 200, &"x".repeat(200_000)).await;
    let mut setup = Setup::default();
    setup.limits.write = Duration::from_millis(300);
    setup.limits.drain = Duration::from_secs(600);
    let mut api = Api::start_with(&database, setup).await;
    let mut reader = TcpStream::connect(api.address).await.unwrap();
    reader
        .write_all(b"GET /api/music/ HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    api.stopper.next();
    // With nothing else in flight, the drain ends as soon as this client is given up.
    api.ended().await;
    let mut rest = Vec::new();
    drop(reader.read_to_end(&mut rest).await);
    assert!(
        rest.starts_with(b"HTTP/1.1 200 OK") && !rest.ends_with(b"0\r\n\r\n"),
        "it was not finished"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_list_that_fails_in_the_middle_is_not_taken_for_whole(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    fill(pool.clone(), &database, 200, &"x".repeat(200_000)).await;
    let api = Api::start(&database).await;
    let mut reader = TcpStream::connect(api.address).await.unwrap();
    reader
        .write_all(b"GET /api/music/ HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut beginning = [0; 16];
    reader.read_exact(&mut beginning).await.unwrap();
    let pool = pool.connect_with(database.clone()).await.unwrap();
    sqlx::query("alter table music rename to gone")
        .execute(&pool)
        .await
        .unwrap();
    let mut rest = Vec::new();
    drop(reader.read_to_end(&mut rest).await);
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it was not finished");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_client_that_leaves_ends_its_list(pool: PgPoolOptions, database: PgConnectOptions) {
    fill(pool, &database, 200, &"x".repeat(200_000)).await;
    for list in ["/api/music/", "/api/music/?ordering=-song&search=song"] {
        let mut setup = Setup::default();
        // Nothing but the client's end can end it.
        setup.limits.write = Duration::from_secs(600);
        setup.limits.drain = Duration::from_secs(600);
        let mut api = Api::start_with(&database, setup).await;
        let mut reader = TcpStream::connect(api.address).await.unwrap();
        let head = format!("GET {list} HTTP/1.1\r\nHost: x\r\n\r\n");
        reader.write_all(head.as_bytes()).await.unwrap();
        let mut beginning = [0; 16];
        reader.read_exact(&mut beginning).await.unwrap();
        drop(reader);
        api.stopper.next();
        api.ended().await;
    }
}

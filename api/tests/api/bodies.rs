//! Bodies at the edges: the limit of size, chunks, clients that go away, ids of requests.

use axum::body::{Body, Bytes};
use futures_util::stream;
use http::{Method, StatusCode};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Api, NAME, eventually, request};

const LIMIT: usize = api::sent::LIMIT;
const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// A music whose JSON is as long as asked for.
fn music_of(length: usize) -> String {
    let empty = r#"{"song":"","singer":"x"}"#;
    format!(
        r#"{{"song":"{}","singer":"x"}}"#,
        "a".repeat(length - empty.len())
    )
}

#[sqlx::test(migrations = "../migrations")]
async fn a_body_may_be_as_large_as_the_limit_and_no_larger(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let api = Api::start(&database).await;
    for (length, status) in [
        (LIMIT, 201),
        (LIMIT + 1, 413),
        (4 * LIMIT, 413),
        (17 * LIMIT, 413),
    ] {
        let answer = api
            .send(request(Method::POST, "/api/music/", JSON, music_of(length)))
            .await;
        assert_eq!(answer.status.as_u16(), status, "{length}");
        assert_eq!(answer.header("x-instance"), NAME);
        if status == 413 {
            assert_eq!(
                answer.text(),
                r#"{"detail":"The request body is too large."}"#
            );
        }
    }
    let chunks =
        stream::iter((0..50).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b'['; 64 * 1024]))));
    let chunked = api
        .send(request(
            Method::PUT,
            "/api/music/1/",
            JSON,
            Body::from_stream(chunks),
        ))
        .await;
    assert_eq!(chunked.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_body_may_come_in_chunks(_: PgPoolOptions, database: PgConnectOptions) {
    let api = Api::start(&database).await;
    let chunks = [r#"{"song":"chu"#, r#"nked","singer""#, r#":"x"}"#]
        .map(|part| Ok::<_, std::io::Error>(Bytes::from(part)));
    let body = Body::from_stream(stream::iter(chunks));
    let answer = api
        .send(request(Method::POST, "/api/music/", JSON, body))
        .await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["song"]),
        (201, &"chunked".into())
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn half_a_body_writes_nothing(_: PgPoolOptions, database: PgConnectOptions) {
    let api = Api::start(&database).await;
    let mut client = TcpStream::connect(api.address).await.unwrap();
    let head = "POST /api/music/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n";
    client
        .write_all(format!("{head}{}", r#"{"song":"s","singer":"x"}"#).as_bytes())
        .await
        .unwrap();
    drop(client);
    eventually("the next id", || async { api.add("s", "x").await > 0 }).await;
    assert_eq!(
        api.get("/api/music/")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_request_keeps_its_id_or_gets_one(_: PgPoolOptions, database: PgConnectOptions) {
    let api = Api::start(&database).await;
    let with =
        |id: &'static str| api.send(request(Method::GET, "/nosuch", &[("x-request-id", id)], ""));
    assert_eq!(with("abc-1_2.X").await.header("x-request-id"), "abc-1_2.X");
    let made = with("not valid").await;
    assert_eq!(made.header("x-request-id").len(), 16, "{made:?}");
    assert_ne!(
        made.header("x-request-id"),
        api.get("/nosuch").await.header("x-request-id")
    );
}

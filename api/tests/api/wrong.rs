//! Twenty wrong requests and more of each kind: the right 4xx, JSON for who wants JSON, and nothing internal in it.

use std::collections::BTreeMap;

use http::header::HOST;
use http::{HeaderValue, Method};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::answers::split_request;
use crate::support::{Api, Setup, add_admin, request};
use crate::transcript::wording::expand;
use api::permission::Permission;

/// What would tell a stranger how the program is made, or what it does inside.
const INTERNAL: [&str; 14] = [
    "panic",
    "sqlx",
    "postgres",
    "sql",
    ".rs",
    "src/",
    "backtrace",
    "column \"",
    "relation",
    "tokio",
    "hyper",
    "axum",
    "thread",
    "error returned",
];

/// Runs a table of wrong requests.
async fn check(api: &Api, table: &str) {
    let (mut kind, mut counts, mut wrong) = ("", BTreeMap::<&str, usize>::new(), Vec::new());
    for line in table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        if let Some(next) = line.strip_prefix("= ") {
            kind = next;
            continue;
        }
        *counts.entry(kind).or_default() += 1;
        let (status, rest) = line.split_once(' ').unwrap();
        let (line, headers, body) = split_request(rest);
        let (method, path) = line.split_once(' ').unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let headers: Vec<_> = headers
            .into_iter()
            .map(|(name, value)| (name, expand(value)))
            .collect();
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let mut request = request(method.clone(), &expand(path), &headers, expand(body));
        if let Some((_, host)) = headers.iter().find(|(name, _)| *name == "host") {
            let host = HeaderValue::from_str(host).unwrap();
            request.headers_mut().insert(HOST, host);
        }
        let answer = api.send(request).await;
        // How wrong a body is, is told by what was sent; all else is a fixed sentence.
        let text = answer.text().to_lowercase();
        let is_json = method == Method::HEAD
            || answer.header("content-type") == "application/json" && answer.json().is_object();
        let is_internal = INTERNAL.iter().any(|internal| text.contains(internal));
        if answer.status.as_str() != status || !is_json || is_internal || text.len() > 300 {
            wrong.push(format!(
                "{kind}: {rest:.200}\n  {} {:.300}",
                answer.status, text
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(counts.values().all(|count| *count >= 20), "{counts:?}");
    let list = api.get("/api/music/").await.json();
    assert_eq!(list.as_array().unwrap().len(), 1, "no case writes");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_wrong_request_is_refused_as_it_should_be(_: PgPoolOptions, database: PgConnectOptions) {
    let api = Api::start(&database).await;
    api.add("s", "x").await;
    check(&api, include_str!("wrong.cases")).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn who_may_not_is_told_so(_: PgPoolOptions, database: PgConnectOptions) {
    Api::start(&database).await.add("s", "x").await;
    add_admin(&database).await;
    let setup = Setup {
        permission: Permission::ReadOnly,
        ..Setup::default()
    };
    let api = Api::start_with(&database, setup).await;
    check(&api, include_str!("forbidden.cases")).await;
}

/// Before a request there is one: what is no HTTP is refused by the server itself, without a body.
#[sqlx::test(migrations = "../migrations")]
async fn what_is_no_request_is_refused_before_it_is_one(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let api = Api::start(&database).await;
    let long = "a".repeat(70_000);
    let many: String = (0..600).map(|at| format!("X-{at}: 1\r\n")).collect();
    let mut heads = vec![
        (
            414,
            format!("GET /api/music/?x={long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        ),
        (431, format!("GET /api/ HTTP/1.1\r\nHost: x\r\n{many}\r\n")),
    ];
    for head in [
        "GET /api/ HTTP/1.1\r\nHost x\r\n\r\n",
        "GET /api/ HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n",
        "GET /api/ HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET /api/ HTTP/9.9\r\nHost: x\r\n\r\n",
        "GET  /api/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        "\0GET / HTTP/1.1\r\n\r\n",
        "POST /api/music/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /api/music/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "GET /api/ HTTP/1.1\r\nHo\0st: x\r\n\r\n",
        "GET /api/ HTTP/1.1\r\nHost: x\r\nX: \0\r\n\r\n",
        "\x16\x03\x01\x02\r\n\r\n",
    ] {
        heads.push((400, head.to_owned()));
    }
    for (status, head) in heads {
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A server that refuses may close before it has read everything.
        drop(stream.read_to_end(&mut answer).await);
        let answer = String::from_utf8_lossy(&answer);
        let line = answer.lines().next().unwrap_or_default();
        assert!(
            line.starts_with(&format!("HTTP/1.1 {status} ")),
            "{head:.80}: {answer}"
        );
    }
}

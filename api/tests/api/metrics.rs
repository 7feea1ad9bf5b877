//! What an operator sees: `/metrics` on a listener of its own.

use std::collections::BTreeSet;

use http::Method;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::net::UnixStream;

use crate::program::Serving;
use crate::support::{Answer, Client, eventually, request};

/// The names stand in the first column of its tables.
const DOCUMENTED: &str = include_str!("../../../docs/metrics.md");

async fn scrape(socket: &std::path::Path) -> Answer {
    let mut client = Client::on(UnixStream::connect(socket).await.unwrap()).await;
    client.send(request(Method::GET, "/metrics", &[], "")).await
}

#[sqlx::test(migrations = "../migrations")]
async fn requests_are_counted_by_pattern_and_shown_elsewhere(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("metrics.sock");
    let listen = format!("unix:{}", socket.display());
    let settings = [("API_METRICS_LISTEN", listen.as_str())];
    let serving = Serving::start(folder.path(), "api_1", &database, &settings).await;
    for (method, path, headers) in [
        ("GET", "/api/music/", &[][..]),
        ("GET", "/api/music/", &[]),
        ("GET", "/api/music/123456/", &[]),
        ("GET", "/api/music.json", &[]),
        ("PATCH", "/api/music/1/", &[]),
        ("FOO", "/made-up-path/", &[]),
        ("GET", "/api/", &[("authorization", "Basic bm9ib2R5Ong=")]),
    ] {
        serving
            .send(request(method.parse().unwrap(), path, headers, ""))
            .await;
    }
    // A connection goes back to the pool a moment after its work.
    let at_rest = r#"api_database_connections{state="in_use"} 0"#;
    eventually("all connections are idle", || async {
        scrape(&socket).await.text().contains(at_rest)
    })
    .await;
    let shown = scrape(&socket).await;
    assert_eq!(shown.status, 200);
    assert!(
        shown
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    assert_eq!(shown.header("x-instance"), "api_1");
    let text = shown.text();
    for line in [
        r#"api_requests_total{method="GET",route="/api/music/",status="200"} 3"#,
        r#"api_requests_total{method="GET",route="/api/music/{id}/",status="404"} 1"#,
        r#"api_requests_total{method="PATCH",route="/api/music/{id}/",status="403"} 1"#,
        r#"api_requests_total{method="other",route="none",status="404"} 1"#,
        r#"api_request_duration_seconds_count{route="/api/music/"} 3"#,
        "api_requests_in_flight 0",
        r#"api_logins_refused_total{why="wrong"} 1"#,
        "api_repeated_keys_total 0",
        at_rest,
        "api_database_waiting 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(text.contains("api_database_work_seconds_count "));
    assert!(
        !text.contains("123456") && !text.contains("made-up"),
        "{text}"
    );
    let shown: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let documented: BTreeSet<&str> = DOCUMENTED
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|name| name.starts_with("api_"))
        .map(|name| name.strip_suffix("_total").unwrap_or(name))
        .collect();
    assert_eq!(shown, documented);
    // Clients of the API do not see them.
    let hidden = serving
        .send(request(Method::GET, "/metrics", &[], ""))
        .await;
    assert_eq!(hidden.status, 404);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_that_comes_again_is_counted(_: PgPoolOptions, database: PgConnectOptions) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("metrics.sock");
    let listen = format!("unix:{}", socket.display());
    let settings = [
        ("API_METRICS_LISTEN", listen.as_str()),
        ("API_PERMISSION", "open"),
    ];
    let serving = Serving::start(folder.path(), "api_1", &database, &settings).await;
    for _ in 0..3 {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", "1c1b3f9e-7f5e-4c62-9d8b-8f2f6f3c2a10"),
        ];
        let body = r#"{"song":"s","singer":"x"}"#;
        let answer = serving.send(request(Method::POST, "/api/music/", &headers, body));
        assert_eq!(answer.await.status, 201);
    }
    let shown = scrape(&socket).await;
    let text = shown.text();
    assert!(text.contains("\napi_repeated_keys_total 2\n"), "{text}");
}

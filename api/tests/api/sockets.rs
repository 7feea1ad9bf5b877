//! Listening on TCP and on Unix sockets, and connections that are kept.

use std::time::Duration;

use api::config::Listen;
use api::server::{self, Limits, Listener};
use api::stop::Stop;
use http::{Method, StatusCode};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;

use crate::support::{Api, Client, NAME, PATIENCE, Setup, app, request};

#[sqlx::test(migrations = "../migrations")]
async fn a_connection_serves_many_requests(_: PgPoolOptions, database: PgConnectOptions) {
    let api = Api::start(&database).await;
    let mut client = api.connect().await;
    for status in [404, 200, 405, 200] {
        let (method, path) = match status {
            404 => (Method::GET, "/api/music/1/"),
            405 => (Method::PUT, "/api/music/"),
            _ => (Method::GET, "/api/music/"),
        };
        let answer = client.send(request(method, path, &[], "")).await;
        assert_eq!(answer.status.as_u16(), status);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_head_with_all_fields_that_the_proxy_lets_through_is_read(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let api = Api::start(&database).await;
    // The proxy lets 100 through, and adds a dozen.
    let names: Vec<_> = (0..112).map(|number| format!("x-{number}")).collect();
    let fields: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let mut client = api.connect().await;
    let answer = client
        .send(request(Method::GET, "/healthz", &fields, ""))
        .await;
    assert_eq!(
        (answer.status, answer.header("x-instance")),
        (StatusCode::OK, NAME)
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn an_old_client_is_answered_and_the_connection_closed(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let api = Api::start(&database).await;
    let mut client = TcpStream::connect(api.address).await.unwrap();
    client
        .write_all(b"GET /healthz HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, client.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(
        answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("\r\n\r\nok\n"),
        "{answer}"
    );
    assert!(
        answer.contains(&format!("X-Instance: {NAME}\r\n")),
        "{answer}"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_head_that_never_ends_and_an_idle_connection_are_closed(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let mut setup = Setup::default();
    setup.limits.idle = Duration::from_millis(200);
    let api = Api::start_with(&database, setup).await;
    for beginning in ["GET / HT", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", ""] {
        let mut client = TcpStream::connect(api.address).await.unwrap();
        client.write_all(beginning.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, client.read_to_end(&mut answer))
            .await
            .unwrap()
            .unwrap();
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_unix_socket_serves_is_refused_to_others_and_goes_with_its_server(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.sock");
    let listen = Listen::Unix(path.clone());
    // What a killed process leaves behind.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());

    let listener = Listener::bind(&listen).await.unwrap();
    let (stopper, stop) = Stop::pair();
    let app = app(&database, &Setup::default(), stop.clone()).await;
    let limits = Limits {
        last_call: Duration::ZERO,
        ..Limits::default()
    };
    let serving = tokio::spawn(server::serve(listener, app, stop, limits));

    let refusal = Listener::bind(&listen).await.unwrap_err().to_string();
    assert_eq!(
        refusal,
        format!("API_LISTEN (--listen): {} is in use", path.display())
    );
    let mut client = Client::on(UnixStream::connect(&path).await.unwrap()).await;
    let answer = client
        .send(request(
            Method::GET,
            "/api/",
            &[("x-forwarded-proto", "https")],
            "",
        ))
        .await;
    assert_eq!(
        answer.text(),
        r#"{"music":"https://music.test/api/music/"}"#,
        "its peer is trusted"
    );
    assert_eq!(answer.status, StatusCode::OK);

    stopper.next();
    timeout(PATIENCE, serving).await.unwrap().unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    tokio::fs::write(&file, "x").await.unwrap();
    let refusal = Listener::bind(&Listen::Unix(file.clone()))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        refusal,
        format!(
            "API_LISTEN (--listen): {} is there and is not a socket",
            file.display()
        )
    );
    assert!(file.exists());

    let taken = Listener::bind(&Listen::Tcp(([127, 0, 0, 1], 0).into()))
        .await
        .unwrap();
    let address: std::net::SocketAddr = taken.to_string().parse().unwrap();
    let refusal = Listener::bind(&Listen::Tcp(address))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        refusal,
        format!("API_LISTEN (--listen): {address} is in use")
    );
}

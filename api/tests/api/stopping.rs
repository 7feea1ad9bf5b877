//! The end of an instance, as the proxy needs it: told on every answer, and nothing in flight lost.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::{StreamExt, stream};
use http::{Method, StatusCode};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::support::{Api, Client, Setup, eventually, request};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// A music whose second half is sent when told.
fn music_in_two_parts() -> (Body, oneshot::Sender<()>) {
    let (go, wait) = oneshot::channel();
    let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from(r#"{"song":"s","#))]);
    let second = stream::once(async move {
        drop(wait.await);
        Ok(Bytes::from(r#""singer":"x"}"#))
    });
    (Body::from_stream(first.chain(second)), go)
}

#[sqlx::test(migrations = "../migrations")]
async fn while_it_drains_it_says_so_and_goes_on_serving(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let mut api = Api::start(&database).await;
    let mut kept = api.connect().await;
    assert_eq!(
        kept.send(request(Method::GET, "/healthz", &[], ""))
            .await
            .header("x-lb-drain"),
        ""
    );
    let stopped = Instant::now();
    api.stopper.next();

    let health = kept.send(request(Method::GET, "/healthz", &[], "")).await;
    assert_eq!(
        (health.status, health.text()),
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    );
    for path in ["/api/music/", "/nosuch", "/readyz"] {
        let answer = api.get(path).await;
        assert_eq!(answer.header("x-lb-drain"), "1", "{path}");
    }
    assert_eq!(api.get("/api/music/").await.status, StatusCode::OK);

    eventually("the end of accepting", || async {
        TcpStream::connect(api.address).await.is_err()
    })
    .await;
    let accepted_for = stopped.elapsed();
    assert!(
        accepted_for >= Duration::from_millis(1400),
        "{accepted_for:?}"
    );
    api.ended().await;
    assert!(
        stopped.elapsed() < Duration::from_secs(4),
        "an idle connection holds nothing up"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_in_flight_is_finished(_: PgPoolOptions, database: PgConnectOptions) {
    let mut setup = Setup::default();
    setup.limits.last_call = Duration::ZERO;
    let mut api = Api::start_with(&database, setup).await;
    let (body, go) = music_in_two_parts();
    let mut client = api.connect().await;
    let posting = tokio::spawn(async move {
        client
            .try_send(request(Method::POST, "/api/music/", JSON, body))
            .await
    });
    // An answer on a later connection shows that the one before was accepted.
    assert_eq!(api.get("/healthz").await.status, StatusCode::OK);
    api.stopper.next();
    eventually("the end of accepting", || async {
        TcpStream::connect(api.address).await.is_err()
    })
    .await;
    go.send(()).unwrap();
    let answer = posting.await.unwrap().unwrap();
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header("x-lb-drain"), "1");
    api.ended().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn the_drain_has_a_limit_and_a_second_signal_ends_it_at_once(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    for second_signal in [false, true] {
        let mut setup = Setup::default();
        setup.limits.last_call = Duration::ZERO;
        setup.limits.drain = if second_signal {
            Duration::from_secs(600)
        } else {
            Duration::from_millis(300)
        };
        let mut api = Api::start_with(&database, setup).await;
        let (body, _never) = music_in_two_parts();
        let mut client = Client::on(TcpStream::connect(api.address).await.unwrap()).await;
        let posting = tokio::spawn(async move {
            client
                .try_send(request(Method::POST, "/api/music/", JSON, body))
                .await
        });
        assert_eq!(api.get("/healthz").await.status, StatusCode::OK);
        api.stopper.next();
        if second_signal {
            api.stopper.next();
        }
        api.ended().await;
        assert!(posting.await.unwrap().is_err(), "it was cut off");
    }
}

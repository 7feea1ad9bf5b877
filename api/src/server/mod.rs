//! Accepts connections, serves HTTP/1 on each, and ends as the proxy expects it.
//!
//! On the first signal: every answer says that it is draining, connections are accepted for a moment more
//! (the proxy needs that long to learn it), then what is in flight comes to its end, within a limit.

mod listener;
mod patient;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tower::ServiceExt;

use crate::stop::Stop;
use listener::Accepted;
use patient::Patient;

pub use listener::{CannotListen, Claim, Listener};

/// How many fields a head may have: the 100 that the proxy lets through, and what it adds to them.
const FIELDS: usize = 128;

/// How long and how many.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A request's head has to come within this time; an idle connection is closed after it.
    pub idle: Duration,
    /// A client has to take up some of its answer within this time.
    pub write: Duration,
    /// How many connections may be open at once; more wait to be accepted.
    pub connections: usize,
    /// How long connections are still accepted after the signal to stop.
    pub last_call: Duration,
    /// How long stopping may take in all.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(75),
            write: Duration::from_secs(30),
            connections: 8192,
            last_call: Duration::from_millis(1500),
            drain: Duration::from_secs(8),
        }
    }
}

/// The address of the other end of a connection; none on a Unix socket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peer(pub Option<IpAddr>);

/// Serves `app` until `stop` says so. Returns when the last connection is closed or the limit is reached.
pub async fn serve(listener: Listener, app: Router, stop: Stop, limits: Limits) {
    tracing::info!(address = %listener, "listening");
    let mut connections = JoinSet::new();
    let graceful = GracefulShutdown::new();
    tokio::select! {
        () = accept(&listener, &app, &mut connections, &graceful, limits) => {}
        () = last_call(&stop, limits) => {}
        () = stop.over() => return,
    }
    let deadline = Instant::now() + limits.drain.saturating_sub(limits.last_call);
    listener.close().await;
    tokio::select! {
        () = graceful.shutdown() => {}
        () = sleep_until(deadline) => tracing::warn!("requests were still in flight at the limit of the drain"),
        () = stop.over() => {}
    }
}

async fn last_call(stop: &Stop, limits: Limits) {
    stop.draining().await;
    sleep(limits.last_call).await;
}

/// Accepts connections for ever, each in a task of its own.
async fn accept(
    listener: &Listener,
    app: &Router,
    connections: &mut JoinSet<()>,
    graceful: &GracefulShutdown,
    limits: Limits,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok(Accepted::Tcp(stream, peer)) => {
                connections.spawn(converse(
                    stream,
                    Peer(Some(peer)),
                    app.clone(),
                    graceful.watcher(),
                    place,
                    limits,
                ));
            }
            Ok(Accepted::Unix(stream)) => {
                connections.spawn(converse(
                    stream,
                    Peer(None),
                    app.clone(),
                    graceful.watcher(),
                    place,
                    limits,
                ));
            }
            Err(error) if listener::is_of_one_connection(&error) => {}
            Err(error) => {
                // Out of file descriptors, most likely: some will come back.
                tracing::error!(cause = %error, "cannot accept connections");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves one connection to its end.
async fn converse<S>(
    stream: S,
    peer: Peer,
    app: Router,
    watcher: Watcher,
    _place: OwnedSemaphorePermit,
    limits: Limits,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service = app.map_request(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_headers(FIELDS)
        // For people who read the answers of curl.
        .title_case_headers(true)
        .serve_connection(
            TokioIo::new(Patient::new(stream, limits.write)),
            TowerToHyperService::new(service),
        );
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(cause = %error, "a connection ended early");
    }
}

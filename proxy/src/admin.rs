//! The admin listener: is the proxy well, and how do its servers fare?

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use crate::access_log::timestamp;
use crate::drain::Drain;
use crate::live::InForce;
use crate::respond;
use crate::upstream::Upstream;
use crate::upstream::health::State as Fitness;
use crate::upstream::server::Server;

/// What the admin listener shows.
#[derive(Debug, Clone)]
pub struct Admin {
    /// What the proxy serves by.
    pub live: InForce,
    /// Whether the proxy is stopping.
    pub drain: Arc<Drain>,
}

/// The admin listener's routes.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/status", get(status))
        .layer(map_response(sign))
        .with_state(admin)
}

/// Every answer says who made it.
async fn sign(mut answer: Response) -> Response {
    let name = HeaderValue::from_static(respond::INSTANCE);
    answer.headers_mut().insert("x-instance", name);
    answer
}

async fn healthz(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    if admin.drain.has_begun() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

#[derive(Debug, Serialize)]
struct Status {
    instance: &'static str,
    version: &'static str,
    draining: bool,
    in_flight: usize,
    upstreams: Vec<UpstreamStatus>,
}

#[derive(Debug, Serialize)]
struct UpstreamStatus {
    name: String,
    method: &'static str,
    /// Requests that wait for a place on a server.
    waiting: usize,
    servers: Vec<ServerStatus>,
    unresolved: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ServerStatus {
    address: String,
    endpoint: String,
    instance: Option<String>,
    weight: u32,
    state: &'static str,
    cause: Option<&'static str>,
    since: String,
    in_flight: usize,
    requests: u64,
    failures: u64,
}

async fn status(State(admin): State<Admin>) -> Json<Status> {
    let live = admin.live.load();
    let upstreams: Vec<_> = live.upstreams.iter().map(|u| upstream_status(u)).collect();
    let servers = upstreams.iter().flat_map(|upstream| &upstream.servers);
    Json(Status {
        instance: respond::INSTANCE,
        version: env!("CARGO_PKG_VERSION"),
        draining: admin.drain.has_begun(),
        in_flight: servers.map(|server| server.in_flight).sum(),
        upstreams,
    })
}

fn upstream_status(upstream: &Upstream) -> UpstreamStatus {
    let now = Instant::now();
    UpstreamStatus {
        name: upstream.name().to_string(),
        method: upstream.settings().method.name(),
        waiting: upstream.waiting(),
        servers: upstream
            .servers()
            .iter()
            .map(|server| server_status(server, now))
            .collect(),
        unresolved: upstream.unresolved(),
    }
}

fn server_status(server: &Server, now: Instant) -> ServerStatus {
    let (fitness, since) = server.with_health(|health| (health.state(), health.since()));
    let (state, cause) = match fitness {
        Fitness::Up => ("up", None),
        Fitness::Out(cause) => ("out", Some(cause.as_str())),
    };
    let (requests, failures) = server.counts();
    let ago: Duration = now.saturating_duration_since(since);
    ServerStatus {
        address: server.address().to_owned(),
        endpoint: server.endpoint_text().to_string(),
        instance: server.instance(),
        weight: server.weight(),
        state,
        cause,
        since: timestamp(SystemTime::now() - ago),
        in_flight: server.in_flight(),
        requests,
        failures,
    }
}

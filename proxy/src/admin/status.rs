//! `GET /status`: the upstreams and how their servers fare.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Admin;
use crate::moment::timestamp;
use crate::respond;
use crate::upstream::Upstream;
use crate::upstream::server::Server;

#[derive(Debug, Serialize)]
pub(super) struct Status {
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
    /// What all its servers have said is away.
    degraded: Option<&'static str>,
    /// Requests that wait for a place on a server.
    waiting: usize,
    servers: Vec<ServerStatus>,
    unresolved: Vec<String>,
    /// Servers that no longer belong to it and still have requests in hand.
    leaving: Vec<Leaving>,
}

#[derive(Debug, Serialize)]
struct Leaving {
    address: String,
    endpoint: Arc<str>,
    in_flight: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct ServerStatus {
    address: String,
    endpoint: Arc<str>,
    instance: Option<String>,
    weight: u32,
    /// What the operator wants: `ready`, `drain` or `down`.
    mode: &'static str,
    /// Picked only when no other can be.
    backup: bool,
    state: &'static str,
    cause: Option<Cow<'static, str>>,
    since: String,
    in_flight: usize,
    /// How many it may have in flight; `None`: as many as come.
    max_connections: Option<u32>,
    requests: u64,
    failures: u64,
}

/// Shows everything.
pub(super) async fn status(State(admin): State<Admin>) -> Json<Status> {
    let live = admin.live.load();
    let upstreams: Vec<_> = live.upstreams.iter().map(|u| upstream_status(u)).collect();
    Json(Status {
        instance: respond::INSTANCE,
        version: env!("CARGO_PKG_VERSION"),
        draining: admin.drain.has_begun(),
        in_flight: upstreams.iter().map(UpstreamStatus::in_flight).sum(),
        upstreams,
    })
}

impl UpstreamStatus {
    fn in_flight(&self) -> usize {
        let members = self.servers.iter().map(|server| server.in_flight);
        let leaving = self.leaving.iter().map(|server| server.in_flight);
        members.chain(leaving).sum()
    }
}

fn upstream_status(upstream: &Upstream) -> UpstreamStatus {
    let now = Instant::now();
    UpstreamStatus {
        name: upstream.name().to_string(),
        method: upstream.settings().method.name(),
        degraded: upstream.is_degraded().then_some("database"),
        waiting: upstream.waiting(),
        servers: upstream
            .servers()
            .iter()
            .map(|server| server_status(server, now))
            .collect(),
        unresolved: upstream.unresolved(),
        leaving: upstream
            .leaving()
            .iter()
            .filter_map(|s| leaving(s))
            .collect(),
    }
}

fn leaving(server: &Server) -> Option<Leaving> {
    let in_flight = server.in_flight();
    (in_flight > 0).then(|| Leaving {
        address: server.address().to_owned(),
        endpoint: Arc::clone(server.endpoint_text()),
        in_flight,
    })
}

/// Shows one server.
pub(super) fn server_status(server: &Server, now: Instant) -> ServerStatus {
    let (mode, cause, since) =
        server.with_health(|health| (health.mode(), health.why_out(), health.since()));
    let (requests, failures) = server.counts();
    let ago: Duration = now.saturating_duration_since(since);
    ServerStatus {
        address: server.address().to_owned(),
        endpoint: Arc::clone(server.endpoint_text()),
        instance: server.instance(),
        weight: server.weight(),
        mode: mode.as_str(),
        backup: server.is_backup(),
        state: if cause.is_some() { "out" } else { "up" },
        cause,
        since: timestamp(SystemTime::now() - ago),
        in_flight: server.in_flight(),
        max_connections: server.max_connections(),
        requests,
        failures,
    }
}

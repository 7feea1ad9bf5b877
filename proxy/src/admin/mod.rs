//! The admin listener: how the proxy and its servers fare, and changes while it runs.
//!
//! `status`, `metrics` and `requests` show, `explain` says where a request would go,
//! `hearing` tells of each change as it happens, `change` changes; `guard` decides who may.
//! Every answer is JSON, faults as `{"detail": …}`.

mod change;
mod explain;
mod guard;
mod hearing;
mod metrics;
mod requests;
mod status;
pub mod token;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use tokio::sync::Semaphore;

use crate::access_log::AccessLog;
use crate::drain::Drain;
use crate::events::Events;
use crate::live::InForce;
use crate::reload::Reloads;
use crate::respond;
use crate::server::places::Places;

/// How many may listen to events at the same time.
const SUBSCRIBERS: usize = 32;

/// What the admin listener shows and changes.
#[derive(Debug, Clone)]
pub struct Admin {
    live: InForce,
    drain: Arc<Drain>,
    events: Arc<Events>,
    reloads: Reloads,
    access_log: Arc<AccessLog>,
    places: Arc<Places>,
    subscribers: Arc<Semaphore>,
}

impl Admin {
    /// An admin listener over these.
    pub fn new(
        live: InForce,
        drain: Arc<Drain>,
        events: Arc<Events>,
        reloads: Reloads,
        access_log: Arc<AccessLog>,
        places: Arc<Places>,
    ) -> Self {
        Self {
            live,
            drain,
            events,
            reloads,
            access_log,
            places,
            subscribers: Arc::new(Semaphore::new(SUBSCRIBERS)),
        }
    }
}

/// The admin listener's routes; `address` is where it listens.
pub fn router(admin: Admin, address: SocketAddr) -> Router {
    let guarded = guard::Guarded {
        live: Arc::clone(&admin.live),
        is_loopback: address.ip().to_canonical().is_loopback(),
    };
    Router::new()
        .route("/healthz", get(healthz))
        .route("/status", get(status::status))
        .route("/explain", get(explain::explain))
        .route("/events", get(hearing::events))
        .route("/metrics", get(metrics::metrics))
        .route("/requests", get(requests::all))
        .route("/requests/{id}", get(requests::one))
        .route("/reload", post(change::reload))
        .route("/upstreams/{upstream}", patch(change::upstream))
        .route(
            "/upstreams/{upstream}/servers/{server}",
            patch(change::server),
        )
        .layer(from_fn_with_state(guarded, guard::guard))
        .layer(map_response(sign))
        .with_state(admin)
}

/// Every answer says who made it, and a fault says in JSON what is wrong.
async fn sign(answer: Response) -> Response {
    let is_said = answer.headers().contains_key(header::CONTENT_TYPE);
    let mut answer = match answer.status() {
        status if status.is_client_error() && !is_said => {
            let method_not_allowed = status == StatusCode::METHOD_NOT_ALLOWED;
            let sentence = if method_not_allowed {
                "This method is not for this address."
            } else {
                "There is nothing at this address."
            };
            let allow = answer.headers().get(header::ALLOW).cloned();
            let mut fault = Fault(status, sentence.to_owned()).into_response();
            if let Some(allow) = allow {
                fault.headers_mut().insert(header::ALLOW, allow);
            }
            fault
        }
        _ => answer,
    };
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

/// What is wrong with a request, in a sentence.
#[derive(Debug)]
struct Fault(StatusCode, String);

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "detail": self.1 });
        (self.0, axum::Json(body)).into_response()
    }
}

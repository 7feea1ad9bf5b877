//! What is counted of the work of this instance, and shown at `/metrics` in the text form of `OpenMetrics`.
//!
//! A route is its pattern, a method one of those that are known: what a client sends makes no new series.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::database::Database;
use crate::router::App;

/// The bounds of the buckets of a request's time, in seconds.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// The counts of one instance.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Routed, Histogram>,
    in_flight: Gauge,
    logins_refused: Family<Why, Counter>,
    repeated_keys: Counter,
    connections: Family<Used, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Routed {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    why: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Used {
    state: &'static str,
}

/// The pattern of the route that a request took, put into the answer for those further out.
#[derive(Clone)]
struct Route(MatchedPath);

impl Metrics {
    /// Begins to count, and shows what the database measures as well.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("api"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Gauge::default(),
            logins_refused: Family::default(),
            repeated_keys: Counter::default(),
            connections: Family::default(),
        };
        metrics.register(database);
        metrics
    }

    fn register(&mut self, database: &Database) {
        let registry = &mut self.registry;
        registry.register(
            "requests",
            "Requests that were answered",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "Time to the head of the answer",
            Unit::Seconds,
            self.seconds.clone(),
        );
        registry.register(
            "requests_in_flight",
            "Requests whose answer has not begun",
            self.in_flight.clone(),
        );
        registry.register(
            "logins_refused",
            "Names and passwords that were refused",
            self.logins_refused.clone(),
        );
        registry.register(
            "repeated_keys",
            "Writes whose key was used before, and which got the stored answer",
            self.repeated_keys.clone(),
        );
        registry.register(
            "database_connections",
            "Connections of the pool",
            self.connections.clone(),
        );
        registry.register(
            "database_waiting",
            "Pieces of work that wait for a connection",
            database.meters().waiting.clone(),
        );
        registry.register_with_unit(
            "database_work",
            "Time of a piece of database work, the wait for a connection included",
            Unit::Seconds,
            database.meters().seconds.clone(),
        );
        registry.register(
            "database_shared_reads",
            "Reads that needed no query of their own, because equal ones waited at the same moment",
            database.meters().shared.clone(),
        );
    }

    /// Counts a sign-in that was refused: `wrong`, `throttled` or `busy`.
    pub fn login_refused(&self, why: &'static str) {
        self.logins_refused.get_or_create(&Why { why }).inc();
    }

    /// Counts a write whose key was used before, and which got the stored answer.
    pub fn key_repeated(&self) {
        self.repeated_keys.inc();
    }

    fn answered(&self, method: &Method, route: &str, status: StatusCode, started: Instant) {
        let route = route.to_owned();
        let seconds = self.seconds.get_or_create(&Routed {
            route: route.clone(),
        });
        seconds.observe(started.elapsed().as_secs_f64());
        // A read of the family's lock must be over before another one may wait for it.
        drop(seconds);
        let answered = Answered {
            method: known(method),
            route,
            status: status.as_u16(),
        };
        self.requests.get_or_create(&answered).inc();
    }

    fn text(&self, database: &Database) -> Result<String, std::fmt::Error> {
        let (in_use, idle) = database.connections();
        for (state, count) in [("in_use", in_use), ("idle", idle)] {
            self.connections.get_or_create(&Used { state }).set(count);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Names a method; those that a client makes up are one.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Counts a request in flight, also one whose client goes away.
struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Counts a request: around everything that can answer it. `answer` is what is further in.
pub async fn count<Answering: Future<Output = Response>>(
    app: &App,
    request: Request,
    answer: impl FnOnce(Request) -> Answering,
) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let metrics = app.metrics();
    metrics.in_flight.inc();
    let _in_flight = InFlight(metrics.in_flight.clone());
    let response = answer(request).await;
    let route = response.extensions().get::<Route>();
    let pattern = route.map_or("none", |Route(path)| path.as_str());
    metrics.answered(&method, pattern, response.status(), started);
    response
}

/// Notes on the answer which route was taken: inside the router, where that is known.
pub async fn note_route(path: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(path) = path {
        response.extensions_mut().insert(Route(path));
    }
    response
}

/// `GET /metrics`.
pub async fn show(State(app): State<App>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match app.metrics().text(app.database()) {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_was_made_up_makes_no_series() {
        assert_eq!(known(&Method::PATCH), "PATCH");
        for odd in ["FOO", "get", "PROPFIND"] {
            assert_eq!(known(&Method::from_bytes(odd.as_bytes()).unwrap()), "other");
        }
    }
}

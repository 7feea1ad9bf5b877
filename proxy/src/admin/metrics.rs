//! `GET /metrics`: the figures in the text format of Prometheus. docs/metrics.md explains each.

use std::fmt::{Display, Write};
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::Admin;
use crate::figures::{BOUNDS_MS, CLASSES, RouteFigures};
use crate::live::Live;
use crate::server::places::Places;
use crate::upstream::Upstream;
use crate::upstream::health::State as Fitness;
use crate::upstream::server::Server;

/// Shows all figures.
pub(super) async fn metrics(State(admin): State<Admin>) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text(&admin)).into_response()
}

fn text(admin: &Admin) -> String {
    let mut page = Page(String::new());
    let live = admin.live.load();
    page.begin("proxy_info", "gauge", "1, and the version");
    page.line("proxy_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.begin("proxy_stopping", "gauge", "1 while the proxy stops");
    page.line("proxy_stopping", &[], u8::from(admin.drain.has_begun()));
    connections(&mut page, &admin.places);
    routes(&mut page, &live);
    upstreams(&mut page, &live);
    servers(&mut page, &live);
    let lost = admin.access_log.dropped();
    page.begin(
        "proxy_access_log_dropped_total",
        "counter",
        "lines that nobody took in time or that could not be written",
    );
    page.line("proxy_access_log_dropped_total", &[], lost);
    let told = admin.events.tally();
    page.begin("proxy_reloads_total", "counter", "reloads by result");
    for (result, event) in [("taken", "reloaded"), ("refused", "reload-refused")] {
        page.line("proxy_reloads_total", &[("result", result)], told.of(event));
    }
    page.begin("proxy_events_total", "counter", "changes of state by kind");
    for (event, count) in told.counts() {
        page.line("proxy_events_total", &[("event", event)], count);
    }
    page.0
}

/// A figure of the clients' connections: its name, its kind, what it is, and how it is read.
type OfPlaces = (&'static str, &'static str, &'static str, fn(&Places) -> u64);

const CONNECTIONS: [OfPlaces; 5] = [
    (
        "proxy_client_connections",
        "gauge",
        "open connections of clients",
        |places| count(places.taken()),
    ),
    (
        "proxy_client_connections_idle",
        "gauge",
        "those that wait for their next request",
        |places| count(places.resting()),
    ),
    (
        "proxy_client_connections_max",
        "gauge",
        "how many there may be",
        |places| count(places.most()),
    ),
    (
        "proxy_client_connections_closed_total",
        "counter",
        "idle ones that were closed to make room",
        Places::called_back,
    ),
    (
        "proxy_client_connections_refused_total",
        "counter",
        "those over max_connections_per_address",
        Places::turned_away,
    ),
];

fn connections(page: &mut Page, places: &Places) {
    for (name, kind, what, read) in CONNECTIONS {
        page.begin(name, kind, what);
        page.line(name, &[], read(places));
    }
}

fn routes(page: &mut Page, live: &Live) {
    let all: Vec<&RouteFigures> = live.figures().collect();
    page.begin(
        "proxy_requests_total",
        "counter",
        "requests that are over, by route and class",
    );
    for route in &all {
        for (class, count) in CLASSES.iter().zip(route.classes()) {
            let labels = [("route", &**route.label()), ("class", *class)];
            page.line("proxy_requests_total", &labels, count);
        }
    }
    page.begin(
        "proxy_requests_in_flight",
        "gauge",
        "requests that are not over, by route",
    );
    for route in &all {
        let labels = [("route", &**route.label())];
        page.line("proxy_requests_in_flight", &labels, route.in_flight());
    }
    page.begin(
        "proxy_rate_limited_total",
        "counter",
        "requests over the rate of their client (429), by route",
    );
    for route in &all {
        let labels = [("route", &**route.label())];
        page.line("proxy_rate_limited_total", &labels, route.limited());
    }
    let name = "proxy_request_duration_seconds";
    page.begin(
        name,
        "histogram",
        "from the first byte of the head to the end of the answer",
    );
    for route in &all {
        let (buckets, seconds) = route.latency();
        for (index, count) in buckets.iter().enumerate() {
            let bound = BOUNDS_MS
                .get(index)
                .map_or_else(|| "+Inf".to_owned(), |&ms| (ms as f64 / 1000.0).to_string());
            let labels = [("route", &**route.label()), ("le", bound.as_str())];
            page.line(&format!("{name}_bucket"), &labels, count);
        }
        let labels = [("route", &**route.label())];
        page.line(&format!("{name}_sum"), &labels, seconds);
        page.line(&format!("{name}_count"), &labels, buckets[BOUNDS_MS.len()]);
    }
}

fn upstreams(page: &mut Page, live: &Live) {
    page.begin(
        "proxy_retries_total",
        "counter",
        "further tries, by what became of the try before",
    );
    for upstream in &live.upstreams {
        for (reason, count) in upstream.retries().counts() {
            let labels = [("upstream", &**upstream.name()), ("reason", reason)];
            page.line("proxy_retries_total", &labels, count);
        }
    }
}

/// A figure of each server: its name, its kind, what it is, and how it is read.
type Figure = (&'static str, &'static str, &'static str, fn(&Server) -> u64);

const FIGURES: [Figure; 9] = [
    (
        "proxy_server_up",
        "gauge",
        "1 when it gets requests",
        |server| u64::from(server.with_health(|health| health.state()) == Fitness::Up),
    ),
    ("proxy_server_weight", "gauge", "its weight now", |server| {
        u64::from(server.weight())
    }),
    (
        "proxy_server_in_flight",
        "gauge",
        "tries in hand",
        |server| count(server.in_flight()),
    ),
    (
        "proxy_server_tries_total",
        "counter",
        "tries begun",
        |server| server.counts().0,
    ),
    (
        "proxy_server_failures_total",
        "counter",
        "tries that failed",
        |server| server.counts().1,
    ),
    (
        "proxy_server_ejections_total",
        "counter",
        "ejections for 5xx answers",
        |server| server.figures().ejections.load(Ordering::Relaxed),
    ),
    (
        "proxy_server_connections",
        "gauge",
        "open connections, used or kept",
        |server| count(server.figures().connections.load(Ordering::Relaxed)),
    ),
    (
        "proxy_server_pool",
        "gauge",
        "kept connections that nothing uses",
        |server| {
            let open = server.figures().connections.load(Ordering::Relaxed);
            count(open.saturating_sub(server.in_flight()))
        },
    ),
    (
        "proxy_server_drained",
        "gauge",
        "1 when it is drained or down by hand",
        |server| {
            let mode = server.with_health(|health| health.mode());
            u64::from(mode != crate::upstream::health::Mode::Ready)
        },
    ),
];

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn servers(page: &mut Page, live: &Live) {
    for (name, kind, what, read) in FIGURES {
        page.begin(name, kind, what);
        each_server(live, |upstream, server| {
            page.line(name, &place(upstream, server), read(server));
        });
    }
    let name = "proxy_health_checks_total";
    page.begin(name, "counter", "health checks by result");
    each_server(live, |upstream, server| {
        for (result, count) in server.figures().checks.counts() {
            let [upstream, address, endpoint] = place(upstream, server);
            page.line(
                name,
                &[upstream, address, endpoint, ("result", result)],
                count,
            );
        }
    });
}

fn each_server(live: &Live, mut show: impl FnMut(&Upstream, &Server)) {
    for upstream in &live.upstreams {
        for server in upstream.servers().iter() {
            show(upstream, server);
        }
    }
}

fn place<'s>(upstream: &'s Upstream, server: &'s Server) -> [(&'static str, &'s str); 3] {
    [
        ("upstream", &**upstream.name()),
        ("server", server.address()),
        ("endpoint", &**server.endpoint_text()),
    ]
}

/// A page in the text format.
struct Page(String);

impl Page {
    fn begin(&mut self, name: &str, kind: &str, what: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {what}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let begin = if index == 0 { '{' } else { ',' };
            let text = text.replace('\\', "\\\\");
            let text = text.replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{begin}{label}=\"{text}\"");
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{end} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::Page;

    #[test]
    fn labels_are_escaped() {
        let mut page = Page(String::new());
        page.begin("a", "gauge", "what it is");
        page.line("a", &[("route", "x\"\\\ny"), ("le", "0.5")], 3);
        page.line("a", &[], 0.25);
        let expected = "# HELP a what it is\n# TYPE a gauge\na{route=\"x\\\"\\\\\\ny\",le=\"0.5\"} 3\na 0.25\n";
        assert_eq!(page.0, expected);
    }
}

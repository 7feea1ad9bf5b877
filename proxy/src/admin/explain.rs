//! `GET /explain?path=…`: where a request would go that is only described, and why not elsewhere.
//!
//! The answer comes from the very pick that a request would meet, made on a copy: nobody's turn is
//! taken. What the edge would refuse is judged by the same [`head`](crate::head).

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use serde::Serialize;

use super::{Admin, Fault};
use crate::balance::{Asked, Reason, Wish};
use crate::files;
use crate::forward;
use crate::gateway::Target;
use crate::head::{self, Verdict};
use crate::rate_limit::{Limit, Refused};
use crate::respond::Failure;
use crate::upstream::{Explained, QueueSettings, Upstream};
use crate::websocket;

/// A request that is only described.
#[derive(Debug)]
struct Described {
    method: Method,
    path: String,
    host: Option<String>,
    client: IpAddr,
    headers: HeaderMap,
}

/// Where it would go.
#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    request: String,
    client: IpAddr,
    route: Option<String>,
    /// The limit of the route, and whether it lets the client in at this moment.
    rate_limit: Option<RateLimit>,
    /// `upstream`, `files` or nothing.
    target: Option<&'static str>,
    /// The name of the file below the folder, and whether it stands in for a missing one.
    file: Option<String>,
    is_fallback: bool,
    /// The path is a folder's: it is sent to the same with a slash.
    redirect: bool,
    upstream: Option<Arc<str>>,
    method: Option<&'static str>,
    /// What the hashing goes by, and whether the request has it.
    hash: Option<String>,
    has_key: bool,
    /// Its sticky cookie names a server.
    has_cookie: bool,
    picked: Option<Arc<str>>,
    /// Why none is picked.
    nobody: Option<String>,
    /// What it gets before it reaches a server, or a file.
    refused: Option<Refusal>,
    candidates: Vec<Candidate>,
}

/// An answer of the proxy's own.
#[derive(Debug, Serialize)]
struct Refusal {
    status: u16,
    why: &'static str,
}

impl Refusal {
    fn of(failure: Failure) -> Self {
        Self::because(failure, failure.cause())
    }

    /// The same, with more to say than the client is told.
    fn because(failure: Failure, why: &'static str) -> Self {
        Self {
            status: failure.status().as_u16(),
            why,
        }
    }
}

/// How many requests each client may send on a route.
#[derive(Debug, Serialize)]
struct RateLimit {
    requests: u32,
    per: String,
    burst: u32,
    /// The request would be let in now.
    admits: bool,
    /// Seconds until it would be.
    retry_after: Option<u32>,
}

impl RateLimit {
    fn of(limit: &Limit, client: IpAddr) -> Self {
        let refused = limit.would_admit(client, Instant::now()).err();
        Self {
            requests: limit.rate.requests,
            per: format!("{:?}", limit.rate.per),
            burst: limit.rate.burst,
            admits: refused.is_none(),
            retry_after: refused.map(Refused::retry_after),
        }
    }
}

/// A server that it could go to.
#[derive(Debug, Serialize)]
struct Candidate {
    server: String,
    endpoint: Arc<str>,
    instance: Option<String>,
    weight: u32,
    /// How much of its weight counts already, in percent.
    warm: u32,
    backup: bool,
    state: &'static str,
    cause: Option<Cow<'static, str>>,
    in_flight: u32,
    max_connections: Option<u32>,
    first_byte_ms: Option<f64>,
    picked: bool,
    why: &'static str,
}

/// Explains where a request would go.
pub(super) async fn explain(
    State(admin): State<Admin>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<Explanation>, Fault> {
    let request = described(pairs).map_err(|told| Fault(StatusCode::BAD_REQUEST, told))?;
    let live = admin.live.load_full();
    let path = request.path.split('?').next().unwrap_or_default();
    let found = live.routes.find(request.host.as_deref(), path);
    let client = live.clients.client_of(request.client, &request.headers);
    let limit = found.as_ref().and_then(|found| found.route.limit.as_ref());
    let mut explanation = Explanation {
        request: format!("{} {}", request.method, request.path),
        client,
        rate_limit: limit.map(|limit| RateLimit::of(limit, client)),
        route: found.as_ref().map(|found| found.matcher.to_string()),
        target: None,
        file: None,
        is_fallback: false,
        redirect: false,
        upstream: None,
        method: None,
        hash: None,
        has_key: false,
        has_cookie: false,
        picked: None,
        nobody: None,
        refused: refused_at_the_edge(&request),
        candidates: Vec::new(),
    };
    if explanation.refused.is_some() {
        return Ok(Json(explanation));
    }
    let below = found.as_ref().map_or("", |found| found.rest);
    match found.as_ref().map(|found| &*found.route.target) {
        Some(Target::Files(root)) => {
            explanation.target = Some("files");
            if matches!(request.method, Method::GET | Method::HEAD) {
                explain_file(&mut explanation, root.explain(path, below).await);
            } else {
                explanation.refused = Some(Refusal::of(Failure::FileMethod));
            }
        }
        Some(Target::Upstream {
            upstream,
            websocket,
            ..
        }) => {
            explanation.target = Some("upstream");
            explanation.refused = refused_handshake(&request, *websocket);
            let asked = Asked {
                headers: &request.headers,
                path,
                client: explanation.client,
            };
            explain_upstream(&mut explanation, upstream, &asked);
        }
        None => {
            let why = live.routes.why_none(request.host.as_deref(), path);
            explanation.refused = why.map(|why| Refusal::because(Failure::NoRoute, why));
        }
    }
    Ok(Json(explanation))
}

fn explain_file(explanation: &mut Explanation, explained: files::Explained) {
    use files::Explained;
    explanation.is_fallback = matches!(explained, Explained::Fallback(_));
    explanation.redirect = explained == Explained::Redirect;
    explanation.refused = match explained {
        Explained::File(name) | Explained::Fallback(name) => {
            explanation.file = Some(name);
            None
        }
        Explained::Redirect => None,
        Explained::Missing => {
            let why = "there is no such file below the folder, and no fallback";
            Some(Refusal::because(Failure::NoFile, why))
        }
        Explained::NeverServed => {
            let why = "such a name is never served: one that begins with a dot, or an empty one";
            Some(Refusal::because(Failure::NoFile, why))
        }
        Explained::Malformed => Some(Refusal::of(Failure::BadPath)),
        Explained::Unavailable => Some(Refusal::of(Failure::FileUnavailable)),
    };
}

/// What the edge would refuse: the head that this request would have, judged.
fn refused_at_the_edge(request: &Described) -> Option<Refusal> {
    let host = request.host.as_deref().unwrap_or("localhost");
    let mut text = format!(
        "{} {} HTTP/1.1\r\nHost: {host}\r\n",
        request.method, request.path
    );
    for (name, value) in &request.headers {
        text.push_str(&format!(
            "{name}: {}\r\n",
            String::from_utf8_lossy(value.as_bytes())
        ));
    }
    text.push_str("\r\n");
    match head::Reader::new(head::Limits::default()).read(text.as_bytes()) {
        Verdict::Refused(refused) => Some(Refusal {
            status: refused.status.as_u16(),
            why: refused.reason,
        }),
        Verdict::Accepted(_) | Verdict::Incomplete => None,
    }
}

/// What an offer of a `WebSocket` gets where none is taken, or if it is malformed.
fn refused_handshake(request: &Described, websocket: bool) -> Option<Refusal> {
    if !forward::asks_for_websocket(&request.headers) {
        return None;
    }
    if !websocket {
        return Some(Refusal::of(Failure::NoWebSocket));
    }
    let judged = websocket::judge(&request.method, Version::HTTP_11, &request.headers);
    let fault = judged.err()?;
    Some(Refusal::of(Failure::BadHandshake(fault)))
}

fn explain_upstream(explanation: &mut Explanation, upstream: &Upstream, asked: &Asked<'_>) {
    let settings = upstream.settings();
    let wish = Wish::of(&settings.method, settings.sticky.as_deref(), asked);
    let now = Instant::now();
    explanation.upstream = Some(Arc::clone(upstream.name()));
    explanation.method = Some(settings.method.name());
    explanation.hash = settings.method.hashed_by();
    explanation.has_key = wish.key.is_some();
    explanation.has_cookie = wish.sticky.is_some();
    let explained = upstream.explain(wish, now);
    let picked = explained.iter().find(|server| server.picked);
    explanation.picked = picked.map(|picked| Arc::clone(picked.server.endpoint_text()));
    if explanation.picked.is_none() || upstream.waiting() > 0 {
        explanation.nobody = Some(why_nobody(upstream, &explained));
        explanation.picked = None;
    }
    explanation.candidates = explained.iter().map(|one| candidate(one, now)).collect();
}

/// What becomes of a request for which no server is free.
fn why_nobody(upstream: &Upstream, explained: &[Explained]) -> String {
    let waiting = upstream.waiting();
    if waiting == 0 && !explained.iter().any(|one| one.reason == Reason::Full) {
        return "none: no server is left, 503".to_owned();
    }
    let queue = upstream.settings().queue;
    if waiting >= queue.length {
        return format!("none: all are full and {waiting} wait already, 503");
    }
    let QueueSettings { length, wait } = queue;
    format!("none: it would wait in the queue, {wait:?} at most ({waiting} of {length} wait)")
}

fn candidate(explained: &Explained, now: Instant) -> Candidate {
    let Explained {
        server,
        candidate,
        reason,
        picked,
    } = explained;
    let cause = server.with_health(|health| health.why_out());
    let first_byte = server.first_byte(now);
    Candidate {
        server: server.address().to_owned(),
        endpoint: Arc::clone(server.endpoint_text()),
        instance: server.instance(),
        weight: candidate.weight,
        warm: candidate.warmth * 100 / crate::balance::slow_start::WARM,
        backup: candidate.backup,
        state: if cause.is_some() { "out" } else { "up" },
        cause,
        in_flight: candidate.in_flight,
        max_connections: server.max_connections(),
        first_byte_ms: first_byte.map(milliseconds),
        picked: *picked,
        why: reason.words(),
    }
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Reads the description of a request; the error says in a sentence what is wrong with it.
fn described(pairs: Vec<(String, String)>) -> Result<Described, String> {
    let mut request = Described {
        method: Method::GET,
        path: String::new(),
        host: None,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        headers: HeaderMap::new(),
    };
    for (key, value) in pairs {
        if value.contains(['\r', '\n']) {
            return Err(format!("`{key}` holds the end of a line."));
        }
        match key.as_str() {
            "method" => {
                let method = value.parse();
                request.method = method.map_err(|_| "`method` is not one.".to_owned())?;
            }
            "path" => request.path = value,
            "host" => request.host = Some(value),
            "client" => {
                let client = value.parse();
                request.client = client.map_err(|_| "`client` is no IP address.".to_owned())?;
            }
            "header" => {
                let (name, value) = header(&value)
                    .ok_or_else(|| "`header` is not of the form `Name: value`.".to_owned())?;
                request.headers.append(name, value);
            }
            _ => {
                let known = "method, path, host, client and header";
                return Err(format!("Only {known} can be given."));
            }
        }
    }
    if !request.path.starts_with('/') {
        return Err("`path` is needed, and begins with a slash.".to_owned());
    }
    Ok(request)
}

fn header(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)], expected: Result<(), &str>) {
        let owned = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let got = described(owned.collect());
        match (got, expected) {
            (Ok(_), Ok(())) => {}
            (Err(told), Err(word)) => assert!(told.contains(word), "{told}"),
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_description_is_read_or_refused_in_a_sentence() {
        check(
            &[
                ("path", "/api/"),
                ("client", "::1"),
                ("header", "X-User: leo"),
            ],
            Ok(()),
        );
        check(&[], Err("path"));
        check(&[("path", "api")], Err("path"));
        check(&[("path", "/"), ("client", "leo")], Err("client"));
        check(&[("path", "/"), ("header", "X-User")], Err("header"));
        check(&[("path", "/"), ("method", "GE T")], Err("method"));
        check(&[("path", "/"), ("user", "leo")], Err("header"));
    }
}

//! What every answer carries, whoever made it, and the one line in the log about it.
//!
//! The outermost layer: nothing inside of it can answer without passing here.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::Level;

use crate::logging;
use crate::router::App;

/// Names the instance that answered.
pub const INSTANCE: HeaderName = HeaderName::from_static("x-instance");
/// Names the request in every log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Tells the proxy that this instance is stopping.
pub const LB_DRAIN: HeaderName = HeaderName::from_static("x-lb-drain");

/// Stamps the answer and logs the request; questions after its health and metrics only at level `debug`.
/// `answer` is what is further in.
pub async fn stamp<Answering: Future<Output = Response>>(
    app: &App,
    request: Request,
    answer: impl FnOnce(Request) -> Answering,
) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let id = request_id(request.headers());
    let mut response = answer(request).await;
    let headers = response.headers_mut();
    headers.insert(INSTANCE, app.instance().header());
    headers.insert(REQUEST_ID, id.clone());
    if app.stop().is_draining() {
        headers.insert(LB_DRAIN, HeaderValue::from_static("1"));
    }
    if is_worth_a_line(&path) {
        let status = response.status().as_u16();
        let elapsed_ms = (started.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        let request_id = id.to_str().unwrap_or_default();
        tracing::info!(
            target: logging::REQUEST,
            instance = %app.instance(), %method, path, status, elapsed_ms, request_id
        );
    }
    response
}

/// Machines ask after an instance's health and metrics every second or so, which would hide the rest.
fn is_worth_a_line(path: &str) -> bool {
    !matches!(path, "/healthz" | "/readyz" | "/metrics")
        || tracing::enabled!(target: logging::REQUEST, Level::DEBUG)
}

/// Takes over the id that came with the request, or makes one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    match headers.get(REQUEST_ID) {
        Some(id) if is_id(id.as_bytes()) => id.clone(),
        _ => new_id(),
    }
}

fn is_id(bytes: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    (1..=64).contains(&bytes.len()) && bytes.iter().all(allowed)
}

/// Makes an id that no other process makes: a count, hashed with keys that the process drew at random.
fn new_id() -> HeaderValue {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let id = format!(
        "{:016x}",
        KEYS.hash_one(COUNT.fetch_add(1, Ordering::Relaxed))
    );
    HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(sent: &str) -> HeaderValue {
        request_id(&HeaderMap::from_iter([(
            REQUEST_ID,
            HeaderValue::from_str(sent).unwrap(),
        )]))
    }

    #[test]
    fn a_valid_id_is_taken_over() {
        let longest = "x".repeat(64);
        for sent in ["a", "A-1_b.c", &longest] {
            assert_eq!(id_for(sent), sent);
        }
    }

    #[test]
    fn any_other_id_is_replaced_by_one_of_its_own() {
        let too_long = "x".repeat(65);
        let made: Vec<_> = ["", "a b", "a\"b", "a/b", &too_long]
            .into_iter()
            .map(id_for)
            .collect();
        for (at, id) in made.iter().enumerate() {
            assert!(is_id(id.as_bytes()), "{id:?}");
            assert!(!made[..at].contains(id), "{id:?} twice");
        }
    }
}

//! `/api/`: where everything else is, as an absolute address.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde_json::json;

use crate::address::Suffix;
use crate::endpoint::{Endpoint, reply};
use crate::error::Error;
use crate::permission::TrustedProxies;
use crate::router::App;
use crate::server::Peer;

/// `/api/`, open to all.
pub static ROOT: Endpoint = Endpoint {
    name: "Api Root",
    description: "The default basic root view for DefaultRouter",
    parses: &[
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ],
    allow: "GET, HEAD, OPTIONS",
    guarded: false,
};

/// Lists the resources. An address that was asked for with a suffix leads on with it.
pub async fn show(State(app): State<App>, request: Request) -> Response {
    let peer = request
        .extensions()
        .get::<Peer>()
        .copied()
        .unwrap_or_default();
    let Some(origin) = origin(request.headers(), peer, &app.access().trusted_proxies) else {
        return Error::BadHost.into_response();
    };
    let music = match request.extensions().get::<Suffix>() {
        Some(Suffix(suffix)) => format!("{origin}/api/music.{suffix}"),
        None => format!("{origin}/api/music/"),
    };
    reply(&json!({ "music": music }))
}

/// Returns the scheme and host that the client used, as far as the peer's word can be taken for it.
fn origin(headers: &HeaderMap, Peer(peer): Peer, trusted: &TrustedProxies) -> Option<String> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let forwarded = |name: &str| text(name).filter(|_| trusted.trusts(peer)).map(last_part);
    let scheme = match forwarded("x-forwarded-proto") {
        Some("https") => "https",
        _ => "http",
    };
    let host = forwarded("x-forwarded-host")
        .or_else(|| text("host"))
        .unwrap_or("localhost");
    is_host(host).then(|| format!("{scheme}://{host}"))
}

/// A proxy that appends puts its own word last.
fn last_part(value: &str) -> &str {
    value.rsplit(',').next().unwrap_or_default().trim()
}

fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &'static str)], peer: &str, expected: Option<&str>) {
        let map = headers.iter().map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )
        });
        let trusted = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let found = origin(&map.collect(), Peer(peer.parse().ok()), &trusted);
        assert_eq!(found.as_deref(), expected, "{headers:?} from {peer}");
    }

    #[test]
    fn the_origin_is_the_clients() {
        let forwarded = [
            ("host", "api:8000"),
            ("x-forwarded-host", "music.example"),
            ("x-forwarded-proto", "https"),
        ];
        check(
            &[("host", "127.0.0.1:8080")],
            "192.0.2.1",
            Some("http://127.0.0.1:8080"),
        );
        check(&forwarded, "10.0.0.2", Some("https://music.example"));
        check(&forwarded, "192.0.2.1", Some("http://api:8000"));
        check(&forwarded, "a Unix socket", Some("https://music.example"));
        check(
            &[("x-forwarded-host", "evil, music.example")],
            "10.0.0.2",
            Some("http://music.example"),
        );
        check(&[], "10.0.0.2", Some("http://localhost"));
        check(&[("host", "bad_host!")], "10.0.0.2", None);
        check(&[("host", "a/b")], "10.0.0.2", None);
    }
}

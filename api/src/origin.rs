//! What the client asked, and who it is, as far as the peer's word can be taken for it. Pure.

use std::net::IpAddr;

use http::HeaderMap;

use crate::permission::TrustedProxies;
use crate::server::Peer;

/// Returns the scheme and host that the client used, as in `https://music.example`.
#[must_use]
pub fn origin(headers: &HeaderMap, peer: Peer, trusted: &TrustedProxies) -> Option<String> {
    let scheme = if is_https(headers, peer, trusted) {
        "https"
    } else {
        "http"
    };
    let host = host(headers, peer, trusted)?;
    Some(format!("{scheme}://{host}"))
}

/// Tells whether the client asked over https.
#[must_use]
pub fn is_https(headers: &HeaderMap, peer: Peer, trusted: &TrustedProxies) -> bool {
    forwarded(headers, "x-forwarded-proto", peer, trusted) == Some("https")
}

/// Returns the host that the client asked; `None` if it is none.
#[must_use]
pub fn host(headers: &HeaderMap, peer: Peer, trusted: &TrustedProxies) -> Option<String> {
    let host = forwarded(headers, "x-forwarded-host", peer, trusted)
        .or_else(|| text(headers, "host"))
        .unwrap_or("localhost");
    is_host(host).then(|| host.to_owned())
}

/// Returns the client's address: of those that were forwarded, the last one that is no trusted proxy.
#[must_use]
pub fn address(headers: &HeaderMap, Peer(peer): Peer, trusted: &TrustedProxies) -> Option<IpAddr> {
    if !trusted.trusts(peer) {
        return peer;
    }
    let named = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|part| part.trim().parse::<IpAddr>().ok())
        .collect::<Vec<_>>();
    let mut nearest = peer;
    for address in named.into_iter().rev() {
        // What is no address ends the chain of those whose word is taken.
        let Some(address) = address else { break };
        nearest = Some(address);
        if !trusted.trusts(nearest) {
            break;
        }
    }
    nearest
}

fn text<'headers>(headers: &'headers HeaderMap, name: &str) -> Option<&'headers str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// Returns a proxy's word. One that appends puts its own last.
fn forwarded<'headers>(
    headers: &'headers HeaderMap,
    name: &str,
    Peer(peer): Peer,
    trusted: &TrustedProxies,
) -> Option<&'headers str> {
    let value = text(headers, name).filter(|_| trusted.trusts(peer))?;
    Some(value.rsplit(',').next().unwrap_or_default().trim())
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

    fn headers(sent: &[(&'static str, &'static str)]) -> HeaderMap {
        let map = sent.iter().map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )
        });
        map.collect()
    }

    fn trusted() -> TrustedProxies {
        TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()])
    }

    fn check(sent: &[(&'static str, &'static str)], peer: &str, expected: Option<&str>) {
        let found = origin(&headers(sent), Peer(peer.parse().ok()), &trusted());
        assert_eq!(found.as_deref(), expected, "{sent:?} from {peer}");
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

    #[test]
    fn the_address_is_the_clients_and_cannot_be_made_up() {
        for (sent, peer, expected) in [
            ("", "192.0.2.1", "192.0.2.1"),
            ("198.51.100.1", "192.0.2.1", "192.0.2.1"),
            ("198.51.100.1", "10.0.0.2", "198.51.100.1"),
            ("198.51.100.1, 10.0.0.3", "10.0.0.2", "198.51.100.1"),
            ("203.0.113.9, 198.51.100.1", "10.0.0.2", "198.51.100.1"),
            ("198.51.100.1, nonsense", "10.0.0.2", "10.0.0.2"),
            ("10.0.0.7", "10.0.0.2", "10.0.0.7"),
            ("2001:db8::1", "a Unix socket", "2001:db8::1"),
        ] {
            let sent = headers(&[("x-forwarded-for", sent)]);
            let found = address(&sent, Peer(peer.parse().ok()), &trusted());
            assert_eq!(found, expected.parse().ok(), "{sent:?} from {peer}");
        }
    }
}

//! Who may do what, and whose word is taken about the client.

use std::net::IpAddr;

use http::Method;
use ipnet::IpNet;

/// What a request without a signed-in user may do, as `API_PERMISSION` sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Anyone reads and writes.
    Open,
    /// Anyone reads; to write one must be signed in.
    ReadOnly,
}

impl Permission {
    /// Tells whether a request with this method may go on.
    #[must_use]
    pub fn allows(self, method: &Method) -> bool {
        match self {
            Self::Open => true,
            Self::ReadOnly => matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS),
        }
    }
}

/// The rules of access of one instance.
#[derive(Clone, Debug)]
pub struct Access {
    /// What anyone may do.
    pub permission: Permission,
    /// Whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: TrustedProxies,
}

/// The networks whose `X-Forwarded-*` headers are believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Trusts every address in `networks`.
    #[must_use]
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Tells whether the headers of this peer are believed; a peer on a Unix socket has no address and is.
    #[must_use]
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        // An IPv4 peer of an IPv6 socket appears as ::ffff:10.0.0.1.
        peer.is_none_or(|peer| {
            self.0
                .iter()
                .any(|network| network.contains(&peer.to_canonical()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_only_lets_nothing_unsafe_through() {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert!(Permission::ReadOnly.allows(&method), "{method}");
        }
        for method in [
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::TRACE,
        ] {
            assert!(!Permission::ReadOnly.allows(&method), "{method}");
            assert!(Permission::Open.allows(&method), "{method}");
        }
        assert!(!Permission::ReadOnly.allows(&Method::from_bytes(b"FOO").unwrap()));
    }

    #[test]
    fn only_peers_in_the_networks_are_trusted() {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        for (peer, trusted) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("11.0.0.1", false),
            ("::1", false),
        ] {
            assert_eq!(
                proxies.trusts(Some(peer.parse().unwrap())),
                trusted,
                "{peer}"
            );
        }
        assert!(proxies.trusts(None));
    }
}

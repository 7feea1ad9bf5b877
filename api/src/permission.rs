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
    /// Nothing without being signed in.
    Authenticated,
}

impl Permission {
    /// Tells whether a request with this method may go on.
    #[must_use]
    pub fn allows(self, method: &Method, signed_in: bool) -> bool {
        match self {
            Self::Open => true,
            Self::ReadOnly => {
                signed_in || matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
            }
            Self::Authenticated => signed_in,
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
    fn who_is_not_signed_in_may_do_what_the_permission_says() {
        let safe = [Method::GET, Method::HEAD, Method::OPTIONS];
        let odd = Method::from_bytes(b"FOO").unwrap();
        let others = [
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::TRACE,
            odd,
        ];
        for (method, is_safe) in safe
            .iter()
            .map(|method| (method, true))
            .chain(others.iter().map(|method| (method, false)))
        {
            assert!(Permission::Open.allows(method, false), "{method}");
            assert_eq!(
                Permission::ReadOnly.allows(method, false),
                is_safe,
                "{method}"
            );
            assert!(!Permission::Authenticated.allows(method, false), "{method}");
            for permission in [
                Permission::Open,
                Permission::ReadOnly,
                Permission::Authenticated,
            ] {
                assert!(permission.allows(method, true), "{method}");
            }
        }
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

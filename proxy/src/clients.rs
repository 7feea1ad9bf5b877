//! What clients may take: the limits that [`crate::front`] and [`crate::gateway`] keep towards them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::HeaderMap;
use ipnet::IpNet;

/// The limits towards clients.
#[derive(Debug, Clone, PartialEq)]
pub struct Clients {
    /// Networks whose `X-Forwarded-*` is believed. Default none.
    pub trusted_proxies: Vec<IpNet>,
    /// For a whole head, from its first byte. Default 10 s.
    pub header_timeout: Duration,
    /// Between two requests. Default 75 s.
    pub idle_timeout: Duration,
    /// Between two reads of a body, which besides keeps to [`crate::front::pace`]. Default 30 s.
    pub body_timeout: Duration,
    /// Connections at the same time; over it kept ones that are idle are closed. Default 20 000.
    pub max_connections: usize,
    /// Of them from one address, or one /64 of IPv6; trusted proxies are exempt. Default 0: all.
    pub max_connections_per_address: usize,
}

impl Clients {
    /// Whether what a client at this address says of others is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let mut networks = self.trusted_proxies.iter();
        networks.any(|network| network.contains(&address))
    }
}

impl Clients {
    /// Whose request it is: `peer`'s, or, when that is a trusted proxy, that of the last address in
    /// `X-Forwarded-For` which is no trusted proxy itself.
    pub fn client_of(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.trusted_proxies.is_empty() || !self.trusts(peer) {
            return peer;
        }
        let fields = headers.get_all("x-forwarded-for").iter();
        let chain: Vec<&str> = fields
            .filter_map(|field| field.to_str().ok())
            .flat_map(|field| field.split(','))
            .collect();
        let mut client = peer;
        for claimed in chain.iter().rev() {
            let Some(address) = address(claimed.trim()) else {
                break;
            };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        client
    }
}

/// Reads an address as proxies write it: with brackets, with a port, or plain.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse::<IpAddr>();
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    address.ok().or_else(with_port).map(|ip| ip.to_canonical())
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            max_connections: 20_000,
            max_connections_per_address: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, chain: &'static str, expected: &str) {
        let clients = Clients {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..Clients::default()
        };
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", http::HeaderValue::from_static(chain));
        let client = clients.client_of(peer.parse().unwrap(), &headers);
        assert_eq!(
            client,
            expected.parse::<IpAddr>().unwrap(),
            "{peer} {chain}"
        );
    }

    #[test]
    fn a_client_is_whoever_the_last_trusted_proxy_saw() {
        check("1.1.1.1", "2.2.2.2", "1.1.1.1");
        check("10.0.0.1", "2.2.2.2", "2.2.2.2");
        check("10.0.0.1", "9.9.9.9, 2.2.2.2, 10.0.0.2", "2.2.2.2");
        check("10.0.0.1", "unknown, 10.0.0.2", "10.0.0.2");
        check("10.0.0.1", "", "10.0.0.1");
        check("10.0.0.1", "9.9.9.9, 2.2.2.2:4711", "2.2.2.2");
        check("10.0.0.1", "::ffff:2.2.2.2, ::ffff:10.0.0.3", "2.2.2.2");
        check("10.0.0.1", "[2001:db8::1]:80", "2001:db8::1");
        check("10.0.0.1", "[2001:db8::1]", "2001:db8::1");
    }
}

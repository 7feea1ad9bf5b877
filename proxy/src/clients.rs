//! What clients may take: the limits that [`crate::front`] and [`crate::gateway`] keep towards them.

use std::net::IpAddr;
use std::time::Duration;

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
    /// Between two reads of a body. Default 30 s.
    pub body_timeout: Duration,
    /// Connections at the same time. Default 20 000.
    pub max_connections: usize,
}

impl Clients {
    /// Whether what a client at this address says of others is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let mut networks = self.trusted_proxies.iter();
        networks.any(|network| network.contains(&address))
    }
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            max_connections: 20_000,
        }
    }
}

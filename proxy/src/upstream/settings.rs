//! What can be set of an upstream, with its defaults; [`crate::config`] fills these types.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::tls::Tls;
use crate::balance::Method;
use crate::retry;

/// The longest path that a Unix socket can have, in bytes.
pub(super) const LONGEST_PATH: usize = 107;

/// The settings of one upstream: a set of servers that answer the same requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The name that routes use.
    pub name: Arc<str>,
    /// The servers as configured; each may stand for several endpoints.
    pub servers: Vec<ServerSettings>,
    /// How a server is picked. Default round-robin.
    pub method: Method,
    /// The cookie that brings a client back to its server. Default none.
    pub sticky: Option<Arc<str>>,
    /// How long a server that came up takes to its whole weight. Default 0 s: no time.
    pub slow_start: Duration,
    /// How often names are asked and folders read. Default 1 s.
    pub resolve: Duration,
    /// Requests that wait for a place.
    pub queue: QueueSettings,
    /// Limits of a request.
    pub timeouts: Timeouts,
    /// How often a request may be sent again.
    pub retry: retry::Policy,
    /// Active health checks.
    pub health: HealthSettings,
    /// Ejection of servers that answer with errors.
    pub eject: EjectSettings,
    /// TLS to its servers. Default none: plain.
    pub tls: Option<Tls>,
}

/// Requests that wait while all servers have as many in hand as they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueSettings {
    /// How many may wait. Default 128.
    pub length: usize,
    /// How long each may. Default 100 ms.
    pub wait: Duration,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            length: 128,
            wait: Duration::from_millis(100),
        }
    }
}

impl Settings {
    /// The defaults, with no server.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            servers: Vec::new(),
            method: Method::default(),
            sticky: None,
            slow_start: Duration::ZERO,
            resolve: Duration::from_secs(1),
            queue: QueueSettings::default(),
            timeouts: Timeouts::default(),
            retry: retry::Policy::default(),
            health: HealthSettings::default(),
            eject: EjectSettings::default(),
            tls: None,
        }
    }
}

/// One configured server.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerSettings {
    /// Where it is.
    pub address: Address,
    /// Its share among the others, 0 to 1000; 0 is never picked. Default 1.
    pub weight: u32,
    /// Picked only when no other can be. Default no.
    pub backup: bool,
    /// Taken out by hand.
    pub down: bool,
    /// How many requests it may have in hand; 0 is no limit. Default what the upstream says, 0.
    pub max_connections: u32,
}

/// Where a configured server is found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A name or address and a port; every address that the name has is a server.
    Host {
        /// Name or IP address, without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// One Unix socket.
    Socket(PathBuf),
    /// A folder: every `*.sock` in it is a server.
    SocketFolder(PathBuf),
}

impl Address {
    /// Whether it is surely where a listener of this machine is; names are not asked, `localhost`
    /// apart.
    pub fn is_at(&self, listener: &SocketAddr) -> bool {
        let Self::Host { host, port } = self else {
            return false;
        };
        let ip = match host.as_str() {
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            host => match host.parse::<IpAddr>() {
                Ok(ip) => ip.to_canonical(),
                Err(_) => return false,
            },
        };
        let its = listener.ip().to_canonical();
        let takes_all = its.is_unspecified() && (its.is_ipv6() || ip.is_ipv4());
        let is_here = ip.is_loopback() || ip.is_unspecified();
        *port == listener.port() && (ip == its || takes_all && is_here)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host { host, port } => write!(f, "{host}:{port}"),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
            Self::SocketFolder(path) => write!(f, "unix:{}/*.sock", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || format!("expected host:port, unix:/path.sock or unix:/folder/*.sock, got {text:?}");
        if let Some(path) = text.strip_prefix("unix:") {
            if path.len() > LONGEST_PATH {
                return Err(format!(
                    "a Unix socket's path has at most {LONGEST_PATH} bytes"
                ));
            }
            return match path.strip_suffix("/*.sock") {
                Some(folder) if folder.starts_with('/') && !folder.contains('*') => {
                    Ok(Self::SocketFolder(folder.into()))
                }
                None if path.starts_with('/') && !path.contains('*') => {
                    Ok(Self::Socket(path.into()))
                }
                _ => Err(expected()),
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        let port = port.parse().ok().filter(|&port| port > 0);
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').filter(|inner| inner.contains(':')),
            None => Some(host).filter(|host| !host.contains(':')),
        };
        let host = host.filter(|host| {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._:%".contains(&b))
        });
        match (host, port) {
            (Some(host), Some(port)) => Ok(Self::Host {
                host: host.to_owned(),
                port,
            }),
            _ => Err(expected()),
        }
    }
}

/// The limits of a request on its way through an upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeouts {
    /// For a connection to come about. Default 250 ms.
    pub connect: Duration,
    /// From the request sent whole to the first byte of the answer, per try. Default 10 s.
    pub first_byte: Duration,
    /// The same over all tries, the client's upload not counted. Default 30 s.
    pub request: Duration,
    /// Between two pieces of an answer. Default 60 s.
    pub idle: Duration,
    /// How long an unused connection is kept. Default 10 s.
    pub keep_alive: Duration,
}

impl Timeouts {
    /// The moment when a try is given up whose request was sent whole at `sent`, and at
    /// `first_sent` on the request's first try.
    pub fn gives_up(&self, first_sent: Instant, sent: Instant) -> Instant {
        (sent + self.first_byte).min(first_sent + self.request)
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(250),
            first_byte: Duration::from_secs(10),
            request: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            keep_alive: Duration::from_secs(10),
        }
    }
}

/// Active health checks.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthSettings {
    /// What is asked for; `None`: a connection is enough. Default none.
    pub path: Option<String>,
    /// From one check to the next, varied by a fifth. Default 500 ms.
    pub every: Duration,
    /// For a whole check. Default 250 ms.
    pub timeout: Duration,
    /// Passes that bring a server back. Default 1.
    pub rise: u32,
    /// Misses that take a server out. Default 2.
    pub fall: u32,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            path: None,
            every: Duration::from_millis(500),
            timeout: Duration::from_millis(250),
            rise: 1,
            fall: 2,
        }
    }
}

/// Ejection of servers that answer 5xx.
#[derive(Debug, Clone, PartialEq)]
pub struct EjectSettings {
    /// Answers in a row that take a server out. Default 5.
    pub consecutive_5xx: u32,
    /// How long the first ejection lasts; each further one lasts twice as long. Default 5 s.
    pub base: Duration,
    /// The longest ejection. Default 60 s.
    pub cap: Duration,
    /// The share of an upstream's servers that may be out for this. Default 0.5.
    pub at_most: f64,
}

impl Default for EjectSettings {
    fn default() -> Self {
        Self {
            consecutive_5xx: 5,
            base: Duration::from_secs(5),
            cap: Duration::from_secs(60),
            at_most: 0.5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    fn check(text: &str, expected: Option<&str>) {
        let parsed = text.parse::<Address>().ok().map(|a| a.to_string());
        assert_eq!(parsed.as_deref(), expected, "{text}");
    }

    #[test]
    fn addresses() {
        for same in [
            "api:8000",
            "127.0.0.1:80",
            "[::1]:8000",
            "unix:/run/api.sock",
            "unix:/run/api/*.sock",
        ] {
            check(same, Some(same));
        }
        for wrong in [
            "api",
            "api:",
            "api:0",
            "api:65536",
            ":80",
            "::1:80",
            "[api]:80",
            "a b:80",
            "unix:api.sock",
            "unix:/run/*",
            "unix:/run/*/x.sock",
            "http://api:80",
        ] {
            check(wrong, None);
        }
        let path = |length: usize| format!("unix:/{}", "x".repeat(length - 1));
        check(&path(107), Some(&path(107)));
        check(&path(108), None);
    }

    #[test]
    fn the_place_of_a_listener() {
        for (address, listener, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "0.0.0.0:80", true),
            ("127.0.0.2:80", "127.0.0.1:80", false),
            ("localhost:80", "0.0.0.0:80", true),
            ("localhost:80", "[::]:80", true),
            ("[::1]:80", "[::]:80", true),
            ("[::1]:80", "0.0.0.0:80", false),
            ("0.0.0.0:80", "0.0.0.0:80", true),
            ("10.0.0.1:80", "10.0.0.1:80", true),
            ("[::ffff:10.0.0.1]:80", "10.0.0.1:80", true),
            ("10.0.0.1:80", "0.0.0.0:80", false),
            ("api:80", "0.0.0.0:80", false),
            ("unix:/run/api.sock", "0.0.0.0:80", false),
        ] {
            let address: Address = address.parse().unwrap();
            let is_at = address.is_at(&listener.parse().unwrap());
            assert_eq!(is_at, expected, "{address} {listener}");
        }
    }
}

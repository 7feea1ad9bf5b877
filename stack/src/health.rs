//! What the proxy says of itself and of its servers, read from its admin listener.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ask::{Address, get};

/// How long one of these questions may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The part of `GET /status` that is used here.
#[derive(Debug, Clone, Deserialize)]
pub struct Status {
    /// The upstreams of the proxy.
    pub upstreams: Vec<Upstream>,
}

/// One upstream.
#[derive(Debug, Clone, Deserialize)]
pub struct Upstream {
    /// Its servers.
    pub servers: Vec<Server>,
}

/// One server as the proxy sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Server {
    /// Where it listens, `unix:` and a path.
    pub endpoint: String,
    /// Its share.
    pub weight: u32,
    /// `up`, `out` or `new`.
    pub state: String,
    /// Why it is out.
    pub cause: Option<String>,
    /// Requests that it has at this moment.
    pub in_flight: u64,
    /// Requests that it was given so far.
    pub requests: u64,
}

impl Status {
    /// Finds the server that listens on this socket.
    pub fn server(&self, socket: &Path) -> Option<&Server> {
        let endpoint = format!("unix:{}", socket.display());
        let mut servers = self.upstreams.iter().flat_map(|upstream| &upstream.servers);
        servers.find(|server| server.endpoint == endpoint)
    }
}

/// Asks the proxy for its status; `None` when it does not answer.
pub async fn proxy_status(admin: SocketAddr) -> Option<Status> {
    let answer = get(&Address::Tcp(admin), "/status", PATIENCE).await.ok()?;
    serde_json::from_slice(&answer.body).ok()
}

/// Tells whether `/healthz` at this address answers 200.
pub async fn is_healthy(address: &Address) -> bool {
    let answer = get(address, "/healthz", PATIENCE).await;
    answer.is_ok_and(|answer| answer.status.is_success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_found_by_its_socket() {
        let text = r#"{"instance":"proxy","version":"0.1.0","draining":false,"in_flight":0,
            "upstreams":[{"name":"music","method":"round-robin","servers":[{
                "address":"unix:/run/api/*.sock","endpoint":"unix:/run/api/1.sock",
                "instance":"api_1","weight":4,"state":"up","cause":null,
                "since":"2026-01-01T00:00:00Z","in_flight":0,"requests":123,"failures":0}]}]}"#;
        let status: Status = serde_json::from_str(text).unwrap();
        let server = status.server(Path::new("/run/api/1.sock")).unwrap();
        assert_eq!((server.weight, server.state.as_str()), (4, "up"));
        assert!(status.server(Path::new("/run/api/2.sock")).is_none());
    }
}

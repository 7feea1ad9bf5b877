//! The answer to `GET /status`, as far as the commands need it.

use serde::Deserialize;
use serde_json::Value;

use super::Fault;

/// The whole answer.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) version: String,
    pub(super) draining: bool,
    pub(super) in_flight: u64,
    pub(super) upstreams: Vec<Upstream>,
}

/// One upstream.
#[derive(Debug, Deserialize)]
pub(super) struct Upstream {
    pub(super) name: String,
    pub(super) method: String,
    pub(super) servers: Vec<Server>,
    /// Configured addresses that stand for no server at the moment.
    pub(super) unresolved: Vec<String>,
    /// Servers that have left and still have requests in hand.
    pub(super) leaving: Vec<Leaving>,
}

/// One server.
#[derive(Debug, Deserialize)]
pub(super) struct Server {
    pub(super) address: String,
    pub(super) endpoint: String,
    pub(super) instance: Option<String>,
    pub(super) weight: u32,
    #[serde(default)]
    pub(super) backup: bool,
    pub(super) state: String,
    pub(super) cause: Option<String>,
    pub(super) in_flight: u64,
    pub(super) max_connections: Option<u64>,
    pub(super) requests: u64,
    pub(super) failures: u64,
}

/// A server that has left.
#[derive(Debug, Deserialize)]
pub(super) struct Leaving {
    pub(super) address: String,
    pub(super) endpoint: String,
    pub(super) in_flight: u64,
}

/// Reads an answer.
pub(super) fn status(answer: Value) -> Result<Status, Fault> {
    let read = serde_json::from_value(answer);
    read.map_err(|error| Fault(format!("the proxy answered something else: {error}")))
}

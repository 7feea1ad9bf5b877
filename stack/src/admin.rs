//! Changes of the running proxy by its admin listener.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::Fault;
use crate::ask::{Address, ask, request};

/// How long one change may take.
const PATIENCE: Duration = Duration::from_secs(35);
/// The upstream of this stack.
const UPSTREAM: &str = "music";

/// What an operator wants of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It takes part.
    Ready,
    /// It gets nothing new.
    Drain,
}

/// Has the proxy read its settings again.
pub async fn reload(admin: SocketAddr) -> Result<(), Fault> {
    change(admin, Method::POST, "/reload", &Value::Null).await
}

/// Drains a server, by its endpoint or its instance's name, or lets it take part again.
pub async fn set_mode(admin: SocketAddr, server: &str, mode: Mode) -> Result<(), Fault> {
    let state = match mode {
        Mode::Ready => "ready",
        Mode::Drain => "drain",
    };
    change(
        admin,
        Method::PATCH,
        &path(server),
        &json!({ "state": state }),
    )
    .await
}

/// Gives a server another weight.
pub async fn set_weight(admin: SocketAddr, server: &str, weight: u32) -> Result<(), Fault> {
    change(
        admin,
        Method::PATCH,
        &path(server),
        &json!({ "weight": weight }),
    )
    .await
}

fn path(server: &str) -> String {
    format!("/upstreams/{UPSTREAM}/servers/{}", segment(server))
}

/// A name as one segment of a path.
fn segment(name: &str) -> String {
    let mut segment = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(segment, "%{byte:02X}");
        }
    }
    segment
}

async fn change(admin: SocketAddr, method: Method, path: &str, body: &Value) -> Result<(), Fault> {
    let failed = |why: String| Fault::new(format!("the proxy, {path}: {why}"));
    let address = Address::Tcp(admin);
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let request = request(method, &address, path, body.into());
    let request = request.map_err(|error| failed(error.to_string()))?;
    let answer = ask(&address, request, PATIENCE).await;
    let answer = answer.map_err(|error| failed(error.to_string()))?;
    if answer.status.is_success() {
        return Ok(());
    }
    let detail = answer.json()["detail"].as_str().map(str::to_owned);
    Err(failed(detail.unwrap_or(answer.status.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_one_segment() {
        assert_eq!(segment("unix:/run/a b.sock"), "unix%3A%2Frun%2Fa%20b.sock");
        assert_eq!(segment("api_1"), "api_1");
    }
}

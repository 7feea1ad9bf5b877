//! What `stack status` shows: each instance, and what the proxy thinks of it.

use std::fmt::Write;

use serde::Serialize;

use crate::health::{Server, proxy_status};
use crate::keeper::State;
use crate::supervisor::Supervisor;

/// One line of the table.
#[derive(Debug, Serialize)]
struct Line {
    service: String,
    instance: String,
    state: State,
    seconds: u64,
    pid: Option<i32>,
    restarts: u32,
    last_end: Option<String>,
    weight: Option<u32>,
    proxy: Option<Server>,
}

/// Describes all instances, for a person or as JSON.
pub(super) async fn show(supervisor: &Supervisor, json: bool) -> String {
    let lines = lines(supervisor).await;
    if json {
        // Strings and numbers: this cannot fail.
        serde_json::to_string(&lines).unwrap_or_default()
    } else {
        table(&lines)
    }
}

async fn lines(supervisor: &Supervisor) -> Vec<Line> {
    let status = proxy_status(supervisor.admin()).await;
    let mut lines = Vec::new();
    for service in supervisor.services() {
        for (index, keeper) in service.instances.iter().enumerate() {
            let now = keeper.condition();
            let socket = supervisor.api_socket(&service.name, index + 1);
            let server = status.as_ref().and_then(|status| status.server(&socket));
            lines.push(Line {
                service: service.name.clone(),
                instance: keeper.name.clone(),
                state: now.state,
                seconds: now.since.elapsed().as_secs(),
                pid: now.pid,
                restarts: now.restarts,
                last_end: now.last_end,
                weight: service.weight,
                proxy: server.cloned(),
            });
        }
    }
    lines
}

fn table(lines: &[Line]) -> String {
    let mut text = String::from("INSTANCE  STATE       FOR      PID      RESTARTS  WEIGHT  PROXY");
    for line in lines {
        let state = format!("{:?}", line.state).to_lowercase();
        let seconds = format!("{} s", line.seconds);
        let pid = line.pid.map(|pid| pid.to_string()).unwrap_or_default();
        let weight = line.weight.map(|w| w.to_string()).unwrap_or_default();
        let proxy = line.proxy.as_ref().map(opinion).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n{:9} {state:11} {seconds:8} {pid:8} {:<9} {weight:7} {proxy}",
            line.instance, line.restarts
        );
    }
    text
}

fn opinion(server: &Server) -> String {
    let cause = match &server.cause {
        Some(cause) => format!(" ({cause})"),
        None => String::new(),
    };
    format!("{}{cause}, {} requests", server.state, server.requests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_instance() {
        let server = Server {
            endpoint: "unix:/run/api/1.sock".to_owned(),
            weight: 4,
            state: "out".to_owned(),
            cause: Some("connection refused".to_owned()),
            in_flight: 0,
            requests: 12,
        };
        let text = table(&[Line {
            service: "api".to_owned(),
            instance: "api_1".to_owned(),
            state: State::Down,
            seconds: 7,
            pid: None,
            restarts: 0,
            last_end: None,
            weight: Some(4),
            proxy: Some(server),
        }]);
        let line = text.lines().nth(1).unwrap();
        assert!(line.starts_with("api_1     down        7 s "), "{line}");
        assert!(
            line.ends_with("4       out (connection refused), 12 requests"),
            "{line}"
        );
    }
}

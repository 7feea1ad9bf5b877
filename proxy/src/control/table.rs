//! A status as a table for people. Pure.

use super::view::{Server, Status};

const HEAD: [&str; 8] = [
    "SERVER",
    "ENDPOINT",
    "INSTANCE",
    "WEIGHT",
    "IN FLIGHT",
    "REQUESTS",
    "FAILURES",
    "STATE",
];

/// Draws the whole status.
pub(super) fn text(status: &Status) -> String {
    let draining = if status.draining { ", stopping" } else { "" };
    let mut lines = vec![format!(
        "proxy {}: {} in flight{draining}",
        status.version, status.in_flight
    )];
    for upstream in &status.upstreams {
        lines.push(String::new());
        lines.push(format!("{} ({})", upstream.name, upstream.method));
        let rows = upstream.servers.iter().map(row);
        let rows: Vec<_> = [HEAD.map(str::to_owned)].into_iter().chain(rows).collect();
        lines.extend(aligned(&rows));
        for address in &upstream.unresolved {
            lines.push(format!("  {address} stands for no server at the moment"));
        }
        for server in &upstream.leaving {
            let (address, in_flight) = (&server.address, server.in_flight);
            let endpoint = &server.endpoint;
            lines.push(format!(
                "  {address} at {endpoint} has left, {in_flight} in flight"
            ));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn row(server: &Server) -> [String; 8] {
    let state = match &server.cause {
        Some(cause) => format!("{}: {cause}", server.state),
        None => server.state.clone(),
    };
    let address = &server.address;
    let in_flight = match server.max_connections {
        Some(most) => format!("{} of {most}", server.in_flight),
        None => server.in_flight.to_string(),
    };
    [
        if server.backup {
            format!("{address} (backup)")
        } else {
            address.clone()
        },
        server.endpoint.clone(),
        server.instance.clone().unwrap_or_else(|| "-".to_owned()),
        server.weight.to_string(),
        in_flight,
        server.requests.to_string(),
        server.failures.to_string(),
        state,
    ]
}

fn aligned(rows: &[[String; 8]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..8).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells: Vec<String> = cells
            .map(|(column, (cell, &width))| match column {
                3..=6 => format!("{cell:>width$}"),
                _ => format!("{cell:<width$}"),
            })
            .collect();
        format!("  {}", cells.join("  ")).trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_stand_under_each_other() {
        let server = |address: &str, state: &str, cause: Option<&str>, requests: u32| {
            json!({ "address": address, "endpoint": "10.0.0.1:80", "instance": null, "weight": 4,
                    "state": state, "cause": cause, "in_flight": 0, "requests": requests,
                    "failures": 0 })
        };
        let mut servers = [
            server("a:80", "up", None, 5),
            server("long:8000", "out", Some("silent"), 12345),
            server("b:80", "up", None, 7),
        ];
        servers[2]["backup"] = true.into();
        servers[2]["max_connections"] = 10.into();
        let status = json!({ "version": "1", "draining": false, "in_flight": 3, "upstreams": [
            { "name": "music", "method": "round-robin", "servers": servers, "unresolved": ["x:1"],
              "leaving": [] }] });
        let expected = "\
proxy 1: 3 in flight

music (round-robin)
  SERVER         ENDPOINT     INSTANCE  WEIGHT  IN FLIGHT  REQUESTS  FAILURES  STATE
  a:80           10.0.0.1:80  -              4          0         5         0  up
  long:8000      10.0.0.1:80  -              4          0     12345         0  out: silent
  b:80 (backup)  10.0.0.1:80  -              4    0 of 10         7         0  up
  x:1 stands for no server at the moment
";
        assert_eq!(text(&serde_json::from_value(status).unwrap()), expected);
    }
}

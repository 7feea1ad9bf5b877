//! Load by wrk, and handshakes by `openssl s_time`: both established, both from the core of the load.
//!
//! Answers are checked by what wrk counts (status, errors, bytes), so that the check costs no time of the
//! measurement.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;

use super::running::Core;
use crate::Fault;
use crate::process::in_path;

/// Bytes that the head of an answer has at most.
const LONGEST_HEAD: f64 = 1024.0;

/// The requests of one turn.
#[derive(Debug, Clone)]
pub(super) struct Load {
    /// Where they go.
    pub(super) address: SocketAddr,
    /// Whether over TLS.
    pub(super) tls: bool,
    /// For what.
    pub(super) path: String,
    /// Fields beside `Host`.
    pub(super) fields: Vec<(&'static str, &'static str)>,
    /// What is sent with POST; without it, it is GET.
    pub(super) body: Option<String>,
    /// How many connections at once.
    pub(super) connections: u32,
    /// Bytes of the body of each answer: the least and the most.
    pub(super) length: (usize, usize),
}

/// What one turn of load brought.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(super) struct Answered {
    /// Answers.
    pub(super) requests: f64,
    bytes: f64,
    micros: f64,
    failed: u64,
    status: u64,
    /// The time within which half of the answers came, in microseconds.
    pub(super) p50: f64,
    /// The same for 99 of 100.
    pub(super) p99: f64,
}

impl Load {
    /// GET over a number of kept connections.
    pub(super) fn get(address: SocketAddr, path: &str, length: usize) -> Self {
        Self {
            address,
            tls: false,
            path: path.to_owned(),
            fields: Vec::new(),
            body: None,
            connections: 16,
            length: (length, length),
        }
    }

    /// Sends requests for so many seconds, and checks the answers.
    pub(super) async fn run(&self, folder: &Path, seconds: u32) -> Result<Answered, Fault> {
        let script = folder.join("load.lua");
        let written = tokio::fs::write(&script, self.script()).await;
        written.map_err(|error| Fault::new(format!("{}: {error}", script.display())))?;
        let scheme = if self.tls { "https" } else { "http" };
        let mut command = Core::Load.command(&wrk()?);
        command
            .args(["-t1", "--timeout", "10s"])
            .arg(format!("-c{}", self.connections))
            .arg(format!("-d{seconds}s"))
            .arg("-s")
            .arg(&script)
            .arg(format!("{scheme}://{}{}", self.address, self.path))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await;
        let output = output.map_err(|error| Fault::new(format!("wrk: {error}")))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let answered = text
            .lines()
            .rev()
            .find_map(|line| serde_json::from_str::<Answered>(line).ok());
        let answered = answered.ok_or_else(|| {
            let errors = String::from_utf8_lossy(&output.stderr);
            Fault::new(format!("wrk told no result: {text}{errors}"))
        })?;
        answered.check(self.length)?;
        Ok(answered)
    }

    fn script(&self) -> String {
        let mut script = String::new();
        // Writing to a string cannot fail.
        if let Some(body) = &self.body {
            let _ = writeln!(script, "wrk.method = \"POST\"\nwrk.body = [[{body}]]");
        }
        for (name, value) in &self.fields {
            let _ = writeln!(script, "wrk.headers[\"{name}\"] = \"{value}\"");
        }
        script.push_str(include_str!("../../bench/load.lua"));
        script
    }
}

impl Answered {
    /// Answers in a second.
    pub(super) fn per_second(&self) -> f64 {
        self.requests / self.micros * 1e6
    }

    /// Refuses what was answered wrongly, or not at all.
    fn check(&self, (least, most): (usize, usize)) -> Result<(), Fault> {
        let bytes = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        if self.requests < 1.0 {
            return Err(Fault::new("no request was answered"));
        }
        if self.status > 0 || self.failed > 0 {
            return Err(Fault::new(format!(
                "{} answers were errors and {} requests failed, of {}",
                self.status, self.failed, self.requests
            )));
        }
        // What was under way in the end counts as bytes, but as no answer; heads count as well.
        let each = self.bytes / self.requests;
        let slack = bytes(most) * 0.05 + LONGEST_HEAD;
        if each < bytes(least) || each > bytes(most) * 1.05 + slack {
            return Err(Fault::new(format!(
                "an answer had {each:.0} bytes instead of {least} to {most} and a head"
            )));
        }
        Ok(())
    }
}

/// Makes full handshakes from several clients for so many seconds, and says how many.
pub(super) async fn handshakes(address: SocketAddr, seconds: u32) -> Result<f64, Fault> {
    const CLIENTS: usize = 4;
    let openssl = in_path("openssl").ok_or_else(|| Fault::new("openssl is absent"))?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut command = Core::Load.command(&openssl);
        command
            .args(["s_time", "-new", "-tls1_3", "-connect"])
            .arg(address.to_string())
            .args(["-time", &seconds.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let child = command.spawn();
        clients.push(child.map_err(|error| Fault::new(format!("openssl: {error}")))?);
    }
    let mut count = 0.0;
    for client in clients {
        let output = client.wait_with_output().await;
        let output = output.map_err(|error| Fault::new(format!("openssl: {error}")))?;
        let text = String::from_utf8_lossy(&output.stdout);
        count += counted(&text).ok_or_else(|| {
            let errors = String::from_utf8_lossy(&output.stderr);
            Fault::new(format!("openssl s_time told no result: {text}{errors}"))
        })?;
    }
    Ok(count)
}

fn counted(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.contains("real seconds"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Finds the load generator.
pub(super) fn wrk() -> Result<PathBuf, Fault> {
    in_path("wrk").ok_or_else(|| Fault::new("wrk is absent: scripts/setup bench installs it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(requests: f64, bytes: f64, failed: u64, status: u64) -> Answered {
        Answered {
            requests,
            bytes,
            micros: 2e6,
            failed,
            status,
            p50: 1.0,
            p99: 2.0,
        }
    }

    #[test]
    fn wrong_answers_are_refused() {
        let check = |a: Answered| a.check((100, 100)).is_ok();
        assert!(check(answered(10.0, 3000.0, 0, 0)));
        assert!(!check(answered(0.0, 0.0, 0, 0)));
        assert!(!check(answered(10.0, 3000.0, 1, 0)));
        assert!(!check(answered(10.0, 3000.0, 0, 1)));
        assert!(!check(answered(10.0, 900.0, 0, 0)));
        assert!(!check(answered(10.0, 30_000.0, 0, 0)));
        assert_eq!(answered(10.0, 3000.0, 0, 0).per_second(), 5.0);
    }

    #[test]
    fn the_script_says_what_is_sent() {
        let mut load = Load::get(([127, 0, 0, 1], 1).into(), "/", 100);
        assert!(!load.script().contains("POST"));
        load.body = Some("{}".to_owned());
        load.fields = vec![("Connection", "close")];
        let script = load.script();
        assert!(script.contains("wrk.method = \"POST\""));
        assert!(script.contains("wrk.headers[\"Connection\"] = \"close\""));
    }

    #[test]
    fn handshakes_are_read_from_the_last_line() {
        let text = "812 connections in 0.64s; 1268.75 connections/user sec, bytes read 0\n\
                    812 connections in 3 real seconds, 0 bytes read per connection\n";
        assert_eq!(counted(text), Some(812.0));
        assert_eq!(counted("ERROR"), None);
    }
}

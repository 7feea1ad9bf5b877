//! The flags of `proxy simulate`.

use std::time::Duration;

use clap::Args;

use super::plan::{Happening, Plan, Server};
use crate::balance::{Key, Method};
use crate::config::duration;

/// What is to be simulated.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Flags {
    /// How servers are picked: `round-robin`, `least-connections`, `ip-hash`, `hash`, `random-two`
    /// or `least-time`.
    #[arg(long, value_name = "METHOD", default_value = "round-robin")]
    method: String,

    /// Clients come back with a sticky cookie.
    #[arg(long)]
    sticky: bool,

    /// How long a server that came up takes to its whole weight.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "0s")]
    slow_start: Duration,

    /// A server, again for each: NAME:WEIGHT, and behind commas latency=20ms, slots=32 (requests that
    /// it works on at a time), max=32 (requests that the proxy may have there) or backup.
    #[arg(long, value_name = "SERVER", default_values = ["a:4", "b:6"])]
    server: Vec<Server>,

    /// What happens when, again for each: TIME:SERVER:WHAT, or TIME:all:WHAT. WHAT is dies, returns,
    /// pauses, resumes, slows=2s, fails, loses-database, drains or weighs=8.
    #[arg(long, value_name = "EVENT")]
    event: Vec<Happening>,

    /// Requests per second.
    #[arg(long, value_name = "NUMBER", value_parser = rate, default_value = "100")]
    rate: f64,

    /// For how long requests come.
    #[arg(long = "for", value_name = "TIME", value_parser = time, default_value = "10s")]
    length: Duration,

    /// The share of requests that are writes, which are never sent twice: 0 to 1.
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "0")]
    writes: f64,

    /// How many different clients there are, for the hashing methods and the sticky cookie.
    #[arg(long, value_name = "NUMBER", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    clients: u32,

    /// Decides everything that is left to chance.
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    seed: u64,
}

impl Flags {
    /// Makes the plan; the error says in a sentence what cannot be.
    pub fn plan(self) -> Result<Plan, String> {
        let names: Vec<&str> = self
            .server
            .iter()
            .map(|server| server.name.as_str())
            .collect();
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return Err(format!("expected each server once, got {name:?} twice"));
            }
        }
        for event in &self.event {
            if event.server != "all" && !names.contains(&event.server.as_str()) {
                return Err(format!(
                    "there is no server {:?} for an event",
                    event.server
                ));
            }
        }
        // What the key is makes no difference here: each client has its own.
        let key = (self.method == "hash").then_some(Key::Path);
        Ok(Plan {
            method: Method::named(&self.method, key)?,
            sticky: self.sticky,
            slow_start: self.slow_start,
            servers: self.server,
            rate: self.rate,
            length: self.length,
            writes: self.writes,
            clients: self.clients,
            happenings: self.event,
            seed: self.seed,
        })
    }
}

fn time(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| "expected a time such as 250ms, 10s or 2m".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.1..=1e6).contains(rate));
    rate.ok_or_else(|| "expected requests per second, from 0.1 to 1000000".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let share = text
        .parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a share from 0 to 1".to_owned())
}

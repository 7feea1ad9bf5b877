//! The flags of `proxy simulate`.

use std::time::Duration;

use clap::Args;

use super::plan::{Happening, Plan, Server, What};
use crate::balance::{Key, Method};
use crate::config::duration;
use crate::upstream::QueueSettings;

/// How many servers there may be.
const MOST_SERVERS: usize = 100;
/// How many requests there may be: each is kept with its time.
const MOST_REQUESTS: f64 = 2e7;

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

    /// How many requests may wait for a place when every server has its `max`; 0 for none.
    #[arg(long, value_name = "NUMBER", default_value = "128", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    queue: u32,

    /// How long each may wait.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "100ms")]
    wait: Duration,

    /// A server, again for each: NAME:WEIGHT, and behind commas latency=20ms, slots=32 (requests that
    /// it works on at a time), max=32 (requests that the proxy may have there) or backup.
    #[arg(long, value_name = "SERVER", default_values = ["a:4", "b:6"])]
    server: Vec<Server>,

    /// What happens when, again for each: TIME:SERVER:WHAT, or TIME:all:WHAT. WHAT is dies, returns,
    /// pauses, resumes, slows=2s, fails, loses-database (it says so at once; loses-database=1500ms:
    /// after that time), drains or weighs=8.
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
        // What the key is makes no difference here: each client has its own.
        let key = (self.method == "hash").then_some(Key::Path);
        let plan = Plan {
            method: Method::named(&self.method, key)?,
            sticky: self.sticky,
            slow_start: self.slow_start,
            queue: QueueSettings {
                length: usize::try_from(self.queue).unwrap_or(usize::MAX),
                wait: self.wait,
            },
            servers: self.server,
            rate: self.rate,
            length: self.length,
            writes: self.writes,
            clients: self.clients,
            happenings: self.event,
            seed: self.seed,
        };
        check_servers(&plan)?;
        check_events(&plan)?;
        check_requests(&plan)?;
        Ok(plan)
    }
}

fn check_servers(plan: &Plan) -> Result<(), String> {
    let names = names(plan);
    if names.is_empty() || names.len() > MOST_SERVERS {
        let count = names.len();
        return Err(format!("expected 1 to {MOST_SERVERS} servers, got {count}"));
    }
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            return Err(format!("expected each server once, got {name:?} twice"));
        }
    }
    let gets_weight = |event: &Happening| matches!(event.what, What::Weighs(weight) if weight > 0);
    let has_weight = plan.servers.iter().any(|server| server.weight > 0);
    if !has_weight && !plan.happenings.iter().any(gets_weight) {
        return Err("every server has the weight 0: nobody could ever be picked".to_owned());
    }
    Ok(())
}

fn check_events(plan: &Plan) -> Result<(), String> {
    let names = names(plan);
    for event in &plan.happenings {
        let Happening { at, server, .. } = event;
        if server != "all" && !names.contains(&server.as_str()) {
            let names = names.join(", ");
            return Err(format!(
                "there is no server {server:?} for the event at {at:?}: there are {names}"
            ));
        }
        if *at >= plan.length {
            let length = plan.length;
            return Err(format!(
                "the event at {at:?} would come after the end: requests come for {length:?} (--for)"
            ));
        }
    }
    Ok(())
}

fn check_requests(plan: &Plan) -> Result<(), String> {
    let requests = plan.rate * plan.length.as_secs_f64();
    if (1.0..=MOST_REQUESTS).contains(&requests) {
        return Ok(());
    }
    let (rate, length) = (plan.rate, plan.length);
    Err(format!(
        "expected 1 to {MOST_REQUESTS} requests in all, got {requests} ({rate} a second for {length:?})"
    ))
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.servers.iter().map(|s| s.name.as_str()).collect()
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    fn plan(words: &[&str]) -> Result<Plan, String> {
        let line = Line::try_parse_from([&["simulate"], words].concat());
        line.map_err(|error| error.to_string())?.flags.plan()
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_sentence() {
        for (words, sentence) in [
            (&["--server", "a:4,slots=0"][..], "slots=32"),
            (&["--server", "a:4,max=0"], "from 1 to 1000000"),
            (&["--server", "all:4"], "no server can be called"),
            (&["--server", ""], "expected a name"),
            (&["--server"], "value is required"),
            (&["--server", "a", "--server", "a"], "\"a\" twice"),
            (&["--server", "a:0", "--server", "b:0"], "the weight 0"),
            (&["--for", "0s"], "1 to 20000000 requests"),
            (&["--for", "5ms"], "got 0.5"),
            (&["--rate", "1000000", "--for", "1h"], "1 to 20000000"),
            (&["--rate", "0"], "from 0.1 to"),
            (&["--rate", "NaN"], "from 0.1 to"),
            (&["--writes", "1.1"], "from 0 to 1"),
            (&["--clients", "0"], "1..=1000000"),
            (&["--method", "fastest"], "round-robin"),
            (&["--event", "3s:c:dies"], "there is no server \"c\""),
            (&["--event", "3s:c:dies"], "there are a, b"),
            (&["--event", "10s:a:dies"], "after the end"),
            (&["--event", "3s:a:sleeps"], "expected dies"),
            (&["--wait", "1"], "expected a time"),
        ] {
            let refused = plan(words).unwrap_err();
            assert!(refused.contains(sentence), "{words:?}: {refused}");
        }
        let many: Vec<String> = (0..101)
            .map(|number| format!("--server=s{number}"))
            .collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(plan(&many).unwrap_err().contains("1 to 100 servers"));
        let later = ["--server", "a:0", "--event", "1s:a:weighs=2"];
        assert!(plan(&later).is_ok(), "it gets a weight");
        let queue = plan(&["--queue", "3", "--wait", "1s"]).unwrap().queue;
        assert_eq!((queue.length, queue.wait), (3, Duration::from_secs(1)));
    }
}

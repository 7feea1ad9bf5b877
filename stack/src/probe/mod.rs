//! `stack probe`: an open-loop stream of requests, and the account of what became of every one.
//!
//! Open loop: request N is sent at its own moment, however late earlier answers are, and its
//! latency counts from that moment. So a stall shows as what it is for clients, not as a pause.
//!
//! - `authorization` is how it is let in to write
//! - `load` sends on time, `client` sends one request, `outcome` judges one answer (pure)
//! - `songs` adds nothing to the database that it does not read back and remove
//! - `report` counts (pure), `table` shows
//! - [`scenario`]: a probe beside an event, measured against the figures that the event must keep
//! - [`walk`]: a random order of events (pure)

pub mod authorization;
mod client;
mod load;
mod outcome;
mod report;
pub mod scenario;
mod songs;
mod table;
pub mod walk;

use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use http::Uri;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

pub use authorization::Authorization;
pub use outcome::{Outcome, Sample, Sent};
pub use report::{Report, Writes};
pub use table::Second;

use crate::Fault;
use crate::cli::ProbeOptions;
use scenario::tasks;

/// Requests per second, unless another rate is asked for.
const USUAL_RATE: f64 = 200.0;
/// The share of writes, unless another one is asked for.
const USUAL_POST: f64 = 0.3;

/// What a probe does until it is stopped.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the stack listens.
    pub url: Uri,
    /// Requests per second.
    pub rate: f64,
    /// Share of requests that add a song, 0 to 1.
    pub post: f64,
    /// A connection of its own for every request.
    pub new_connections: bool,
    /// What the reads ask for; `None`: one song that is added for that purpose.
    pub path: Option<String>,
    /// An answer later than this is slow.
    pub slow: Duration,
    /// An answer later than this is none.
    pub timeout: Duration,
    /// Whether the songs stay.
    pub keep: bool,
    /// How to be let in; `None`: as anybody.
    pub authorization: Option<Authorization>,
}

impl Settings {
    fn new(options: &ProbeOptions, authorization: Option<Authorization>) -> Self {
        Self {
            authorization,
            url: options.url.clone(),
            rate: options.rate.unwrap_or(USUAL_RATE),
            post: options.post.unwrap_or(USUAL_POST),
            new_connections: options.new_connections,
            path: options.path.clone(),
            slow: options.slow,
            timeout: options.timeout,
            keep: options.keep,
        }
    }
}

/// A probe at work.
#[derive(Debug)]
pub struct Running {
    stop: oneshot::Sender<()>,
    begun: watch::Receiver<bool>,
    work: JoinHandle<Result<Account, Fault>>,
}

/// All that a probe knows at its end.
#[derive(Debug, Clone)]
pub struct Account {
    /// The sums.
    pub report: Report,
    /// Every request, in the order in which they ended.
    pub samples: Vec<Sample>,
}

impl Running {
    /// Waits until the first request is about to be sent, or until it is clear that none will be.
    pub async fn begun(&self) {
        // An error says that the probe has ended: whoever stops it is told why.
        let _ = self.begun.clone().wait_for(|begun| *begun).await;
    }

    /// Sends nothing more, waits for what is under way, reads the songs back, and reports.
    pub async fn stop(self) -> Result<Report, Fault> {
        Ok(self.account().await?.report)
    }

    /// Like [`Running::stop`], with every request.
    pub async fn account(self) -> Result<Account, Fault> {
        // It may have ended by itself, with a fault.
        let _ = self.stop.send(());
        match self.work.await {
            Ok(outcome) => outcome,
            Err(error) => Err(Fault::new(error.to_string())),
        }
    }
}

/// Starts a probe; `show` is called once a second with what happened in it.
pub fn start(settings: Settings, show: impl FnMut(&Second) + Send + 'static) -> Running {
    let (stop, stopped) = oneshot::channel();
    let (begin, begun) = watch::channel(false);
    let work = tokio::spawn(probe(settings, begin, stopped, show));
    Running { stop, begun, work }
}

async fn probe(
    settings: Settings,
    begin: watch::Sender<bool>,
    stopped: oneshot::Receiver<()>,
    show: impl FnMut(&Second),
) -> Result<Account, Fault> {
    let client = client::Client::new(&settings)?;
    let songs = songs::Songs::begin(client.clone());
    let seed = match &settings.path {
        Some(_) => None,
        None => Some(songs.add_one_to_read().await?),
    };
    let path = settings.path.clone().or(seed).unwrap_or_default();
    // Nobody may be waiting for it.
    let _ = begin.send(true);
    let samples = load::load(&settings, &client, &path, &songs, stopped, show).await;
    let writes = songs.account(&samples, settings.keep).await;
    Ok(Account {
        report: Report::new(&samples, settings.slow, writes),
        samples,
    })
}

/// Does what a person asks for, and tells whether everything was as it should be.
pub async fn from_terminal(dir: &Path, options: &ProbeOptions) -> Result<bool, Fault> {
    if !options.wanted.is_any() {
        return Ok(one(dir, options).await?.is_clean());
    }
    let mut wanted = options.wanted.clone();
    wanted.own = tasks::Own {
        rate: options.rate,
        post: options.post,
        new_connections: options.new_connections,
    };
    let command: Vec<_> = std::env::args().skip(1).collect();
    scenario::terminal::from_terminal(&wanted, &format!("stack {}", command.join(" "))).await
}

/// Runs a probe for a person: a line for each second, and a table at the end.
async fn one(dir: &Path, options: &ProbeOptions) -> Result<Report, Fault> {
    if !options.anywhere && !is_this_machine(&options.url) {
        return Err(Fault::new(format!(
            "{} is not this machine; a load test of somebody else's needs --anywhere",
            options.url
        )));
    }
    let authorization = options.credentials.authorization(dir).await?;
    let settings = Settings::new(options, authorization);
    let running = start(settings, |second| print(&second.to_string()));
    tokio::select! {
        () = tokio::time::sleep(options.duration) => {}
        _ = tokio::signal::ctrl_c() => {}
        () = async { while !running.work.is_finished() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        } } => {}
    }
    let report = running.stop().await?;
    print(&format!("\n{report}"));
    Ok(report)
}

fn print(text: &str) {
    // A reader such as `head` may have read enough.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn is_this_machine(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_this_machine() {
        let check = |url: &str| is_this_machine(&url.parse().unwrap());
        for own in [
            "http://127.0.0.1:8080/",
            "http://localhost/",
            "http://[::1]:80/",
        ] {
            assert!(check(own), "{own}");
        }
        for other in [
            "http://example.com/",
            "http://192.0.2.1/",
            "http://localhost.example.com/",
        ] {
            assert!(!check(other), "{other}");
        }
    }
}

//! The commands that ask a running proxy by its admin listener: `proxy status`, `drain`, `enable`,
//! `weight` and `reload`.
//!
//! `ask` speaks to the listener, `view` is what it answers, `names` finds the server that a
//! word means, `table` shows it all.

mod ask;
mod names;
mod table;
mod view;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

pub use ask::{Admin, Fault};
use view::Status;

/// How often a view is drawn anew.
const DRAW_EVERY: Duration = Duration::from_secs(1);
/// How often a draining server is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Clears a terminal and goes to its first line.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// How a status is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Show {
    /// Again and again, until the command is ended.
    pub watch: bool,
    /// As the listener gives it.
    pub json: bool,
}

/// Shows the upstreams and their servers.
pub async fn status(admin: &Admin, show: Show) -> Result<(), Fault> {
    loop {
        let answer = admin.get("/status").await?;
        let text = if show.json {
            format!("{answer}\n")
        } else {
            table::text(&view::status(answer)?)
        };
        let clear = show.watch && !show.json && io::stdout().is_terminal();
        let clear = if clear { CLEAR } else { "" };
        if say(&format!("{clear}{text}")).is_err() || !show.watch {
            // Nobody reads any more: that is the end of it, and no fault.
            return Ok(());
        }
        tokio::time::sleep(DRAW_EVERY).await;
    }
}

/// Sends nothing new to a server; with `wait` until it has nothing in hand either.
pub async fn drain(admin: &Admin, server: &str, wait: Option<Duration>) -> Result<(), Fault> {
    let named = change(admin, server, &json!({ "state": "drain" })).await?;
    let Some(wait) = wait else {
        return said(&format!("{named}: drained, nothing new goes there"));
    };
    let end = Instant::now() + wait;
    loop {
        let in_hand = names::in_hand(&status_of(admin).await?, &named);
        if in_hand == 0 {
            return said(&format!("{named}: drained, nothing in flight"));
        }
        if Instant::now() >= end {
            return Err(Fault(format!(
                "{named}: still {in_hand} in flight after {wait:?}; it stays drained"
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Sends requests to a server again.
pub async fn enable(admin: &Admin, server: &str) -> Result<(), Fault> {
    let named = change(admin, server, &json!({ "state": "ready" })).await?;
    said(&format!("{named}: ready, gets requests when it is well"))
}

/// Gives a server another weight.
pub async fn weight(admin: &Admin, server: &str, weight: u32) -> Result<(), Fault> {
    let named = change(admin, server, &json!({ "weight": weight })).await?;
    said(&format!("{named}: weight {weight}"))
}

/// Has the proxy read its configuration again.
pub async fn reload(admin: &Admin) -> Result<(), Fault> {
    let answer = admin.post("/reload").await?;
    let changed: Vec<&str> = match answer["changed"].as_array() {
        Some(changed) => changed.iter().filter_map(Value::as_str).collect(),
        None => Vec::new(),
    };
    said(&match changed[..] {
        [] => "reloaded: nothing was different".to_owned(),
        _ => format!("reloaded: {}", changed.join(", ")),
    })
}

async fn status_of(admin: &Admin) -> Result<Status, Fault> {
    view::status(admin.get("/status").await?)
}

async fn change(admin: &Admin, server: &str, change: &Value) -> Result<names::Named, Fault> {
    let named = names::find(&status_of(admin).await?, server).map_err(Fault)?;
    let server = ask::segment(&named.name);
    let path = format!("/upstreams/{}/servers/{server}", named.upstream);
    admin.patch(&path, change).await?;
    Ok(named)
}

fn said(line: &str) -> Result<(), Fault> {
    say(&format!("{line}\n")).map_err(|error| Fault(error.to_string()))
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

//! The songs that a probe adds: named, read back, compared with what clients were told, removed.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::client::Client;
use super::outcome::{Reply, Sample, Sent};
use super::report::{Writes, compare};
use crate::Fault;

/// How long the list of songs may take to become readable after the load.
const UNTIL_READABLE: Duration = Duration::from_secs(30);
/// How many are removed at a time.
const AT_A_TIME: usize = 8;

/// The songs of one probe.
#[derive(Debug)]
pub(super) struct Songs {
    client: Client,
    prefix: String,
}

impl Songs {
    /// Chooses a name that no other probe has.
    pub(super) fn begin(client: Client) -> Self {
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH);
        let nanoseconds = since.unwrap_or_default().as_nanos();
        Self {
            client,
            prefix: format!("probe {:x}-{nanoseconds:x} ", std::process::id()),
        }
    }

    /// The body that adds the song of this request; empty for a read.
    pub(super) fn name(&self, sent: Sent) -> Bytes {
        match sent {
            Sent::Get => Bytes::new(),
            Sent::Post(number) => self.body(&number.to_string()),
        }
    }

    fn body(&self, name: &str) -> Bytes {
        let song = format!("{}{name}", self.prefix);
        json!({ "song": song, "singer": "stack probe" })
            .to_string()
            .into()
    }

    /// Adds the song that the reads ask for, and returns its path.
    pub(super) async fn add_one_to_read(&self) -> Result<String, Fault> {
        let body = self.body("to read");
        let ended = self.client.send(Method::POST, "/api/music/", body).await;
        let row: Value = serde_json::from_slice(&ended.body).unwrap_or_default();
        match row["id"].as_i64() {
            Some(id) if ended.is_success() => Ok(format!("/api/music/{id}/")),
            _ => Err(Fault::new(refusal(&ended.reply, self.client.base()))),
        }
    }

    /// Reads the list back, compares it, and removes the songs; `None` when it cannot be read.
    pub(super) async fn account(&self, samples: &[Sample], keep: bool) -> Option<Writes> {
        let rows = self.read_back().await?;
        let mut stored = HashMap::new();
        for (_, name) in &rows {
            if let Ok(number) = name.parse::<u64>() {
                *stored.entry(number).or_insert(0) += 1;
            }
        }
        let mut writes = compare(samples, &stored);
        if !keep {
            writes.left_behind = self.remove(rows.into_iter().map(|(id, _)| id)).await;
        }
        Some(writes)
    }

    /// The id and the rest of the name of each song of this probe.
    async fn read_back(&self) -> Option<Vec<(i64, String)>> {
        let deadline = Instant::now() + UNTIL_READABLE;
        while Instant::now() < deadline {
            let ended = self
                .client
                .send(Method::GET, "/api/music/", Bytes::new())
                .await;
            let list = serde_json::from_slice::<Vec<Value>>(&ended.body);
            if let Ok(list) = list
                && ended.is_success()
            {
                let own = |row: &Value| {
                    let name = row["song"].as_str()?.strip_prefix(&self.prefix)?;
                    Some((row["id"].as_i64()?, name.to_owned()))
                };
                return Some(list.iter().filter_map(own).collect());
            }
            sleep(Duration::from_millis(200)).await;
        }
        None
    }

    /// Removes songs; returns how many would not go.
    async fn remove(&self, ids: impl Iterator<Item = i64>) -> usize {
        let mut under_way = JoinSet::new();
        let mut left = 0;
        for id in ids {
            if under_way.len() >= AT_A_TIME {
                left += usize::from(under_way.join_next().await.is_some_and(failed));
            }
            let client = self.client.clone();
            under_way.spawn(async move {
                let path = format!("/api/music/{id}/");
                client
                    .send(Method::DELETE, &path, Bytes::new())
                    .await
                    .is_success()
            });
        }
        while let Some(ended) = under_way.join_next().await {
            left += usize::from(failed(ended));
        }
        left
    }
}

/// Why there is nothing to read, for the person at the terminal.
fn refusal(reply: &Reply, base: &str) -> String {
    match reply {
        Reply::NotSent => format!("nothing answers at {base}: is the stack up?"),
        Reply::Cut => format!("{base} ended the connection without an answer: is the stack there?"),
        Reply::Late => format!("{base} did not answer in time"),
        Reply::Answer { status, .. } => {
            let first = "the stack does not take a song before the load begins";
            let why = match status.as_u16() {
                401 | 403 => ": --password-file or --token says who may write",
                _ => "",
            };
            format!("{first}: it answers {status}{why}")
        }
    }
}

fn failed(removed: Result<bool, tokio::task::JoinError>) -> bool {
    !removed.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[test]
    fn a_probe_that_cannot_begin_says_why() {
        let answer = |status| Reply::Answer {
            status,
            retry_after: false,
            unsure: false,
        };
        for (reply, words) in [
            (Reply::NotSent, "nothing answers at http://x:1"),
            (Reply::Cut, "without an answer"),
            (Reply::Late, "not answer in time"),
            (
                answer(StatusCode::FORBIDDEN),
                "403 Forbidden: --password-file",
            ),
            (answer(StatusCode::NOT_FOUND), "it answers 404 Not Found"),
        ] {
            let told = refusal(&reply, "http://x:1");
            assert!(told.contains(words), "{told}");
        }
    }
}

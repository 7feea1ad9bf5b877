//! The last requests that an operator may want to look at: failed, tried more than once, refused
//! or slow, each with all its tries, to be found by its id.
//!
//! [`crate::access_log`] shows every line to it; most are none of these, and cost a comparison.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::access_log::Entry;

/// How many are kept of each kind.
const KEPT: usize = 100;
/// From when on the wait for the first byte, or else the whole request, is slow.
const SLOW: Duration = Duration::from_secs(1);

/// Why a request is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The client got a 5xx.
    Failed,
    /// A try failed, and another one did not.
    Retried,
    /// It took long.
    Slow,
    /// The proxy refused it.
    Refused,
}

/// One request that is over.
#[derive(Debug, Serialize)]
pub struct Record {
    why: Why,
    #[serde(skip)]
    id: String,
    /// Its line in the access log.
    #[serde(flatten)]
    line: Value,
}

/// The last requests of each kind.
#[derive(Debug, Default)]
pub struct Recent {
    /// By kind, so that a flood of refused ones pushes no failed one out.
    kinds: Mutex<[VecDeque<Arc<Record>>; 4]>,
}

impl Recent {
    /// Keeps a request if it is one of these.
    pub fn take_in(&self, entry: &Entry<'_>) {
        let Some(why) = reason(entry) else { return };
        // What was written as JSON can be read as JSON.
        let Ok(line) = serde_json::from_slice(&entry.to_json()) else {
            return;
        };
        let record = Arc::new(Record {
            why,
            id: entry.request_id.to_owned(),
            line,
        });
        let mut kinds = self.lock();
        let kind = &mut kinds[why as usize];
        if kind.len() == KEPT {
            kind.pop_front();
        }
        kind.push_back(record);
    }

    /// All that are kept, of each kind the newest first.
    pub fn all(&self) -> Vec<Arc<Record>> {
        let kinds = self.lock();
        let all = kinds.iter().flat_map(|kind| kind.iter().rev());
        all.cloned().collect()
    }

    /// The newest one with this id.
    pub fn find(&self, id: &str) -> Option<Arc<Record>> {
        self.all().into_iter().find(|record| record.id == id)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, [VecDeque<Arc<Record>>; 4]> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reason(entry: &Entry<'_>) -> Option<Why> {
    if entry.status >= 500 {
        Some(Why::Failed)
    } else if entry.tries.len() > 1 {
        Some(Why::Retried)
    } else if entry.cause.is_some() {
        Some(Why::Refused)
    } else if entry.first_byte.unwrap_or(entry.total) >= SLOW {
        Some(Why::Slow)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::TryEntry;

    fn entry<'a>(id: &'a str, status: u16, tries: &'a [TryEntry], total: Duration) -> Entry<'a> {
        Entry {
            time: std::time::SystemTime::UNIX_EPOCH,
            request_id: id,
            client: "127.0.0.1".parse().unwrap(),
            protocol: Some("HTTP/1.1"),
            method: Some("GET"),
            host: None,
            path: Some("/"),
            status,
            bytes: 0,
            route: None,
            upstream: None,
            instance: "a",
            tries,
            first_byte: None,
            total,
            cause: (status == 404).then_some("nothing there"),
        }
    }

    #[test]
    fn only_some_are_kept_and_why_is_told() {
        let attempt = |outcome| TryEntry {
            server: "10.0.0.1:80".into(),
            outcome,
            status: None,
            began: Duration::ZERO,
            took: Duration::from_millis(1),
        };
        let tries = [attempt("silent"), attempt("answered")];
        for (status, tries, ms, expected) in [
            (200, &tries[1..], 999, None),
            (200, &tries[1..], 1000, Some(Why::Slow)),
            (200, &tries[..], 1, Some(Why::Retried)),
            (502, &tries[..1], 1, Some(Why::Failed)),
            (404, &[], 1, Some(Why::Refused)),
        ] {
            assert_eq!(
                reason(&entry("id", status, tries, Duration::from_millis(ms))),
                expected,
                "{status}"
            );
        }
    }

    #[test]
    fn what_is_kept_is_bounded_by_kind() {
        let recent = Recent::default();
        recent.take_in(&entry("failed", 503, &[], Duration::ZERO));
        for number in 0..2 * KEPT {
            recent.take_in(&entry(&number.to_string(), 404, &[], Duration::ZERO));
        }
        assert_eq!(recent.all().len(), KEPT + 1);
        assert!(recent.find("0").is_none() && recent.find("199").is_some());
        let failed = recent.find("failed").unwrap();
        let json = serde_json::to_value(&*failed).unwrap();
        assert_eq!(
            (&json["why"], &json["status"]),
            (&"failed".into(), &503.into())
        );
        assert_eq!(json["request_id"], "failed");
    }
}

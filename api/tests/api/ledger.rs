//! What clients were told about their writes, and whether it was true.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request};
use sqlx::PgPool;

use crate::support::{Answer, request};

/// What a client knows about a write of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// 2xx: it is there, once.
    Written,
    /// Any other answer: it is not there.
    NotWritten,
    /// "Unknown", or no answer: it is there once, or not at all.
    Nothing,
}

/// Every song that was sent, with what was said of it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    told: Mutex<HashMap<String, Told>>,
    slowest: Mutex<Duration>,
}

/// Makes the POST of a song, under a key if there is one.
pub(crate) fn post(song: &str, key: Option<&str>) -> Request<Body> {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    let body = format!(r#"{{"song":"{song}","singer":"x"}}"#);
    request(Method::POST, "/api/music/", &headers, body)
}

impl Ledger {
    /// Notes what was said of a song; returns whether it is known to be written.
    pub(crate) fn note(&self, song: &str, answer: &Result<Answer, String>) -> bool {
        let told = match answer {
            Ok(answer) if answer.status.is_success() => Told::Written,
            // Unknown, or still running.
            Ok(answer) if answer.text().contains(r#""outcome":"unknown""#) => Told::Nothing,
            Ok(answer) if answer.status == 409 => Told::Nothing,
            Ok(_) => Told::NotWritten,
            Err(_) => Told::Nothing,
        };
        if let Ok(answer) = answer {
            assert!(
                matches!(answer.status.as_u16(), 201 | 409 | 503),
                "{answer:?}"
            );
            let mut slowest = self.slowest.lock().unwrap();
            *slowest = answer.took.max(*slowest);
        }
        let mut all = self.told.lock().unwrap();
        all.insert(song.to_owned(), told);
        told == Told::Written
    }

    /// The longest that an answer took.
    pub(crate) fn slowest(&self) -> Duration {
        *self.slowest.lock().unwrap()
    }

    /// How many songs are known to be written.
    pub(crate) fn written(&self) -> usize {
        self.count(Told::Written)
    }

    /// How many songs may be written or not.
    pub(crate) fn open(&self) -> usize {
        self.count(Told::Nothing)
    }

    fn count(&self, wanted: Told) -> usize {
        let all = self.told.lock().unwrap();
        all.values().filter(|told| **told == wanted).count()
    }

    /// Fails if a song is missing, doubled or a ghost.
    pub(crate) async fn check(&self, pool: &PgPool) {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("select song, count(*) from music group by song")
                .fetch_all(pool)
                .await
                .unwrap();
        let rows: HashMap<_, _> = rows.into_iter().collect();
        let all = self.told.lock().unwrap();
        let wrong: Vec<_> = all
            .iter()
            .map(|(song, told)| (song, told, rows.get(song).copied().unwrap_or(0)))
            .filter(|(_, told, count)| match told {
                Told::Written => *count != 1,
                Told::NotWritten => *count != 0,
                Told::Nothing => *count > 1,
            })
            .collect();
        assert!(
            wrong.is_empty(),
            "{} of {} songs are missing, doubled or ghosts: {wrong:?}",
            wrong.len(),
            all.len()
        );
    }
}

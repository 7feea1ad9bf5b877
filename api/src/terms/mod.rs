//! On which terms a write is asked for: once only, not after a moment, only if nothing has changed.
//!
//! The headers are read before the body; [`crate::music`] has the database hold the terms, inside the
//! statement that writes.

mod condition;
mod deadline;
mod key;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::auth::Caller;
use crate::database::budget;
use crate::error::Error;

pub use condition::{Condition, Tag};
pub use deadline::REQUEST_DEADLINE;
pub use key::{IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED, Key};

/// Whose keys those are that come without a user: no account has this id.
const NOBODY: i64 = 0;

/// The terms of one write.
#[derive(Debug)]
pub struct Terms {
    /// Whose keys are meant: a user's id, or 0 for nobody.
    pub owner: i64,
    /// The key under which it is applied at most once.
    pub key: Option<Key>,
    /// What must hold of the row.
    pub condition: Condition,
    deadline: Option<OffsetDateTime>,
}

impl Terms {
    /// Reads the terms from the headers of a request of `owner`.
    fn read(owner: i64, headers: &HeaderMap) -> Result<Self, Error> {
        Ok(Self {
            owner,
            key: key::read(headers)?,
            condition: condition::read(headers)?,
            deadline: deadline::read(headers)?,
        })
    }

    /// Returns the terms of a form of the admin: its own key, and the version that it shows.
    #[must_use]
    pub fn of_form(owner: i64, key: Option<Key>, version: Option<String>) -> Self {
        let condition = Condition {
            only: version.map(|version| vec![version]),
            unless: None,
        };
        Self {
            owner,
            key,
            condition,
            deadline: None,
        }
    }

    /// Returns the moment after which the write must not begin, for one that is begun `now`.
    #[must_use]
    pub fn begin_before(&self, now: OffsetDateTime) -> OffsetDateTime {
        deadline::earlier(self.deadline, now, budget::left())
    }

    /// Returns what tells a repeat of this request from another one with the same key.
    #[must_use]
    pub fn digest(&self, body: &[u8]) -> Vec<u8> {
        let mut hash = Sha256::new_with_prefix(body);
        for list in [&self.condition.only, &self.condition.unless] {
            for version in list.iter().flatten() {
                hash.update(b"\0");
                hash.update(version);
            }
            hash.update(b"\x01");
        }
        hash.finalize().to_vec()
    }
}

impl<S: Sync> FromRequestParts<S> for Terms {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let caller = parts.extensions.get::<Caller>();
        let account = caller.and_then(|caller| caller.account.as_ref());
        Self::read(account.map_or(NOBODY, |account| account.id), &parts.headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::IF_MATCH;

    #[test]
    fn another_body_or_condition_is_another_request() {
        let plain = Terms::read(NOBODY, &HeaderMap::new()).unwrap();
        let tag = HeaderValue::from_static("\"1-2-3\"");
        let conditional = Terms::read(NOBODY, &HeaderMap::from_iter([(IF_MATCH, tag)])).unwrap();
        assert_eq!(plain.digest(b"a"), plain.digest(b"a"));
        assert_ne!(plain.digest(b"a"), plain.digest(b"b"));
        assert_ne!(plain.digest(b"a"), conditional.digest(b"a"));
    }
}

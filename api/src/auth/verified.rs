//! Remembers for a few minutes which passwords were right, so that a client which sends one with every request
//! does not cost a slow hash with every request.
//!
//! What is remembered is a digest under a key that the process draws at random, of the name, the password and the
//! stored hash: a new password makes it worthless, and who reads the memory of the process learns no password.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::secret::{Digest, digest};

/// How long a right password is remembered after it was last sent.
const LIFETIME: Duration = Duration::from_secs(300);
/// How many are remembered at most.
const CAPACITY: usize = 1024;

/// The passwords that were right. The lock is held for a few statements.
pub(super) struct Verified {
    key: [u8; 32],
    until: Mutex<HashMap<Digest, Instant>>,
}

impl Verified {
    pub(super) fn new() -> Self {
        let mut key = [0; 32];
        // Without randomness there is nothing else to sign in by either; a key of zeros is then no loss.
        let _ = getrandom::fill(&mut key);
        Self {
            key,
            until: Mutex::default(),
        }
    }

    /// Returns what stands for these credentials.
    pub(super) fn key(&self, name: &str, password: &str, hash: &str) -> Digest {
        digest(&[
            &self.key,
            name.as_bytes(),
            password.as_bytes(),
            hash.as_bytes(),
        ])
    }

    pub(super) fn knows(&self, key: Digest) -> bool {
        self.knows_at(key, Instant::now())
    }

    pub(super) fn add(&self, key: Digest) {
        self.add_at(key, Instant::now());
    }

    fn knows_at(&self, key: Digest, now: Instant) -> bool {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(until) = until.get_mut(&key).filter(|until| now < **until) else {
            return false;
        };
        // A client that sends it all the time does not wait for the slow hash again and again.
        *until = now + LIFETIME;
        true
    }

    fn add_at(&self, key: Digest, now: Instant) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.len() >= CAPACITY {
            until.retain(|_, until| now < *until);
        }
        // Whoever signs in from a thousand accounts at once pays for the slow hash again.
        if until.len() >= CAPACITY {
            until.clear();
        }
        until.insert(key, now + LIFETIME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_right_is_known_for_a_while_and_only_as_it_was() {
        let verified = Verified::new();
        let now = Instant::now();
        let key = verified.key("name", "password", "hash");
        verified.add_at(key, now);
        let last_sent = now + LIFETIME - Duration::from_secs(1);
        assert!(verified.knows_at(key, last_sent));
        assert!(!verified.knows_at(key, last_sent + LIFETIME));
        for (name, password, hash) in [
            ("namep", "assword", "hash"),
            ("name", "password", "other hash"),
            ("name", "passwords", "hash"),
        ] {
            assert!(!verified.knows_at(verified.key(name, password, hash), now));
        }
        assert_ne!(Verified::new().key("name", "password", "hash"), key);
    }

    #[test]
    fn it_does_not_grow_without_bound() {
        let verified = Verified::new();
        let now = Instant::now();
        for count in 0..3 * CAPACITY {
            verified.add_at(digest(&[&count.to_le_bytes()]), now);
        }
        assert!(verified.until.lock().unwrap().len() <= CAPACITY);
    }
}

//! Hashes and verifies passwords with argon2id: off the async threads, few at a time, never in an endless queue.

use std::sync::Arc;
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::verified::Verified;

/// The shortest password that is taken, in characters.
pub const SHORTEST: usize = 8;
/// The longest password that is taken or looked at, in bytes.
pub const LONGEST: usize = 1024;
/// How many may wait for each one that is hashed; more are refused at once.
const WAITING_PER_RUN: usize = 16;
/// How long one may wait for its turn.
const WAIT_LIMIT: Duration = Duration::from_secs(5);

/// Why a password could not be hashed now: too many others are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being verified")]
pub struct Busy;

/// What came of verifying a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is the password.
    Right,
    /// It is not, or there is none to compare with.
    Wrong,
}

/// Verifies passwords, a bounded number at once. Clones share the bound.
#[derive(Clone)]
pub struct Passwords {
    runs: Arc<Semaphore>,
    places: Arc<Semaphore>,
    verified: Arc<Verified>,
}

impl Default for Passwords {
    /// On half of the processors, so that requests without a password are answered meanwhile; each takes 19 MiB,
    /// so not over four.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self::bounded((processors / 2).clamp(1, 4), WAITING_PER_RUN)
    }
}

impl Passwords {
    /// Verifies `runs` at once, with `waiting` for each of them.
    #[must_use]
    pub fn bounded(runs: usize, waiting: usize) -> Self {
        Self {
            runs: Arc::new(Semaphore::new(runs)),
            places: Arc::new(Semaphore::new(runs * (1 + waiting))),
            verified: Arc::new(Verified::new()),
        }
    }

    /// Tells whether these credentials were right a moment ago.
    #[must_use]
    pub fn knows(&self, name: &str, password: &str, hash: &str) -> bool {
        self.verified.knows(self.verified.key(name, password, hash))
    }

    /// Tells whether a password is the one of which there is a hash. Without a hash it takes as long, and is wrong.
    ///
    /// What was right a moment ago is right without hashing, as long as the hash is the same.
    pub async fn verify(
        &self,
        name: &str,
        password: &str,
        hash: Option<&str>,
    ) -> Result<Outcome, Busy> {
        let key = hash.map(|hash| self.verified.key(name, password, hash));
        if key.is_some_and(|key| self.verified.knows(key)) {
            return Ok(Outcome::Right);
        }
        let _place = self.places.try_acquire().map_err(|_| Busy)?;
        let run = timeout(WAIT_LIMIT, Arc::clone(&self.runs).acquire_owned()).await;
        let Ok(Ok(run)) = run else {
            return Err(Busy);
        };
        // The same credentials may have been verified while these waited.
        if key.is_some_and(|key| self.verified.knows(key)) {
            return Ok(Outcome::Right);
        }
        let (password, hash) = (password.to_owned(), hash.map(str::to_owned));
        let right = tokio::task::spawn_blocking(move || {
            // Held until the hash is made, also when the client goes away meanwhile.
            let _run = run;
            is_right(&password, hash.as_deref())
        });
        if !right.await.unwrap_or(false) {
            return Ok(Outcome::Wrong);
        }
        if let Some(key) = key {
            self.verified.add(key);
        }
        Ok(Outcome::Right)
    }
}

impl Passwords {
    /// Hashes a new password when it is its turn, among those that are verified.
    pub async fn hash(&self, password: String) -> Result<Result<String, Refused>, Busy> {
        if let Err(refused) = check(&password) {
            return Ok(Err(refused));
        }
        let _place = self.places.try_acquire().map_err(|_| Busy)?;
        let run = timeout(WAIT_LIMIT, Arc::clone(&self.runs).acquire_owned()).await;
        let Ok(Ok(run)) = run else {
            return Err(Busy);
        };
        let hashed = tokio::task::spawn_blocking(move || {
            let _run = run;
            hash(&password)
        });
        Ok(hashed.await.unwrap_or(Err(Refused::Interrupted)))
    }
}

fn is_right(password: &str, hash: Option<&str>) -> bool {
    let password = if password.len() > LONGEST {
        ""
    } else {
        password
    };
    let Some(hash) = hash.and_then(|hash| PasswordHash::new(hash).ok()) else {
        let mut unused = [0; 32];
        // Only for the time that it takes.
        let _ = Argon2::default().hash_password_into(password.as_bytes(), &[0; 16], &mut unused);
        return false;
    };
    Argon2::default()
        .verify_password(password.as_bytes(), &hash)
        .is_ok()
}

/// Why a password is not taken, or not hashed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Too short or too long.
    #[error("the password must have at least {SHORTEST} characters, and at most {LONGEST} bytes")]
    Length,
    /// No random salt, or no memory.
    #[error("the password could not be hashed: {0}")]
    Failed(argon2::password_hash::Error),
    /// The process ends.
    #[error("the password could not be hashed: interrupted")]
    Interrupted,
}

/// Refuses a password that is too short or too long.
pub fn check(password: &str) -> Result<(), Refused> {
    if password.chars().count() < SHORTEST || password.len() > LONGEST {
        return Err(Refused::Length);
    }
    Ok(())
}

/// Hashes a new password on a thread of its own.
pub async fn hash_apart(password: String) -> Result<String, Refused> {
    let hashed = tokio::task::spawn_blocking(move || hash(&password));
    hashed.await.unwrap_or(Err(Refused::Interrupted))
}

/// Hashes a new password. Blocks for as long as a verification.
pub fn hash(password: &str) -> Result<String, Refused> {
    check(password)?;
    let hash: PasswordHash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(Refused::Failed)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn only_the_password_itself_is_right() {
        let hash = hash("password123").unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(is_right("password123", Some(&hash)));
        assert!(!is_right("password124", Some(&hash)));
        assert!(!is_right("", Some(&hash)));
        assert!(!is_right("password123", None));
        assert!(!is_right("password123", Some("nonsense")));
        assert!(!is_right(&"x".repeat(LONGEST + 1), Some(&hash)));
    }

    #[test]
    fn what_is_too_short_or_too_long_is_not_taken() {
        for refused in ["", "1234567", &"x".repeat(LONGEST + 1)] {
            assert!(matches!(super::hash(refused), Err(Refused::Length)));
        }
    }

    #[test]
    fn an_unknown_name_costs_as_much_as_a_known_one() {
        let hash = hash("password123").unwrap();
        let fastest = |hash: Option<&str>| {
            let times = (0..5).map(|_| {
                let started = Instant::now();
                assert!(!is_right("wrong", hash));
                started.elapsed()
            });
            times.min().unwrap()
        };
        let (known, unknown) = (fastest(Some(&hash)), fastest(None));
        assert!(
            unknown * 5 > known && known * 5 > unknown,
            "{known:?} {unknown:?}"
        );
    }

    #[tokio::test]
    async fn over_the_bound_one_is_refused_at_once() {
        let hash = hash("password123").unwrap();
        let passwords = Passwords::bounded(1, 1);
        let running = Arc::clone(&passwords.runs).acquire_owned().await.unwrap();
        let mut waiting: Vec<_> = (0..2)
            .map(|_| {
                let (passwords, hash) = (passwords.clone(), hash.clone());
                tokio::spawn(async move { passwords.verify("a", "password123", Some(&hash)).await })
            })
            .collect();
        while passwords.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            passwords.verify("a", "password123", Some(&hash)).await,
            Err(Busy)
        );
        drop(running);
        for verified in waiting.drain(..) {
            assert_eq!(verified.await.unwrap(), Ok(Outcome::Right));
        }
        assert_eq!(
            passwords.verify("a", "password12", Some(&hash)).await,
            Ok(Outcome::Wrong)
        );
    }
}

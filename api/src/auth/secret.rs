//! Random values that stand for somebody: session ids and tokens. What is stored of them is a digest.

use std::fmt::Write;

use sha2::{Digest as _, Sha256};

/// What is stored of a secret: its SHA-256. The secrets are random and long, so no slow hash is needed.
pub type Digest = [u8; 32];

/// How many random bytes a secret is made of: 160 bits, 40 hexadecimal digits, as the original's tokens.
const BYTES: usize = 20;

/// A random value that stands for an account. Has no `Debug`, so that it cannot be logged by accident.
pub struct Secret(String);

impl Secret {
    /// Draws a new one from the operating system.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(hex(&bytes)))
    }

    /// Returns the value, to be given to its owner once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns what is stored of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest(&[self.0.as_bytes()])
    }

    /// Returns what is stored of a value that a client sent; `None` if it can be no secret of ours.
    #[must_use]
    pub fn digest_of(sent: &str) -> Option<Digest> {
        let ours = sent.len() == 2 * BYTES && sent.bytes().all(|byte| byte.is_ascii_alphanumeric());
        ours.then(|| digest(&[sent.as_bytes()]))
    }
}

/// Digests several parts, so that no two lists of parts have one digest.
#[must_use]
pub fn digest(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_is_another_and_long_enough() {
        let (one, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.reveal().len(), 40);
        assert!(Secret::digest_of(one.reveal()) == Some(one.digest()));
    }

    #[test]
    fn what_cannot_be_a_secret_has_no_digest() {
        for odd in ["", "abc", &"x".repeat(41), &"é".repeat(20)] {
            assert!(Secret::digest_of(odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn parts_do_not_flow_together() {
        assert_ne!(digest(&[b"a", b"bc"]), digest(&[b"ab", b"c"]));
    }
}

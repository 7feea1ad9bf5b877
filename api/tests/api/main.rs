//! The API against a real Postgres and over real sockets. Run by `scripts/with-postgres cargo test -p api`.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends with a panic when anything is not as it should be"
)]

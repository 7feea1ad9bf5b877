//! The API against a real Postgres and over real sockets: `scripts/with-postgres cargo test -p api`.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends with a panic when anything is not as it should be"
)]

mod answers;
mod bodies;
mod commands;
mod database;
mod instances;
mod listing;
mod long_list;
mod metrics;
mod music;
mod paging;
mod process;
mod program;
mod relay;
mod sessions;
mod settings;
mod sockets;
mod stopping;
mod support;
mod users;

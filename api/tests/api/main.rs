//! The API against a real Postgres and over real sockets: `scripts/with-postgres cargo test -p api`.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends with a panic when anything is not as it should be"
)]

mod admin;
mod admin_again;
mod admin_kept_out;
mod admin_leafing;
mod admin_rights;
mod answers;
mod bodies;
mod budget;
mod cluster;
mod commands;
mod conditions;
mod database;
mod ghosts;
mod instances;
mod keys;
mod killing;
mod ledger;
mod listing;
mod login_forms;
mod long_list;
mod metrics;
mod music;
mod older;
mod once;
mod outages;
mod pages;
mod pages_long;
mod pages_reader;
mod pages_rules;
mod paging;
mod process;
mod program;
mod random;
mod recorded;
mod relay;
mod running;
mod schema;
mod searching;
mod sessions;
mod settings;
mod sign_in_races;
mod singers;
mod sockets;
mod stopping;
mod support;
#[path = "../recorded/mod.rs"]
mod transcript;
mod users;
mod wrong;

//! `stack probe --scenario`: an event under load, measured against the figures that it must keep.
//!
//! - [`row`]: the events and their figures; [`measure`]: what a run showed; [`figures`]: the table.
//!   All of them pure
//! - [`stage`]: the stack that is struck, [`native`] or in containers ([`compose`]); [`event`]: how;
//!   `witness`: what it must leave alone
//! - `stand_in`: servers that misbehave on purpose, behind our proxy alone (`front`); [`alone`] has
//!   their rows, with `overload`, `slow_heads` and `idle`
//! - [`peers`]: nginx and haproxy before the same servers
//! - [`tasks`]: what is run, in which order (pure); [`terminal`]: runs and prints it; `machine`: where

mod alone;
pub mod compose;
pub mod event;
pub mod figures;
mod front;
mod idle;
mod machine;
pub mod measure;
pub mod native;
mod overload;
pub mod peers;
pub mod row;
mod slow_heads;
pub mod stage;
mod stand_in;
pub mod tasks;
pub mod terminal;
mod witness;

use std::net::SocketAddr;

use http::Uri;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

pub use alone::alone;
pub use event::{Lengths, on_stage};
pub(crate) use machine::{processor, today};
pub use measure::{Load, Run};
pub use row::{Place, Row};
pub use stage::{Deed, Stage};

use crate::Fault;

/// Files that a process has open beside the connections of a row.
const OTHER_FILES: u64 = 200;

/// The address of a listener as a URL.
pub(super) fn url(listen: SocketAddr) -> Uri {
    Uri::builder()
        .scheme("http")
        .authority(listen.to_string())
        .path_and_query("/")
        .build()
        .unwrap_or_default()
}

/// Raises the number of open files of this process and those that it starts, as far as it must be.
pub(crate) fn allow_connections(count: u32) -> Result<(), Fault> {
    let need = u64::from(count) + OTHER_FILES;
    let failed = |error| Fault::new(format!("the limit of open files: {error}"));
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(failed)?;
    if soft >= need {
        return Ok(());
    }
    if hard < need {
        return Err(Fault::new(format!(
            "{count} connections need {need} open files, and this user may have {hard} (ulimit -Hn)"
        )));
    }
    setrlimit(Resource::RLIMIT_NOFILE, need, hard).map_err(failed)
}

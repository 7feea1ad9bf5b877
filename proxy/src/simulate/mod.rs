//! `proxy simulate`: the balancing of a described fleet, in virtual time and without a network.
//!
//! The code that decides is the proxy's own: [`Upstream`](crate::upstream::Upstream) picks,
//! counts, ejects and pays for retries, [`crate::upstream::health`] and
//! [`crate::upstream::silence`] judge, [`Exchange`](crate::gateway::exchange::Exchange) decides
//! what becomes of a failed try. Only the servers are made up (`server`), and so is the clock:
//! `world` carries events from one moment to the next, `sending` is the way of a request,
//! `waiting` the line before full servers, `watching` the watch over them. What happened is counted in [`outcome`],
//! held against the laws of each method in [`laws`], and drawn by [`draw`].

mod draw;
pub mod flags;
pub mod laws;
pub mod outcome;
pub mod plan;
mod sending;
mod server;
mod waiting;
mod watching;
mod world;

pub use draw::draw;
pub use flags::Flags;
pub use outcome::Outcome;
pub use plan::Plan;
pub use world::run;

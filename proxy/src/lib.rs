//! A load-balancing reverse proxy on Pingora: weighted upstreams, failover, static files.
//!
//! A request takes one way through the modules:
//!
//! - [`server`] accepts its connection; [`front`] reads its head and has [`head`] judge it;
//! - [`gateway`] carries it on: [`route`] finds its target;
//! - a file is found by [`files`];
//! - an upstream's server is chosen by [`upstream`] with [`balance`], what is passed on is
//!   rewritten by [`forward`], and [`retry`] says whether a failed try is repeated;
//! - [`websocket`] judges the handshakes of those, and [`compress`] says which answers are sent as
//!   gzip;
//! - [`respond`] writes what the proxy says itself, and [`access_log`] notes the request.
//!
//! [`config`] fills the types of all of them once, before a port is bound; [`admin`] shows their
//! state; [`drain`] tells them that the proxy is stopping.

pub mod access_log;
pub mod admin;
pub mod allocator;
pub mod balance;
pub mod certificate;
pub mod cli;
pub mod clients;
pub mod compress;
pub mod config;
pub mod control;
pub mod drain;
pub mod events;
pub mod explain;
pub mod figures;
pub mod files;
pub mod forward;
pub mod front;
pub mod gateway;
pub mod head;
pub mod healthcheck;
pub mod idempotency;
pub mod keepalive;
pub mod live;
pub mod moment;
pub mod rate_limit;
pub mod recent;
pub mod reload;
pub mod request_id;
pub mod respond;
pub mod retry;
pub mod route;
pub mod run;
pub mod server;
pub mod simulate;
mod single_get;
mod trouble;
mod unreadable;
pub mod upstream;
pub mod websocket;

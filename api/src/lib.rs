//! A music API on axum and Postgres, made to run as one of several instances behind a load balancer.
//!
//! A request reads from top to bottom through these modules:
//!
//! 1. [`server`] accepts connections and ends them again when the process is told to stop.
//! 2. [`stamp`] puts the instance's name and the request's id on every answer, and writes the log line.
//! 3. [`address`] makes one path out of the ways to write it: doubled slashes, a missing one, `.json`.
//! 4. [`router`] lists every route; [`endpoint`] checks what is asked of each before its handler runs:
//!    [`negotiate`] the format, [`auth`] who asks, then [`permission`].
//! 5. [`music`] and [`root`] hold the handlers, [`health`] what the proxy and a deploy ask.
//! 6. [`terms`] reads on which terms a write is asked for: its key, its deadline, its condition.
//! 7. [`database`] lends a connection within the request's budget of time.
//! 8. [`error`] makes a cause into a status and a fixed sentence; [`json`] writes bodies, [`indent`] and [`browse`]
//!    make them readable for people, [`page`] is the look of every page.
//!
//! [`schema`] describes all of it as an `OpenAPI` document, and shows that in a browser.
//! [`admin`] is what staff see at `/admin/`.
//! [`origin`] tells what the client asked through a proxy, [`metrics`] counts.
//! [`run`] does what the command line says; [`ask`] and [`seed`] are for commands other than `serve`.
//! [`cli`] and [`config`] say how it was started, [`instance`] what it is called, [`stop`] when it ends.

pub mod address;
pub mod admin;
pub mod ask;
pub mod auth;
pub mod browse;
mod charset;
pub mod cli;
pub mod config;
pub mod database;
pub mod endpoint;
pub mod error;
pub mod health;
pub mod healthcheck;
pub mod indent;
pub mod instance;
pub mod json;
pub mod logging;
pub mod metrics;
mod moment;
pub mod music;
pub mod negotiate;
pub mod origin;
pub mod page;
pub mod permission;
pub mod root;
pub mod router;
pub mod run;
pub mod schema;
pub mod seed;
pub mod sent;
pub mod server;
pub mod stamp;
pub mod stop;
pub mod terms;

//! The process as a server: ports bound before anything starts, connections accepted, a stop
//! that loses nothing.

mod accept;
mod sockets;

use std::future::{Future, IntoFuture};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::http_proxy;
use tokio::net::TcpListener;

use crate::access_log::AccessLog;
use crate::admin::{self, Admin};
use crate::config::Config;
use crate::drain::Drain;
use crate::front::Front;
use crate::gateway::Gateway;
use crate::head;
use crate::live::{InForce, Live, NoFolder};
pub use sockets::Sockets;

/// Why the proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port could not be had.
    #[error("cannot listen on {address}: {}", sockets::explain(.cause))]
    Bind {
        /// The address as configured.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// A folder of files could not be opened.
    #[error(transparent)]
    Files(#[from] NoFolder),
    /// The access log could not be opened.
    #[error("cannot open the access log: {0}")]
    AccessLog(io::Error),
    /// The asynchronous runtime could not be had.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
}

/// Serves until `stop` resolves, then drains.
///
/// Must run on the runtime that is to carry the connections.
pub async fn run(
    config: Config,
    sockets: Sockets,
    access_log: AccessLog,
    stop: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let now = Instant::now();
    let live: InForce = Arc::new(ArcSwap::from_pointee(Live::of(&config, &[], now)?));
    let drain = Arc::new(Drain::default());
    let front = front(&config, &live, &drain, access_log);
    for upstream in &live.load().upstreams {
        upstream.start();
    }
    if let Some(listener) = sockets.admin {
        let app = admin::router(Admin {
            live,
            drain: Arc::clone(&drain),
        });
        let listener = TcpListener::from_std(listener).map_err(StartError::Runtime)?;
        tokio::spawn(axum::serve(listener, app).into_future());
    }
    accept::until_stopped(&config.clients, sockets.public, front, &drain, stop).await
}

fn front(config: &Config, live: &InForce, drain: &Arc<Drain>, access_log: AccessLog) -> Front {
    let access_log = Arc::new(access_log);
    let gateway = Gateway {
        live: Arc::clone(live),
        drain: Arc::clone(drain),
        access_log: Arc::clone(&access_log),
    };
    let framework = ServerConf {
        threads: config.threads.get(),
        // Tries are counted by `retry`; this only has to be out of its way.
        max_retries: 100,
        upstream_keepalive_pool_size: 1024,
        ..ServerConf::default()
    };
    Front {
        proxy: Arc::new(http_proxy(&Arc::new(framework), gateway)),
        live: Arc::clone(live),
        limits: head::Limits::default(),
        drain: Arc::clone(drain),
        access_log,
    }
}

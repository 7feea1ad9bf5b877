//! The process as a server: ports bound before anything starts, connections accepted, a stop
//! that loses nothing.

mod accept;
mod sockets;

use std::future::{Future, IntoFuture};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use pingora_core::server::configuration::ServerConf;
use pingora_proxy::http_proxy;
use tokio::net::TcpListener;

use crate::access_log::AccessLog;
use crate::admin::{self, Admin};
use crate::config::{Config, Target as ConfiguredTarget};
use crate::drain::Drain;
use crate::files;
use crate::front::Front;
use crate::gateway::{Gateway, Target};
use crate::head;
use crate::route::Table;
use crate::upstream::Upstream;
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
    #[error("cannot serve files from {folder}: {cause}")]
    Files {
        /// The folder.
        folder: String,
        /// What the system said.
        cause: io::Error,
    },
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
    let upstreams: Vec<Arc<Upstream>> = config
        .upstreams
        .iter()
        .map(|settings| Arc::new(Upstream::new(settings.clone(), now)))
        .collect();
    let drain = Arc::new(Drain::default());
    let front = front(&config, &upstreams, &drain, access_log)?;
    for upstream in &upstreams {
        upstream.start();
    }
    if let Some(listener) = sockets.admin {
        let app = admin::router(Admin {
            upstreams,
            drain: Arc::clone(&drain),
        });
        let listener = TcpListener::from_std(listener).map_err(StartError::Runtime)?;
        tokio::spawn(axum::serve(listener, app).into_future());
    }
    accept::until_stopped(&config.clients, sockets.public, front, &drain, stop).await
}

fn front(
    config: &Config,
    upstreams: &[Arc<Upstream>],
    drain: &Arc<Drain>,
    access_log: AccessLog,
) -> Result<Front, StartError> {
    let access_log = Arc::new(access_log);
    let gateway = Gateway {
        routes: routes(config, upstreams)?,
        clients: config.clients.clone(),
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
    Ok(Front {
        proxy: Arc::new(http_proxy(&Arc::new(framework), gateway)),
        clients: config.clients.clone(),
        limits: head::Limits::default(),
        drain: Arc::clone(drain),
        access_log,
    })
}

fn routes(config: &Config, upstreams: &[Arc<Upstream>]) -> Result<Table<Target>, StartError> {
    let mut routes = Vec::new();
    for route in &config.routes {
        let target = match &route.target {
            ConfiguredTarget::Files { root } => {
                Target::Files(files::Root::open(root).map_err(|cause| StartError::Files {
                    folder: root.display().to_string(),
                    cause,
                })?)
            }
            ConfiguredTarget::Upstream { name, max_body } => {
                // The configuration has been checked: the name is there.
                let Some(upstream) = upstreams.iter().find(|u| u.settings().name == *name) else {
                    continue;
                };
                Target::Upstream {
                    upstream: Arc::clone(upstream),
                    max_body: *max_body,
                }
            }
        };
        routes.push((route.matcher.clone(), target));
    }
    Ok(Table::new(routes))
}

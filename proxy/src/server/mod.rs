//! The process as a server: ports bound before anything starts, connections accepted, a stop
//! that loses nothing.

mod accept;
mod addresses;
pub mod descriptors;
pub mod places;
mod sockets;
mod tls;

use std::future::{Future, IntoFuture};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::http_proxy;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use crate::access_log::AccessLog;
use crate::admin::{self, Admin};
use crate::certificate::{self, Shown, Tls, Unusable};
use crate::config::Config;
use crate::drain::Drain;
use crate::events::{Events, What};
use crate::front::Front;
use crate::gateway::Gateway;
use crate::head;
use crate::live::{InForce, Live, NoFolder};
use crate::reload::{Reloading, Reloads};
use accept::Port;
use places::Places;
pub use sockets::Sockets;
use tls::Handshakes;

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
    /// The certificate cannot be used.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Certificate(Vec<Unusable>),
    /// The access log could not be opened.
    #[error("log.access: cannot open the access log: {0}")]
    AccessLog(io::Error),
    /// The asynchronous runtime could not be had.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
}

/// What a running server listens to from outside, apart from its sockets.
#[derive(Debug)]
pub struct Orders<S> {
    /// Resolves when the server is to stop.
    pub stop: S,
    /// Notified when it is to read its configuration again.
    pub hangup: Arc<Notify>,
}

/// Serves until it is told to stop, then drains.
///
/// Must run on the runtime that is to carry the connections.
pub async fn run<S: Future<Output = ()>>(
    config: Config,
    sockets: Sockets,
    access_log: AccessLog,
    orders: Orders<S>,
) -> Result<(), StartError> {
    let config = Arc::new(config);
    let access_log = Arc::new(access_log);
    let events = Arc::new(Events::default());
    let wanted = config.clients.max_connections;
    let places = Places::new(wanted, descriptors::room());
    descriptors::warn_if_short(wanted, places.ceiling());
    let drain = Arc::new(Drain::default());
    let live = Live::of(&config, None, &events, Instant::now())?;
    let live: InForce = Arc::new(ArcSwap::from_pointee(live));
    for upstream in &live.load().upstreams {
        upstream.start();
    }
    let (reloads, asked) = Reloads::channel();
    if let Some(listener) = sockets.admin {
        let admin = Admin::new(
            Arc::clone(&live),
            Arc::clone(&drain),
            Arc::clone(&events),
            reloads,
            Arc::clone(&access_log),
            Arc::clone(&places),
        );
        serve_admin(listener, admin)?;
    }
    let front = front(&config, &live, &drain, &access_log);
    let mut ports: Vec<Port> = sockets.public.into_iter().map(plain).collect();
    if let (Some(tls), Some(listener)) = (&config.tls, sockets.secure) {
        ports.push(secure(tls, listener)?);
    }
    let reloading = Reloading {
        config,
        live,
        events: Arc::clone(&events),
        places: Arc::clone(&places),
        access_log,
        hangup: orders.hangup,
        asked,
    };
    let reloading = AbortOnDropHandle::new(tokio::spawn(reloading.run()));
    let stop = async move {
        orders.stop.await;
        drop(reloading);
        events.tell(What::Stopping, "asked to stop");
    };
    accept::until_stopped(ports, front, &places, &drain, stop).await
}

fn plain(listener: std::net::TcpListener) -> Port {
    Port {
        listener,
        handshakes: None,
    }
}

/// Reads the certificate once more, now for use, and has its files followed.
fn secure(tls: &Tls, listener: std::net::TcpListener) -> Result<Port, StartError> {
    let shown = Arc::new(Shown::new(
        certificate::load(tls).map_err(StartError::Certificate)?,
    ));
    tokio::spawn(Arc::clone(&shown).follow(tls.clone()));
    Ok(Port {
        listener,
        handshakes: Some(Arc::new(Handshakes::new(shown))),
    })
}

fn serve_admin(listener: std::net::TcpListener, admin: Admin) -> Result<(), StartError> {
    let address = listener.local_addr().map_err(StartError::Runtime)?;
    let listener = TcpListener::from_std(listener).map_err(StartError::Runtime)?;
    let app = admin::router(admin, address);
    tokio::spawn(axum::serve(listener, app).into_future());
    Ok(())
}

fn front(
    config: &Config,
    live: &InForce,
    drain: &Arc<Drain>,
    access_log: &Arc<AccessLog>,
) -> Front {
    let gateway = Gateway {
        live: Arc::clone(live),
        drain: Arc::clone(drain),
        access_log: Arc::clone(access_log),
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
        access_log: Arc::clone(access_log),
    }
}

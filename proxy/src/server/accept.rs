//! Accepting connections, and no longer accepting them.

use std::future::Future;
use std::net::TcpListener as StdListener;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::{GetSocketDigest, SocketDigest};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::TaskTracker;

use super::StartError;
use super::slots::Slots;
use super::tls::Handshakes;
use crate::drain::{Drain, Phase};
use crate::front::Front;
use crate::keepalive;

/// How long clients are told to go elsewhere before the listeners close.
const ANNOUNCE: Duration = Duration::from_secs(1);
/// From closing the listeners to closing idle connections: the last heads arrive meanwhile.
const SETTLE: Duration = Duration::from_millis(100);
/// The longest that a stop may take in all.
const GRACE: Duration = Duration::from_secs(8);
/// The pause after a failed accept, which mostly means that descriptors have run out.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// A port and how clients speak on it.
pub(super) struct Port {
    pub(super) listener: StdListener,
    /// Over TLS, if there is something to shake hands with.
    pub(super) handshakes: Option<Arc<Handshakes>>,
}

/// Serves connections until `stop` resolves, then drains.
pub(super) async fn until_stopped(
    ports: Vec<Port>,
    front: Front,
    slots: &Arc<Slots>,
    drain: &Arc<Drain>,
    stop: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let front = Arc::new(front);
    let connections = TaskTracker::new();
    let mut accepting = JoinSet::new();
    for port in ports {
        let acceptor = Acceptor {
            listener: TcpListener::from_std(port.listener).map_err(StartError::Runtime)?,
            handshakes: port.handshakes,
            front: Arc::clone(&front),
            slots: Arc::clone(slots),
            connections: connections.clone(),
            drain: Arc::clone(drain),
        };
        accepting.spawn(acceptor.run());
    }
    drop(front);
    stop.await;
    stop_gently(drain, accepting, &connections).await;
    Ok(())
}

async fn stop_gently(drain: &Drain, mut accepting: JoinSet<()>, connections: &TaskTracker) {
    let end = Instant::now() + GRACE;
    tracing::info!("stopping: clients are told to go elsewhere");
    drain.enter(Phase::Announcing);
    sleep(ANNOUNCE).await;
    drain.enter(Phase::Deaf);
    while accepting.join_next().await.is_some() {}
    sleep(SETTLE).await;
    drain.enter(Phase::Closing);
    connections.close();
    if timeout_at(end, connections.wait()).await.is_err() {
        tracing::warn!(
            cut = connections.len(),
            "stopped: out of time, connections cut"
        );
    } else {
        tracing::info!("stopped: nothing left in flight");
    }
}

struct Acceptor {
    listener: TcpListener,
    handshakes: Option<Arc<Handshakes>>,
    front: Arc<Front>,
    slots: Arc<Slots>,
    connections: TaskTracker,
    drain: Arc<Drain>,
}

impl Acceptor {
    async fn run(self) {
        tokio::select! {
            () = self.accept_for_ever() => {}
            () = self.drain.reached(Phase::Deaf) => {}
        }
        self.sweep_backlog().await;
    }

    async fn accept_for_ever(&self) {
        loop {
            let Some(slot) = self.slots.take().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((connection, _)) => self.serve(connection, slot),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(AFTER_FAILURE).await;
                }
            }
        }
    }

    /// Serves those whose connection the system has accepted on our behalf.
    async fn sweep_backlog(&self) {
        while let Some(slot) = self.slots.try_take() {
            match timeout(Duration::ZERO, self.listener.accept()).await {
                Ok(Ok((connection, _))) => self.serve(connection, slot),
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }

    fn serve(&self, connection: TcpStream, slot: OwnedSemaphorePermit) {
        let front = Arc::clone(&self.front);
        let handshakes = self.handshakes.clone();
        self.connections.spawn(async move {
            let peer = connection.peer_addr().ok();
            // Without it an answer in two writes may wait for the client's delayed ACK.
            let _ = connection.set_nodelay(true);
            keepalive::watch(&connection);
            let digest = SocketDigest::from_raw_fd(connection.as_raw_fd());
            let mut stream = Stream::from(connection);
            stream.set_socket_digest(digest);
            match handshakes {
                None => front.serve(Box::new(stream), peer, false).await,
                Some(handshakes) => {
                    // The slot is held meanwhile: handshakes count, and have no longer than a head.
                    let limit = front.live.load().clients.header_timeout;
                    if let Ok(Some(stream)) = timeout(limit, handshakes.shake(stream)).await {
                        front.serve(stream, peer, true).await;
                    }
                }
            }
            drop(slot);
        });
    }
}

//! Accepting connections, and no longer accepting them.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::{GetSocketDigest, SocketDigest, Stream as IoStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::TaskTracker;

use super::StartError;
use super::places::{Place, Places};
use super::tls::{Handshakes, speaks_plain};
use crate::drain::{Drain, Phase};
use crate::front::Front;
use crate::front::plain::PlainStream;
use crate::trouble::Trouble;

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
    places: &Arc<Places>,
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
            places: Arc::clone(places),
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
    places: Arc<Places>,
    connections: TaskTracker,
    drain: Arc<Drain>,
}

/// A connection that was accepted.
type Newcomer = (TcpStream, SocketAddr);

/// What may keep an acceptor from accepting.
#[derive(Default)]
struct Troubles {
    descriptors: Trouble,
    places: Trouble,
    addresses: Trouble,
}

impl Acceptor {
    async fn run(self) {
        let mut waiting = None;
        tokio::select! {
            () = self.accept_for_ever(&mut waiting) => {}
            () = self.drain.reached(Phase::Deaf) => {}
        }
        self.sweep_backlog(waiting).await;
    }

    /// A newcomer is `waiting` as long as there is no place for it; meanwhile nobody is accepted.
    async fn accept_for_ever(&self, waiting: &mut Option<Newcomer>) {
        let mut troubles = Troubles::default();
        loop {
            match self.listener.accept().await {
                Ok(newcomer) => *waiting = Some(newcomer),
                Err(error) => {
                    self.not_accepted(&error, &mut troubles.descriptors).await;
                    continue;
                }
            }
            if troubles.descriptors.is_over() {
                tracing::info!("connections are accepted again");
            }
            let Some(place) = self.place(&mut troubles.places).await else {
                return;
            };
            if let Some(newcomer) = waiting.take() {
                self.let_in(newcomer, place, &mut troubles.addresses);
            }
        }
    }

    async fn place(&self, trouble: &mut Trouble) -> Option<Place> {
        let at_once = self.places.try_take().or_else(|| self.places.call_back());
        if at_once.is_some() {
            if trouble.is_over() {
                tracing::info!("there are places for new connections again");
            }
            return at_once;
        }
        if trouble.is_here(Instant::now().into()) {
            tracing::warn!(
                connections = self.places.most(),
                "all places for connections are taken, and none is idle: new ones wait"
            );
        }
        self.places.take().await
    }

    /// Waits for better times, if it is the system that has run out of something: who is idle
    /// makes room, and whoever is being served notices nothing.
    async fn not_accepted(&self, error: &io::Error, trouble: &mut Trouble) {
        const OURS: [i32; 4] = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
        if !error
            .raw_os_error()
            .is_some_and(|code| OURS.contains(&code))
        {
            // The newcomer has left already.
            return;
        }
        if trouble.is_here(Instant::now().into()) {
            tracing::warn!(%error, "no connection can be accepted: new ones wait");
        }
        drop(self.places.call_back());
        sleep(AFTER_FAILURE).await;
    }

    /// Serves those whose connection the system has accepted on our behalf.
    async fn sweep_backlog(&self, waiting: Option<Newcomer>) {
        let mut trouble = Trouble::default();
        if let Some(newcomer) = waiting
            && let Some(place) = self.places.try_take().or_else(|| self.places.call_back())
        {
            self.let_in(newcomer, place, &mut trouble);
        }
        while let Some(place) = self.places.try_take() {
            match timeout(Duration::ZERO, self.listener.accept()).await {
                Ok(Ok(newcomer)) => self.let_in(newcomer, place, &mut trouble),
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }

    /// Serves a connection, unless its address has too many already: then it is closed.
    fn let_in(&self, (connection, peer): Newcomer, place: Place, trouble: &mut Trouble) {
        let live = self.front.live.load();
        let clients = &live.clients;
        let address = peer.ip().to_canonical();
        let most = match clients.trusts(address) {
            true => 0,
            false => clients.max_connections_per_address,
        };
        match self.places.enter(address, most) {
            Some(entered) => {
                trouble.is_over();
                self.serve(connection, peer, place.of_address(entered));
            }
            None if trouble.is_here(Instant::now().into()) => {
                tracing::warn!(client = %address, most, "too many connections from one address: more are closed");
            }
            None => {}
        }
    }

    fn serve(&self, connection: TcpStream, peer: SocketAddr, mut place: Place) {
        let front = Arc::clone(&self.front);
        let handshakes = self.handshakes.clone();
        self.connections.spawn(async move {
            let (stream, is_secure): (IoStream, bool) = match handshakes {
                None => (Box::new(PlainStream::new(connection)), false),
                Some(handshakes) => {
                    // The place is held meanwhile: handshakes count, and have no longer than a head.
                    let end = Instant::now() + front.live.load().clients.header_timeout;
                    match timeout_at(end, speaks_plain(&connection)).await {
                        Ok(false) => {}
                        Ok(true) => {
                            let stream = Box::new(PlainStream::new(connection));
                            return Box::pin(front.refuse_plain(stream, peer)).await;
                        }
                        Err(_) => return,
                    }
                    let digest = SocketDigest::from_raw_fd(connection.as_raw_fd());
                    let mut stream = Stream::from(connection);
                    stream.set_socket_digest(digest);
                    match Box::pin(timeout_at(end, handshakes.shake(stream))).await {
                        Ok(Some(stream)) => (stream, true),
                        Ok(None) | Err(_) => return,
                    }
                }
            };
            front.serve(stream, peer, is_secure, &mut place).await;
        });
    }
}

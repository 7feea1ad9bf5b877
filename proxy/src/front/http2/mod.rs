//! A connection over HTTP/2: its requests are judged one by one and handed over to Pingora.
//!
//! [`super::Front`] comes here once TLS has agreed on HTTP/2, or the first bytes of a plain
//! connection are those of HTTP/2. `h2` reads the frames, [`meter`] counts them, and
//! [`crate::head`] judges what they carry, by the rules for HTTP/1.1. What `h2` refuses before that
//! is noted by what it writes ([`refusals`]).

mod in_hand;
mod meter;
mod refusals;
mod stream;
mod wire;

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{Request, Response, request};
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::{Digest, Stream};
use pingora_http::RequestHeader;
use tokio::time::{sleep_until, timeout};
use tokio_util::task::TaskTracker;

use super::{Front, LINGER, called_back};
use crate::drain::Phase;
use crate::forward;
use crate::gateway::exchange::Arrival;
use crate::head;
use crate::request_id::RequestId;
use crate::respond::Failure;
use crate::server::places::Place;
use in_hand::InHand;
use stream::StreamSession;
use wire::{Watch, Wire};

/// Requests that one connection may have in flight.
const STREAMS: u32 = 100;
/// What a client is told of the size of a head, in bytes as HTTP/2 counts them. Our own limits are
/// lower, so that it is we who answer; what is larger than this, `h2` refuses without our words.
const HEADER_LIST: u32 = 128 * 1024;
/// What a client may send of one body before somebody has read it.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same of all bodies of a connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What of one answer may wait for the socket.
const SEND_BUFFER: usize = 64 * 1024;
/// Resets that a client may cause by breaking the rules before the connection ends.
const FAULTS: usize = 100;
/// The longest path that the log shows of a request that was taken back.
const LOGGED: usize = 1024;
/// How long a client may take to close a connection whose end it was told.
const LEAVING: Duration = Duration::from_secs(2);

fn options() -> Builder {
    let mut options = Builder::new();
    options
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_LIST)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_local_error_reset_streams(Some(FAULTS));
    options
}

/// What may happen to a connection.
enum Event {
    Request(Box<(Request<RecvStream>, SendResponse<Bytes>)>),
    /// The client had its time.
    Due,
    /// The proxy stops, or needs the place.
    Leave,
    Flood,
    /// `h2` has refused a request.
    Refused,
}

/// What all requests of a connection have in common.
#[derive(Debug, Clone)]
struct Origin {
    client: IpAddr,
    is_secure: bool,
    digest: Arc<Digest>,
}

impl Origin {
    /// A request that arrives now.
    fn arrival(&self) -> Arrival {
        Arrival {
            client: self.client,
            written: forward::written(self.client),
            is_secure: self.is_secure,
            at: Instant::now(),
        }
    }
}

impl Front {
    /// Serves a connection of which `ahead` has been read already.
    ///
    /// While it has no request in hand, its `place` may be taken for another connection, and then
    /// it is closed.
    pub(super) async fn serve_http2(
        &self,
        stream: Stream,
        ahead: BytesMut,
        (client, is_secure): (IpAddr, bool),
        place: &mut Place,
    ) {
        let origin = Origin {
            client,
            is_secure,
            digest: Arc::new(Digest {
                ssl_digest: stream.get_ssl_digest(),
                timing_digest: stream.get_timing_digest(),
                proxy_digest: stream.get_proxy_digest(),
                socket_digest: stream.get_socket_digest(),
            }),
        };
        let patience = self.live.load().clients.header_timeout;
        let watch = Watch::new(patience);
        let wire = Wire::new(stream, ahead, Arc::clone(&watch));
        // Silence is answered with silence; a wrong preface ends the connection as well.
        if let Ok(Ok(connection)) = timeout(patience, options().handshake(wire)).await {
            let requests = TaskTracker::new();
            self.accept_requests(connection, &origin, &watch, &requests, place)
                .await;
            self.note_refused(&origin, &watch);
            // Those that were cut off notice it, and leave their line in the log.
            requests.close();
            requests.wait().await;
        }
    }

    /// Takes requests until one of the two sides ends the connection.
    async fn accept_requests(
        &self,
        mut connection: Connection<Wire, Bytes>,
        origin: &Origin,
        watch: &Watch,
        requests: &TaskTracker,
        place: &mut Place,
    ) {
        let mut announced = pin!(self.drain.reached(Phase::Announcing));
        let mut closing = pin!(self.drain.reached(Phase::Closing));
        let mut flooded = pin!(watch.flooded());
        let mut patience = self.live.load().clients.header_timeout;
        let mut due = Instant::now() + patience;
        let in_hand = InHand::none();
        let (mut has_served, mut leaves, mut is_flooded) = (false, false, false);
        loop {
            let rests = has_served && !leaves && in_hand.quiet_since().is_some();
            let rest = rests.then(|| place.rest());
            let event = tokio::select! {
                biased;
                () = &mut flooded, if !is_flooded => Event::Flood,
                // Whoever has just come is served once: told at once, it would only come again.
                () = &mut announced, if has_served && !leaves => Event::Leave,
                () = &mut closing, if !leaves => Event::Leave,
                accepted = connection.accept() => match accepted {
                    Some(Ok(request)) => Event::Request(Box::new(request)),
                    Some(Err(_)) | None => return,
                },
                // Nothing that has arrived waits to be accepted.
                () = watch.refused() => Event::Refused,
                () = called_back(rest) => Event::Leave,
                () = in_hand.none_left(), if !rests && !leaves => continue,
                () = sleep_until(due.into()) => Event::Due,
            };
            let now = Instant::now();
            match event {
                Event::Request(request) => {
                    watch.accepted(request.1.stream_id().as_u32());
                    has_served = true;
                    let open = in_hand.begin();
                    let serving = self.clone().serve_request(*request, origin.clone());
                    requests.spawn(async move {
                        let _open = open;
                        serving.await;
                    });
                    if leaves || place.is_held() {
                        if !leaves {
                            patience = self.live.load().clients.idle_timeout;
                        }
                        continue;
                    }
                    // Its place was taken in this very moment.
                    connection.graceful_shutdown();
                }
                Event::Due => {
                    due = in_hand.quiet_since().unwrap_or(now) + patience;
                    if due > now {
                        continue;
                    }
                    if leaves {
                        return;
                    }
                    connection.graceful_shutdown();
                }
                Event::Leave => connection.graceful_shutdown(),
                Event::Refused => {
                    self.note_refused(origin, watch);
                    continue;
                }
                Event::Flood => {
                    is_flooded = true;
                    connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                }
            }
            leaves = true;
            patience = LEAVING;
            due = now + patience;
        }
    }

    /// Leaves a line for each request that `h2` has refused; nobody else knows of it.
    fn note_refused(&self, origin: &Origin, watch: &Watch) {
        for refused in watch.take_refused() {
            let arrival = origin.arrival();
            let request_id = RequestId::fresh();
            self.note(&arrival, &refused, Some("HTTP/2"), request_id.as_str(), 0);
        }
    }

    async fn serve_request(
        self,
        (request, mut respond): (Request<RecvStream>, SendResponse<Bytes>),
        origin: Origin,
    ) {
        let arrival = origin.arrival();
        let (mut parts, body) = request.into_parts();
        if is_taken_back(&mut respond).await {
            let request_id = RequestId::fresh();
            let refused = taken_back(&parts);
            return self.note(&arrival, &refused, Some("HTTP/2"), request_id.as_str(), 0);
        }
        if let Err(refused) = head::admit_http2(&mut parts, self.limits) {
            return self.refuse_request(body, respond, &arrival, refused).await;
        }
        parts.extensions.insert(arrival);
        let session = StreamSession::new(RequestHeader::from(parts), body, respond, origin.digest);
        let session = ServerSession::new_custom(Box::new(session));
        self.proxy
            .process_new_http(session, self.drain.watch())
            .await;
    }

    /// Answers a refused request and logs it; the connection goes on.
    async fn refuse_request(
        &self,
        mut body: RecvStream,
        mut respond: SendResponse<Bytes>,
        arrival: &Arrival,
        refused: head::Refused,
    ) {
        let Some(page) = self.refusal(arrival, &refused, Some("HTTP/2")) else {
            return respond.send_reset(Reason::INTERNAL_ERROR);
        };
        let is_head = refused.method.as_deref() == Some("HEAD");
        let (header, content) = page.into_parts();
        let header = Response::from_parts(header.into(), ());
        // A client that has left needs no answer.
        if let Ok(mut answer) = respond.send_response(header, is_head)
            && !is_head
        {
            let _ = answer.send_data(content, true);
        }
        // Some clients lose the answer when the stream is reset under their body.
        let rest = async {
            while let Some(Ok(piece)) = body.data().await {
                let _ = body.flow_control().release_capacity(piece.len());
            }
        };
        let _ = timeout(LINGER, rest).await;
    }
}

/// Whether the client has taken its request back before anybody has begun with it: then nobody
/// does, so that a flood of such requests costs no server anything.
async fn is_taken_back(respond: &mut SendResponse<Bytes>) -> bool {
    poll_fn(|cx| Poll::Ready(respond.poll_reset(cx).is_ready())).await
}

fn taken_back(request: &request::Parts) -> head::Refused {
    head::Refused {
        status: Failure::ClientGone.status(),
        reason: Failure::ClientGone.cause(),
        method: Some(request.method.to_string()),
        path: Some(request.uri.path().chars().take(LOGGED).collect()),
    }
}

//! The front: reads the head of each request itself, judges it, and hands the connection over.
//!
//! It stands before Pingora because Pingora repairs requests that must be refused, refuses some
//! without a log line, and puts no deadline over a whole head. [`crate::head`] (pure) judges the
//! bytes; a refusal is answered here; everything else goes on to [`crate::gateway`] through
//! Pingora, which is handed exactly one request at a time by [`client::ClientStream`].

pub mod body;
pub mod client;
mod gathered;
mod http2;
pub mod pace;
pub mod plain;
mod preface;

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::BytesMut;
use pingora_core::apps::{HttpServerApp, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::{ALPN, Stream};
use pingora_proxy::HttpProxy;
use tokio::io::AsyncWriteExt;
use tokio::time::{Sleep, sleep, sleep_until, timeout, timeout_at};

use crate::access_log::{AccessLog, Entry};
use crate::drain::{Drain, Phase};
use crate::forward;
use crate::gateway::Gateway;
use crate::gateway::exchange::Arrival;
use crate::head::{self, Verdict};
use crate::live::InForce;
use crate::request_id::RequestId;
use crate::respond::{self, Failure};
use crate::server::places::{Place, Rest};
use body::BodyEnd;
use client::ClientStream;

/// How long a refused client may take to read the answer and to close.
const LINGER: Duration = Duration::from_secs(1);

/// Serves client connections, one request after the other.
#[derive(Clone)]
pub struct Front {
    /// What requests are handed over to.
    pub proxy: Arc<HttpProxy<Gateway>>,
    /// What the proxy serves by.
    pub live: InForce,
    /// Limits of a head.
    pub limits: head::Limits,
    /// Whether the proxy is stopping.
    pub drain: Arc<Drain>,
    /// Where refusals are noted.
    pub access_log: Arc<AccessLog>,
}

/// What came of reading a head.
enum Arrived {
    Request(head::Accepted),
    Refused(Box<head::Refused>),
    Late,
    Gone,
}

impl Front {
    /// Serves a connection until one of the two sides ends it.
    ///
    /// While it waits for a further request, its `place` may be taken for another connection, and
    /// then it is closed.
    pub async fn serve(
        &self,
        stream: Stream,
        peer: SocketAddr,
        is_secure: bool,
        place: &mut Place,
    ) {
        let client = peer.ip().to_canonical();
        let written = forward::written(client);
        if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
            let nothing = BytesMut::new();
            return Box::pin(self.serve_http2(stream, nothing, (client, is_secure), place)).await;
        }
        let mut connection = Box::new(ClientStream::new(stream));
        let mut patience = self.live.load().clients.header_timeout;
        // Over TLS it is agreed on before the first byte, and later there is no way to HTTP/2.
        let mut may_be_http2 = !is_secure;
        let mut was_kept = false;
        // One of each for all requests: to begin such a wait costs more than to look at it.
        let mut timer = pin!(sleep(patience));
        let mut closing = pin!(self.drain.reached(Phase::Closing));
        loop {
            if connection.ahead().is_empty() {
                let rest = was_kept.then(|| place.rest());
                let is_there = tokio::select! {
                    biased;
                    read = connection.read_more() => read.is_ok_and(|bytes| bytes > 0),
                    () = until(timer.as_mut(), Instant::now() + patience) => false,
                    () = called_back(rest) => false,
                    () = closing.as_mut() => false,
                };
                if !is_there {
                    return;
                }
            }
            let first_byte = Instant::now();
            if may_be_http2 && self.begins_http2(&mut connection, first_byte).await {
                let (stream, ahead) = connection.into_parts();
                return Box::pin(self.serve_http2(stream, ahead, (client, is_secure), place)).await;
            }
            may_be_http2 = false;
            let arrival = Arrival {
                client,
                written: written.clone(),
                is_secure,
                at: first_byte,
            };
            let accepted = match self.read_head(&mut connection, first_byte).await {
                Arrived::Request(accepted) => accepted,
                Arrived::Refused(refused) => {
                    return Box::pin(self.refuse(connection, &arrival, *refused)).await;
                }
                Arrived::Late => {
                    return Box::pin(self.refuse(connection, &arrival, late())).await;
                }
                Arrived::Gone => return,
            };
            // Boxed, as most connections have no request in hand most of the time.
            let answered = Box::pin(self.hand_over(connection, accepted, arrival)).await;
            let Some(next) = answered.filter(|_| place.is_held()) else {
                return;
            };
            connection = next;
            was_kept = true;
            patience = self.live.load().clients.idle_timeout;
        }
    }

    /// Answers a client that speaks without TLS where TLS is spoken, and closes.
    pub async fn refuse_plain(&self, stream: Stream, peer: SocketAddr) {
        let client = peer.ip().to_canonical();
        let arrival = Arrival {
            client,
            written: forward::written(client),
            is_secure: false,
            at: Instant::now(),
        };
        let connection = Box::new(ClientStream::new(stream));
        self.refuse(connection, &arrival, not_secure()).await;
    }

    /// Whether a plain connection begins as HTTP/2; what is neither is left to [`head`].
    async fn begins_http2(&self, connection: &mut ClientStream, first_byte: Instant) -> bool {
        let deadline = (first_byte + self.live.load().clients.header_timeout).into();
        loop {
            if let Some(is_http2) = preface::is_http2(connection.ahead()) {
                return is_http2;
            }
            if !matches!(timeout_at(deadline, connection.read_more()).await, Ok(Ok(bytes)) if bytes > 0)
            {
                return false;
            }
        }
    }

    async fn read_head(&self, connection: &mut ClientStream, first_byte: Instant) -> Arrived {
        let mut reader = head::Reader::new(self.limits);
        let deadline = || (first_byte + self.live.load().clients.header_timeout).into();
        loop {
            match reader.read(connection.ahead()) {
                Verdict::Accepted(accepted) => return Arrived::Request(accepted),
                Verdict::Refused(refused) => return Arrived::Refused(Box::new(refused)),
                Verdict::Incomplete => {}
            }
            match timeout_at(deadline(), connection.read_more()).await {
                Ok(Ok(bytes)) if bytes > 0 => {}
                Ok(_) => return Arrived::Gone,
                Err(_) => return Arrived::Late,
            }
        }
    }

    /// Gives one request to Pingora; returns the connection when it can carry another one.
    async fn hand_over(
        &self,
        mut connection: Box<ClientStream>,
        accepted: head::Accepted,
        arrival: Arrival,
    ) -> Option<Box<ClientStream>> {
        let body = match accepted.body {
            head::Framing::None => BodyEnd::NONE,
            head::Framing::Length(length) => BodyEnd::Length(length),
            head::Framing::Chunked => BodyEnd::CHUNKED,
        };
        let taken = connection.begin_request(accepted.len, body);
        let begin = match accepted.rewritten {
            None => taken,
            Some(head) => [&head[..], &taken[accepted.len..]].concat()[..].into(),
        };
        let mut session = ServerSession::new_http1(connection);
        session.set_pipelined_prefix(begin);
        session.set_connection_user_context(Some(Box::new(arrival)));
        let reused = self
            .proxy
            .process_new_http(session, self.drain.watch())
            .await;
        let (stream, _) = reused.map(ReusedHttpStream::consume)?;
        let connection = stream.into_any().downcast::<ClientStream>().ok()?;
        connection.is_request_read().then_some(connection)
    }

    /// Answers a refused request, logs it, and closes.
    async fn refuse(
        &self,
        mut connection: Box<ClientStream>,
        arrival: &Arrival,
        refused: head::Refused,
    ) {
        let Some(page) = self.refusal(arrival, &refused, None) else {
            return;
        };
        let sent = timeout(LINGER, say_goodbye(&mut connection, &page)).await;
        if matches!(sent, Ok(Ok(()))) {
            let end = tokio::time::Instant::now() + LINGER;
            tokio::select! {
                () = connection.drain() => {}
                () = sleep_until(end) => {}
            }
        }
    }
}

impl Front {
    /// Makes the answer to a refused request, and notes it.
    fn refusal(
        &self,
        arrival: &Arrival,
        refused: &head::Refused,
        protocol: Option<&'static str>,
    ) -> Option<respond::Page> {
        let failure = Failure::Refused {
            status: refused.status,
            sentence: refused.reason,
        };
        let request_id = RequestId::fresh();
        let request_id = request_id.as_str();
        let page = respond::failure_page(failure, respond::Form::Json, request_id).ok()?;
        self.note(arrival, refused, protocol, request_id, page.body_bytes());
        Some(page)
    }

    /// Notes a refused request that was answered with so many bytes.
    fn note(
        &self,
        arrival: &Arrival,
        refused: &head::Refused,
        protocol: Option<&'static str>,
        request_id: &str,
        bytes: usize,
    ) {
        let took = arrival.at.elapsed();
        let unrouted = &self.live.load().unrouted;
        unrouted.count(refused.status.as_u16(), took);
        self.access_log.write(&Entry {
            time: SystemTime::now() - took,
            request_id,
            client: arrival.client,
            protocol,
            method: refused.method.as_deref(),
            host: None,
            path: refused.path.as_deref(),
            status: refused.status.as_u16(),
            bytes,
            route: None,
            upstream: None,
            instance: respond::INSTANCE,
            tries: &[],
            first_byte: None,
            total: took,
            cause: Some(refused.reason),
        });
    }
}

/// Writes the answer and closes this side. What the client still sends is then read on for a
/// while, since closing on unread bytes would reset the connection and destroy the answer.
async fn say_goodbye(connection: &mut ClientStream, page: &respond::Page) -> io::Result<()> {
    connection.write_all(&page.to_http1()).await?;
    connection.shutdown().await
}

/// Waits until `deadline`, by a timer that may have been wound up for an earlier one: it is wound up
/// anew when it has run out, and not for each wait that nothing comes of.
async fn until(mut timer: Pin<&mut Sleep>, deadline: Instant) {
    let deadline = deadline.into();
    if timer.deadline() > deadline {
        timer.as_mut().reset(deadline);
    }
    loop {
        timer.as_mut().await;
        if timer.deadline() >= deadline {
            return;
        }
        timer.as_mut().reset(deadline);
    }
}

/// Waits until the place of a connection that rests is taken.
async fn called_back(rest: Option<Rest<'_>>) {
    match rest {
        Some(mut rest) => rest.called_back().await,
        None => std::future::pending().await,
    }
}

fn not_secure() -> head::Refused {
    head::Refused {
        status: http::StatusCode::BAD_REQUEST,
        reason: "This port speaks TLS: the address begins with https.",
        method: None,
        path: None,
    }
}

fn late() -> head::Refused {
    head::Refused {
        status: http::StatusCode::REQUEST_TIMEOUT,
        reason: "The head of the request did not arrive in time.",
        method: None,
        path: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_timer_serves_many_waits() {
        let began = Instant::now();
        let mut timer = pin!(sleep(Duration::from_secs(3600)));
        // It is wound up for an earlier moment, and may have rung before a later one is due.
        for milliseconds in [5, 20, 20, 15, 40] {
            let deadline = began + Duration::from_millis(milliseconds);
            until(timer.as_mut(), deadline).await;
            assert!(Instant::now() >= deadline, "{milliseconds}");
        }
    }
}

//! One request over HTTP/2 and its answer, as Pingora sees them.
//!
//! Pingora has such a session too, but its bodies know no time limit and it answers some requests
//! by itself; this one is handed over once [`crate::head`] has let the request pass. Trailers are
//! dropped both ways, as over HTTP/1.1.

mod session;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Method, Response, StatusCode, header};
use pingora_core::protocols::Digest;
use pingora_core::protocols::http::HttpTask;
use pingora_core::protocols::http::body_buffer::FixedBuffer;
use pingora_core::protocols::http::date::get_cached_date;
use pingora_error::{Error, ErrorType, OkOrErr, OrErr, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use tokio::time::timeout_at;

use crate::front::pace::Pace;

/// What of a body is kept for another try: as much as Pingora keeps over HTTP/1.1.
const REPLAYED: usize = 64 * 1024;
/// Fields that concern a connection over HTTP/1.1 and must not stand in HTTP/2 (RFC 9113, 8.2.2).
const OF_A_CONNECTION: [&str; 5] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// A request and the way to answer it.
pub(super) struct StreamSession {
    request: RequestHeader,
    body: RecvStream,
    body_is_over: bool,
    body_read: usize,
    replay: Option<FixedBuffer>,
    respond: SendResponse<Bytes>,
    answer: Option<SendStream<Bytes>>,
    written: Option<Box<ResponseHeader>>,
    /// The end of the answer is on its way.
    ended: bool,
    body_sent: usize,
    digest: Arc<Digest>,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    /// How quickly the body comes.
    incoming: Pace,
    /// How quickly the answer is taken.
    outgoing: Pace,
}

impl StreamSession {
    pub(super) fn new(
        request: RequestHeader,
        body: RecvStream,
        respond: SendResponse<Bytes>,
        digest: Arc<Digest>,
    ) -> Self {
        Self {
            request,
            body_is_over: body.is_end_stream(),
            body,
            body_read: 0,
            replay: None,
            respond,
            answer: None,
            written: None,
            ended: false,
            body_sent: 0,
            digest,
            read_timeout: None,
            write_timeout: None,
            incoming: Pace::default(),
            outgoing: Pace::default(),
        }
    }

    fn is_body_over(&self) -> bool {
        self.body_is_over || self.body.is_end_stream()
    }

    async fn next_piece(&mut self) -> Result<Option<Bytes>> {
        let Some(piece) = self.body.data().await else {
            self.body_is_over = true;
            return Ok(None);
        };
        let piece = piece.or_err(ErrorType::ReadError, "while reading a body")?;
        self.body_read += piece.len();
        if let Some(replay) = &mut self.replay {
            replay.write_to_buffer(&piece);
        }
        let flow = self.body.flow_control();
        flow.release_capacity(piece.len())
            .or_err(ErrorType::ReadError, "while reading a body")?;
        Ok(Some(piece))
    }

    /// Waits until the client gives the stream up.
    async fn given_up(&mut self) -> Box<Error> {
        let reset = std::future::poll_fn(|cx| match &mut self.answer {
            Some(answer) => answer.poll_reset(cx),
            None => self.respond.poll_reset(cx),
        });
        match reset.await {
            Ok(reason) => Error::explain(
                ErrorType::ConnectionClosed,
                format!("the stream was reset: {reason}"),
            ),
            Err(error) => Error::because(ErrorType::ConnectionClosed, "the stream ended", error),
        }
    }

    fn write_interim(&mut self, answer: &ResponseHeader) -> Result<()> {
        let mut interim = Response::new(());
        *interim.status_mut() = answer.status;
        *interim.headers_mut() = answer.headers.clone();
        remove_connection_fields(interim.headers_mut());
        self.respond
            .send_informational(interim)
            .or_err(ErrorType::WriteError, "while writing an interim answer")
    }

    fn write_header(&mut self, mut answer: Box<ResponseHeader>, end: bool) -> Result<()> {
        if self.written.is_some() {
            return Ok(());
        }
        if answer.status.is_informational() {
            return self.write_interim(&answer);
        }
        for name in OF_A_CONNECTION {
            answer.remove_header(name);
        }
        if !answer.headers.contains_key(header::DATE) {
            answer.insert_header(header::DATE, get_cached_date())?;
        }
        let bodyless = self.request.method == Method::HEAD
            || matches!(
                answer.status,
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            );
        let end = end || bodyless;
        let header = Response::from_parts(answer.as_owned_parts(), ());
        let sent = self.respond.send_response(header, end);
        self.answer = Some(sent.or_err(ErrorType::WriteError, "while writing an answer")?);
        self.written = Some(answer);
        self.ended = end;
        Ok(())
    }

    /// Sends a piece as quickly as the client takes it: some of it in time, and all at a pace.
    async fn write_piece(&mut self, mut piece: Bytes, end: bool) -> Result<()> {
        if self.ended || piece.is_empty() && !end {
            return Ok(());
        }
        loop {
            let room = self.room(piece.len()).await?;
            if room == 0 && !piece.is_empty() {
                continue;
            }
            let part = piece.split_to(room);
            let is_last = end && piece.is_empty();
            let sent = self.answer()?.send_data(part, is_last);
            sent.or_err(ErrorType::WriteError, "while writing a body")?;
            self.body_sent += room;
            self.ended = is_last;
            if piece.is_empty() {
                return Ok(());
            }
        }
    }

    /// Waits until the client takes some of so many bytes; returns how many.
    async fn room(&mut self, wanted: usize) -> Result<usize> {
        if wanted == 0 {
            return Ok(0);
        }
        let due = due(&mut self.outgoing, self.write_timeout);
        let answer = self.answer()?;
        answer.reserve_capacity(wanted);
        let room = std::future::poll_fn(|cx| answer.poll_capacity(cx));
        let room = match due {
            Some(due) => timeout_at(due.into(), room)
                .await
                .or_err(ErrorType::WriteTimedout, "while writing a body")?,
            None => room.await,
        };
        let Some(room) = room else {
            return Error::e_explain(ErrorType::WriteError, "the stream is over");
        };
        let room = room.or_err(ErrorType::WriteError, "while writing a body")?;
        let room = room.min(wanted);
        self.outgoing.moved(room, Instant::now);
        Ok(room)
    }

    fn answer(&mut self) -> Result<&mut SendStream<Bytes>> {
        let answer = self.answer.as_mut();
        answer.or_err(ErrorType::InternalError, "a body before its header")
    }

    async fn write_task(&mut self, task: HttpTask) -> Result<bool> {
        match task {
            HttpTask::Header(header, end) => {
                let written = self.write_header(header, end);
                written.map_err(Error::into_down)?;
                Ok(end)
            }
            HttpTask::Body(piece, end) => {
                let written = self.write_piece(piece.unwrap_or_default(), end).await;
                written.map_err(Error::into_down)?;
                Ok(end)
            }
            HttpTask::UpgradedBody(..) => {
                Error::e_explain(ErrorType::InternalError, "nothing is upgraded over HTTP/2")
            }
            HttpTask::Trailer(_) | HttpTask::Done => Ok(true),
            // The server has, and not the client.
            HttpTask::Failed(error) => Err(error),
        }
    }

    async fn end(&mut self) -> Result<()> {
        if self.answer.is_some() {
            self.write_piece(Bytes::new(), true).await?;
        }
        Ok(())
    }
}

impl Drop for StreamSession {
    fn drop(&mut self) {
        if !self.ended {
            self.respond.send_reset(Reason::INTERNAL_ERROR);
        }
    }
}

/// Until when something must move: within `limit`, and not too slowly on the average.
fn due(pace: &mut Pace, limit: Option<Duration>) -> Option<Instant> {
    let now = Instant::now();
    pace.wait(now);
    let limit = limit.map(|limit| now + limit);
    pace.deadline().into_iter().chain(limit).min()
}

fn remove_connection_fields(headers: &mut HeaderMap) {
    for name in OF_A_CONNECTION {
        headers.remove(name);
    }
}

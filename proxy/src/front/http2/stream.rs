//! One request over HTTP/2 and its answer, as Pingora sees them.
//!
//! Pingora has such a session too, but its bodies know no time limit and it answers some requests
//! by itself; this one is handed over once [`crate::head`] has let the request pass. Trailers are
//! dropped both ways, as over HTTP/1.1.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Method, Response, StatusCode, header};
use pingora_core::protocols::Digest;
use pingora_core::protocols::http::HttpTask;
use pingora_core::protocols::http::body_buffer::FixedBuffer;
use pingora_core::protocols::http::custom::CustomMessageWrite;
use pingora_core::protocols::http::custom::server::Session;
use pingora_core::protocols::http::date::get_cached_date;
use pingora_core::protocols::http::v2;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_error::{Error, ErrorType, OrErr, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use tokio::time::timeout;

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

    async fn write_piece(&mut self, piece: Bytes, end: bool) -> Result<()> {
        if self.ended || piece.is_empty() && !end {
            return Ok(());
        }
        let Some(answer) = &mut self.answer else {
            return Error::e_explain(ErrorType::InternalError, "a body before its header");
        };
        let length = piece.len();
        let write = v2::write_body(answer, piece, end, None);
        match self.write_timeout {
            Some(limit) => timeout(limit, write)
                .await
                .or_err(ErrorType::WriteTimedout, "while writing a body")??,
            None => write.await?,
        }
        self.body_sent += length;
        self.ended = end;
        Ok(())
    }

    async fn write_task(&mut self, task: HttpTask) -> Result<bool> {
        match task {
            HttpTask::Header(header, end) => {
                self.write_header(header, end)?;
                Ok(end)
            }
            HttpTask::Body(piece, end) => {
                self.write_piece(piece.unwrap_or_default(), end).await?;
                Ok(end)
            }
            HttpTask::UpgradedBody(..) => {
                Error::e_explain(ErrorType::InternalError, "nothing is upgraded over HTTP/2")
            }
            HttpTask::Trailer(_) | HttpTask::Done => Ok(true),
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

fn remove_connection_fields(headers: &mut HeaderMap) {
    for name in OF_A_CONNECTION {
        headers.remove(name);
    }
}

#[async_trait]
impl Session for StreamSession {
    fn req_header(&self) -> &RequestHeader {
        &self.request
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        &mut self.request
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        if self.is_body_over() {
            return Ok(None);
        }
        match self.read_timeout {
            Some(limit) => timeout(limit, self.next_piece())
                .await
                .or_err(ErrorType::ReadTimedout, "while reading a body")?,
            None => self.next_piece().await,
        }
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        while self.read_body_bytes().await?.is_some() {}
        Ok(())
    }

    async fn write_response_header(
        &mut self,
        answer: Box<ResponseHeader>,
        end: bool,
    ) -> Result<()> {
        self.write_header(answer, end)
    }

    async fn write_response_header_ref(
        &mut self,
        answer: &ResponseHeader,
        end: bool,
    ) -> Result<()> {
        self.write_header(Box::new(answer.clone()), end)
    }

    async fn write_body(&mut self, piece: Bytes, end: bool) -> Result<()> {
        self.write_piece(piece, end).await
    }

    async fn write_trailers(&mut self, _: HeaderMap) -> Result<()> {
        self.end().await
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let mut end = false;
        for task in tasks {
            end |= self.write_task(task).await.map_err(Error::into_down)?;
        }
        if end {
            self.end().await.map_err(Error::into_down)?;
        }
        Ok(end)
    }

    fn set_read_timeout(&mut self, limit: Option<Duration>) {
        self.read_timeout = limit;
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.read_timeout
    }

    fn set_write_timeout(&mut self, limit: Option<Duration>) {
        self.write_timeout = limit;
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.write_timeout
    }

    fn set_total_drain_timeout(&mut self, _: Option<Duration>) {}

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        None
    }

    fn request_summary(&self) -> String {
        format!("{} {}", self.request.method, self.request.uri.path())
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.written.as_deref()
    }

    async fn shutdown(&mut self, _: u32, _: &str) {
        if !self.ended {
            self.respond.send_reset(Reason::INTERNAL_ERROR);
            self.ended = true;
        }
    }

    fn is_body_done(&mut self) -> bool {
        self.is_body_over() || Session::is_body_empty(self)
    }

    async fn finish(&mut self) -> Result<()> {
        self.end().await
    }

    fn is_body_empty(&mut self) -> bool {
        let length = self.request.headers.get(header::CONTENT_LENGTH);
        self.body_read == 0 && (self.is_body_over() || length.is_some_and(|length| length == "0"))
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if no_body_expected || Session::is_body_done(self) {
            return Err(self.given_up().await);
        }
        self.read_body_bytes().await
    }

    fn body_bytes_sent(&self) -> usize {
        self.body_sent
    }

    fn body_bytes_read(&self) -> usize {
        self.body_read
    }

    fn digest(&self) -> Option<&Digest> {
        Some(&self.digest)
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        Arc::get_mut(&mut self.digest)
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.digest.socket_digest.as_ref()?.peer_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.digest.socket_digest.as_ref()?.local_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        // Asked for by subrequests only, and there are none.
        Bytes::new()
    }

    fn enable_retry_buffering(&mut self) {
        self.replay
            .get_or_insert_with(|| FixedBuffer::new(REPLAYED));
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.replay.as_ref().is_some_and(FixedBuffer::is_truncated)
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        let replay = self.replay.as_ref()?;
        replay.get_buffer().filter(|_| !replay.is_truncated())
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(
        &mut self,
    ) -> Option<Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>> {
        None
    }

    fn restore_custom_message_reader(
        &mut self,
        _: Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>,
    ) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }
}

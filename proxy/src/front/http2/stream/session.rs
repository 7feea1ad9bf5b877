//! The request and its answer by the names that Pingora has for what it does with them.
//!
//! Its trait for sessions that are not its own is left out of its documentation, and may change
//! with a later version; this is all that would have to change with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use h2::Reason;
use http::{HeaderMap, header};
use pingora_core::protocols::Digest;
use pingora_core::protocols::http::HttpTask;
use pingora_core::protocols::http::body_buffer::FixedBuffer;
use pingora_core::protocols::http::custom::CustomMessageWrite;
use pingora_core::protocols::http::custom::server::Session;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_error::{Error, ErrorType, OrErr, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use tokio::time::timeout_at;

use super::{REPLAYED, StreamSession, due};

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
        let piece = match due(&mut self.incoming, self.read_timeout) {
            Some(due) => timeout_at(due.into(), self.next_piece())
                .await
                .or_err(ErrorType::ReadTimedout, "while reading a body")??,
            None => self.next_piece().await?,
        };
        let length = piece.as_ref().map_or(0, Bytes::len);
        self.incoming.moved(length, Instant::now);
        Ok(piece)
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
            end |= self.write_task(task).await?;
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

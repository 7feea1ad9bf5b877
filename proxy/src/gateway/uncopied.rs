//! A large answer over HTTP/1.1 on its way to the client: each piece is written from where it lies.
//!
//! Pingora gathers the pieces that have come from a server meanwhile in a buffer, and writes that:
//! of a large answer every byte is copied once more, and once again where the buffer grows. From the
//! header of such an answer to its end, [`Uncopied`] therefore stands in for the client's session. It
//! writes the pieces one by one, which the client's stream gathers, and leaves everything else to the
//! session that it holds.
//!
//! Pingora's trait for sessions that are not its own is left out of its documentation, and may change
//! with a later version; this file would then have to change with it, or go.

use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, Method, StatusCode, header};
use pingora_core::protocols::Digest;
use pingora_core::protocols::http::custom::CustomMessageWrite;
use pingora_core::protocols::http::custom::server::Session as Standing;
use pingora_core::protocols::http::v1::server::HttpSession;
use pingora_core::protocols::http::{HttpTask, ServerSession};
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_error::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;

use crate::front::client::ClientStream;

/// Up to this size it costs less to copy pieces than to write them one by one.
const SMALL: usize = 16 * 1024;

/// Where the client's session is left when nothing stands in for it any more.
#[derive(Default)]
pub(super) struct Shelf(Mutex<Option<HttpSession>>);

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shelf")
    }
}

/// Has the answer with this header written without copies, if it is large and goes over HTTP/1.1.
///
/// Returns where [`hand_back`] finds the session again.
pub(super) fn stand_in(session: &mut Session, answer: &ResponseHeader) -> Option<Arc<Shelf>> {
    let length = length(answer);
    let is_small = length.is_some_and(|length| length <= SMALL);
    let bodyless = session.req_header().method == Method::HEAD
        || answer.status.is_informational()
        || matches!(
            answer.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
    let client = session.as_downstream_mut();
    if is_small || bodyless || !matches!(client, ServerSession::H1(_)) {
        return None;
    }
    let shelf = Arc::default();
    match mem::replace(client, nobody()) {
        ServerSession::H1(held) => {
            let held = Held(Some(held));
            *client = ServerSession::new_custom(Box::new(Uncopied {
                held,
                length,
                shelf: Arc::clone(&shelf),
            }));
            Some(shelf)
        }
        other => {
            *client = other;
            None
        }
    }
}

/// Puts the client's session back into its place, so that Pingora finds what it knows.
pub(super) fn hand_back(session: &mut Session, shelf: Option<Arc<Shelf>>) {
    let Some(shelf) = shelf else { return };
    let client = session.as_downstream_mut();
    drop(mem::replace(client, nobody()));
    let held = shelf
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(held) = held {
        *client = ServerSession::H1(held);
    }
}

/// What stands in a session's place while it is moved.
fn nobody() -> ServerSession {
    ServerSession::new_custom(Box::new(()))
}

fn length(answer: &ResponseHeader) -> Option<usize> {
    let value = answer.headers.get(header::CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

/// Stands in for a client's session as long as a large answer is written.
struct Uncopied {
    held: Held,
    /// What the answer says of its length.
    length: Option<usize>,
    shelf: Arc<Shelf>,
}

impl Uncopied {
    /// Writes tasks one by one; says whether the answer is over.
    async fn write_each(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let stream = self.held.stream().as_any();
        if let Some(client) = stream.downcast_ref::<ClientStream>() {
            client.gather(tasks.iter().filter_map(piece).cloned());
        }
        let mut end = false;
        for task in tasks {
            end = task.is_end();
            match task {
                HttpTask::Header(answer, _) => {
                    self.held.write_response_header(answer).await?;
                }
                HttpTask::Body(Some(piece), _) if !piece.is_empty() => {
                    self.held.write_body(&piece).await?;
                }
                HttpTask::Body(..) | HttpTask::Trailer(_) | HttpTask::Done => {}
                HttpTask::UpgradedBody(..) => return Err(Error::new(ErrorType::InternalError)),
                HttpTask::Failed(error) => return Err(error),
            }
        }
        if end {
            self.held.finish_body().await?;
        }
        let is_whole = self
            .length
            .is_some_and(|n| self.held.body_bytes_sent() >= n);
        Ok(end || is_whole)
    }
}

impl Drop for Uncopied {
    fn drop(&mut self) {
        let mut shelf = self.shelf.0.lock().unwrap_or_else(PoisonError::into_inner);
        *shelf = self.held.0.take();
    }
}

/// The client's session: taken out only when what holds it is dropped.
struct Held(Option<HttpSession>);

impl Deref for Held {
    type Target = HttpSession;

    fn deref(&self) -> &HttpSession {
        self.0.as_ref().expect("taken out only by `drop`")
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut HttpSession {
        self.0.as_mut().expect("taken out only by `drop`")
    }
}

/// The piece that a task writes.
fn piece(task: &HttpTask) -> Option<&Bytes> {
    match task {
        HttpTask::Body(piece, _) => piece.as_ref().filter(|piece| !piece.is_empty()),
        _ => None,
    }
}

/// Whether Pingora had better write these itself: they are few bytes, or one of them is no piece.
fn are_small(tasks: &[HttpTask]) -> bool {
    let mut bytes = 0;
    for task in tasks {
        match task {
            HttpTask::Body(piece, _) => bytes += piece.as_ref().map_or(0, Bytes::len),
            HttpTask::UpgradedBody(..) | HttpTask::Failed(_) => return true,
            HttpTask::Header(..) | HttpTask::Trailer(_) | HttpTask::Done => {}
        }
    }
    bytes <= SMALL
}

#[async_trait]
impl Standing for Uncopied {
    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        if are_small(&tasks) {
            return self.held.response_duplex_vec(tasks).await;
        }
        self.write_each(tasks).await.map_err(Error::into_down)
    }

    fn req_header(&self) -> &RequestHeader {
        self.held.req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.held.req_header_mut()
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        self.held.read_body_bytes().await
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        self.held.drain_request_body().await
    }

    async fn write_response_header(&mut self, answer: Box<ResponseHeader>, _: bool) -> Result<()> {
        self.held.write_response_header(answer).await
    }

    async fn write_response_header_ref(&mut self, answer: &ResponseHeader, _: bool) -> Result<()> {
        self.held.write_response_header_ref(answer).await
    }

    async fn write_body(&mut self, piece: Bytes, end: bool) -> Result<()> {
        if !piece.is_empty() {
            self.held.write_body(&piece).await?;
        }
        if end {
            self.held.finish_body().await?;
        }
        Ok(())
    }

    async fn write_trailers(&mut self, _: HeaderMap) -> Result<()> {
        Ok(())
    }

    fn set_read_timeout(&mut self, limit: Option<Duration>) {
        self.held.set_read_timeout(limit);
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.held.get_read_timeout()
    }

    fn set_write_timeout(&mut self, limit: Option<Duration>) {
        self.held.set_write_timeout(limit);
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.held.get_write_timeout()
    }

    fn set_total_drain_timeout(&mut self, limit: Option<Duration>) {
        self.held.set_total_drain_timeout(limit);
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.held.get_total_drain_timeout()
    }

    fn request_summary(&self) -> String {
        self.held.request_summary()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.held.response_written()
    }

    async fn shutdown(&mut self, _: u32, _: &str) {
        self.held.shutdown().await;
    }

    fn is_body_done(&mut self) -> bool {
        self.held.is_body_done()
    }

    async fn finish(&mut self) -> Result<()> {
        self.held.finish_body().await.map(drop)
    }

    fn is_body_empty(&mut self) -> bool {
        self.held.is_body_empty()
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        self.held.read_body_or_idle(no_body_expected).await
    }

    fn body_bytes_sent(&self) -> usize {
        self.held.body_bytes_sent()
    }

    fn body_bytes_read(&self) -> usize {
        self.held.body_bytes_read()
    }

    fn digest(&self) -> Option<&Digest> {
        Some(self.held.digest())
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        Some(self.held.digest_mut())
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.held.client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.held.server_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.held.get_headers_raw_bytes()
    }

    fn enable_retry_buffering(&mut self) {
        self.held.enable_retry_buffering();
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.held.retry_buffer_truncated()
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        self.held.get_retry_buffer()
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

    fn is_upgrade_req(&self) -> bool {
        self.held.is_upgrade_req()
    }

    fn was_upgraded(&self) -> bool {
        self.held.was_upgraded()
    }
}

//! What the gateway does with a request by itself: files, admission, the line in the log.

use std::time::Instant;

use pingora_error::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use super::exchange::{Exchange, milliseconds};
use super::{failing, page_for};
use crate::access_log::Entry;
use crate::files::{Outcome, Request, Root};
use crate::respond::{self, Failure};

/// Answers with a failure; the request goes no further.
pub(super) async fn refuse(
    session: &mut Session,
    exchange: &mut Exchange,
    failure: Failure,
) -> Result<bool> {
    exchange.failure = Some(failure);
    let whole = session.as_downstream_mut().is_body_done();
    if !whole {
        session.set_keepalive(None);
    }
    page_for(session, exchange, failure)?.send(session).await?;
    if !whole {
        failing::discard_body(session).await;
    }
    Ok(true)
}

/// Serves a file from `root`; `below` is the path under the route's prefix.
pub(super) async fn file(
    session: &mut Session,
    exchange: &mut Exchange,
    root: &Root,
    below: &str,
) -> Result<bool> {
    let header = session.req_header();
    let outcome = root
        .find(&Request {
            method: &header.method,
            path: header.uri.path(),
            below,
            query: header.uri.query(),
            headers: &header.headers,
        })
        .await;
    match respond::file_header(&outcome, &exchange.request_id)? {
        Some(header) => send_file(session, header, outcome).await,
        None => refuse(session, exchange, file_failure(&outcome)).await,
    }
}

fn file_failure(outcome: &Outcome) -> Failure {
    match outcome {
        Outcome::BadRequest => Failure::BadPath,
        Outcome::PreconditionFailed => Failure::PreconditionFailed,
        Outcome::MethodNotAllowed => Failure::FileMethod,
        Outcome::Unavailable(cause) => {
            tracing::error!(%cause, "a file cannot be read");
            Failure::FileUnavailable
        }
        _ => Failure::NoFile,
    }
}

async fn send_file(
    session: &mut Session,
    header: Box<ResponseHeader>,
    outcome: Outcome,
) -> Result<bool> {
    let wanted = session.req_header().method != http::Method::HEAD;
    let client = session.as_downstream_mut();
    client.write_response_header(header).await?;
    if let Outcome::Found(mut file) = outcome
        && wanted
    {
        let mut left = file.length;
        while let Some(piece) = file.body.chunk().await.map_err(|cause| {
            Error::because(
                ErrorType::FileReadError,
                "a file changed while it was sent",
                cause,
            )
        })? {
            left = left.saturating_sub(piece.len() as u64);
            client.write_response_body(piece, left == 0).await?;
        }
    }
    Ok(true)
}

/// Lets a request on its way to an upstream, or refuses it.
pub(super) async fn admit(session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
    if session.is_upgrade_req() {
        return refuse(session, exchange, Failure::NoWebSocket).await;
    }
    let announced = failing::announced_length(session);
    if announced.is_some_and(|length| length > exchange.max_body) {
        return refuse(session, exchange, Failure::BodyTooLarge).await;
    }
    if exchange
        .upstream
        .as_ref()
        .is_some_and(|u| !u.is_available())
    {
        // Said here, and not when a server is picked, the client's connection can be kept.
        return refuse(session, exchange, Failure::NoServer).await;
    }
    Ok(false)
}

/// The access log line of a request that is over.
pub(super) fn log_entry<'a>(session: &'a Session, exchange: &'a Exchange) -> Entry<'a> {
    let request = session.req_header();
    let status = match (failing::answered(session), exchange.failure) {
        (Some(status), _) => status,
        (None, Some(failure)) => failure.status(),
        (None, None) => Failure::ClientGone.status(),
    };
    let elapsed = exchange.arrival.at.elapsed();
    Entry {
        time: crate::access_log::timestamp(std::time::SystemTime::now() - elapsed),
        request_id: &exchange.request_id,
        client: exchange.arrival.client.to_string(),
        method: Some(request.method.as_str()),
        path: Some(request.uri.path()),
        status: status.as_u16(),
        bytes: session.body_bytes_sent(),
        route: exchange.route.clone(),
        upstream: exchange.upstream.as_ref().map(|u| &*u.settings().name),
        instance: exchange.instance.as_deref().unwrap_or(respond::INSTANCE),
        tries: &exchange.tries,
        first_byte_ms: exchange.first_byte.map(milliseconds),
        total_ms: milliseconds(Instant::now().saturating_duration_since(exchange.arrival.at)),
        cause: exchange.failure.map(Failure::cause),
    }
}

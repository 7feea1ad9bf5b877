//! What the gateway does with a request by itself: it refuses it, or serves a file.

use std::time::Duration;

use http::header;
use http::uri::Authority;
use pingora_core::protocols::http::ServerSession;
use pingora_error::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use super::exchange::Exchange;
use super::{Target, failing, harden};
use crate::balance::NoPick;
use crate::files::{Outcome, Request, Root};
use crate::forward;
use crate::front::client::ClientStream;
use crate::respond::{self, Failure};
use crate::upstream::Picked;
use crate::websocket;

/// How often one looks whether a client that waits for a place is still there.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a client that has closed its sending side may wait for a place.
const HALF_CLOSED: Duration = Duration::from_secs(2);
/// The states of a connection that the other side has reset, or closed its side of.
const TCP_CLOSE: u8 = 7;
const TCP_CLOSE_WAIT: u8 = 8;

/// Answers with a failure; the request goes no further.
pub(super) async fn refuse(
    session: &mut Session,
    exchange: &mut Exchange,
    failure: Failure,
) -> Result<bool> {
    exchange.failure = Some(failure);
    let page = page_for(session, exchange, failure)?;
    send(session, page).await
}

/// Makes the page for a failure in the form that the client of a session prefers.
pub(super) fn page_for(
    session: &Session,
    exchange: &Exchange,
    failure: Failure,
) -> Result<respond::Page> {
    let headers = &session.req_header().headers;
    let form = if respond::prefers_html(headers) {
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let sheet = exchange.live.routes.find(host, respond::STYLE_SHEET);
        let styled = sheet.is_some_and(|found| matches!(*found.route.target, Target::Files(_)));
        respond::Form::Html { styled }
    } else {
        respond::Form::Json
    };
    let mut page = respond::failure_page(failure, form, exchange.request_id.as_str())?;
    harden(page.header_mut(), exchange)?;
    Ok(page)
}

/// Sends a client of a plain port to the same address over TLS.
pub(super) async fn to_https(
    session: &mut Session,
    exchange: &mut Exchange,
    port: u16,
) -> Result<bool> {
    let header = session.req_header();
    let host = header.headers.get(header::HOST);
    let host = host.and_then(|value| value.to_str().ok()?.trim().parse::<Authority>().ok());
    let Some(host) = host else {
        return refuse(session, exchange, Failure::OnlyHttps).await;
    };
    let target = header
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let page = respond::https_page(host.host(), port, target, exchange.request_id.as_str())?;
    send(session, page).await
}

/// Answers for the proxy as a whole: `OPTIONS *`, or one that is to go no further than here.
pub(super) async fn options(session: &mut Session, exchange: &Exchange) -> Result<bool> {
    let mut page = respond::options_page(exchange.request_id.as_str())?;
    harden(page.header_mut(), exchange)?;
    send(session, page).await
}

/// Writes a page; a body that was not asked for is read on for a while, and the connection closed.
async fn send(session: &mut Session, page: respond::Page) -> Result<bool> {
    let whole = session.as_downstream_mut().is_body_done();
    if !whole {
        session.set_keepalive(None);
    }
    page.send(session).await.map_err(Error::into_down)?;
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
    match respond::file_header(&outcome, root.page_policy(), exchange.request_id.as_str())? {
        Some(mut header) => {
            harden(&mut header, exchange)?;
            send_file(session, header, outcome).await
        }
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
    if let ServerSession::H1(client) = client {
        // Pieces are of any size: not the writing of one is limited, but by the client's stream how
        // long, and how slowly, a client takes nothing.
        client.set_write_timeout(None);
        let stream = client.stream().as_any().downcast_ref::<ClientStream>();
        if let (Outcome::Found(file), Some(stream)) = (&outcome, stream)
            && let Some(twin) = file.body.twin()
        {
            stream.send_from(twin.clone());
        }
    }
    let sent = client.write_response_header(header).await;
    sent.map_err(Error::into_down)?;
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
            let sent = client.write_response_body(piece, left == 0).await;
            sent.map_err(Error::into_down)?;
        }
    }
    Ok(true)
}

/// Lets a request on its way to an upstream, or refuses it.
///
/// `websocket` says whether its route takes `WebSocket`s.
pub(super) async fn admit(
    session: &mut Session,
    exchange: &mut Exchange,
    websocket: bool,
) -> Result<bool> {
    if forward::asks_for_websocket(&session.req_header().headers) {
        if !websocket {
            return refuse(session, exchange, Failure::NoWebSocket).await;
        }
        let request = session.req_header_mut();
        if let Err(fault) = websocket::judge(&request.method, request.version, &request.headers) {
            return refuse(session, exchange, Failure::BadHandshake(fault)).await;
        }
        // What else it offers is not for us to pass on.
        request.insert_header(header::UPGRADE, "websocket")?;
        exchange.websocket = true;
    } else {
        // Any other upgrade is an offer that a server may pass over (RFC 9110, 7.8).
        session.req_header_mut().remove_header(&header::UPGRADE);
    }
    let announced = failing::announced_length(session);
    if announced.is_some_and(|length| length > exchange.max_body) {
        return refuse(session, exchange, Failure::BodyTooLarge).await;
    }
    match place(session, exchange).await {
        Ok(picked) => {
            exchange.place = Some(picked);
            Ok(false)
        }
        Err(error) => match exchange.failure {
            // Said here, and not when a server is asked for, the client's connection can be kept.
            Some(failure @ (Failure::NoServer | Failure::Busy)) => {
                refuse(session, exchange, failure).await
            }
            _ => Err(error),
        },
    }
}

/// Gives a request its place on a server that it has not tried; it may have to wait for one.
pub(super) async fn place(session: &Session, exchange: &mut Exchange) -> Result<Picked> {
    if let Some(picked) = exchange.place.take() {
        return Ok(picked);
    }
    let placed = match &exchange.upstream {
        Some(upstream) => tokio::select! {
            biased;
            placed = upstream.place(exchange.wish, &exchange.tried) => placed,
            () = client_gone(session) => {
                exchange.failure = Some(Failure::ClientGone);
                return Err(Error::new_down(ErrorType::ConnectionClosed));
            }
        },
        None => Err(NoPick::Nobody),
    };
    placed.map_err(|none| {
        exchange.failure = Some(match none {
            NoPick::Full => Failure::Busy,
            NoPick::Nobody => Failure::NoServer,
        });
        Error::new(ErrorType::HTTPStatus(503))
    })
}

/// Waits until the client has left. One that has only closed its sending side may still read the
/// answer, and is given a while.
async fn client_gone(session: &Session) {
    let state = || {
        let digest = session.as_downstream().digest()?;
        Some(digest.socket_digest.as_ref()?.tcp_info()?.tcpi_state)
    };
    let mut closing_for = 0;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match state() {
            Some(TCP_CLOSE) => return,
            Some(TCP_CLOSE_WAIT) => closing_for += 1,
            _ => closing_for = 0,
        }
        if LOOK_EVERY * closing_for >= HALF_CLOSED {
            return;
        }
    }
}

//! What the gateway does when a try, or the whole request, fails.

use std::io;
use std::time::{Duration, Instant};

use http::{StatusCode, header};
use pingora_error::{Error, ErrorSource, ErrorType, RetryType};
use pingora_proxy::{FailToProxy, Session};

use super::exchange::{Exchange, RequestFacts};
use super::passing::speaks_of_the_server;
use super::serving::page_for;
use super::uncopied;
use crate::respond::Failure;
use crate::retry::{self, Decision};
use crate::upstream::health::{Break, Cause};
use crate::upstream::tries::Cut;

/// How long a body that nobody wants is read on after an answer, so that the answer arrives.
const DISCARD_TIME: Duration = Duration::from_secs(1);
/// How much of it.
const DISCARD_BYTES: usize = 64 * 1024 * 1024;

/// A connection to the server did not come about: nothing was sent.
pub(super) fn not_connected(
    session: &Session,
    exchange: &mut Exchange,
    mut error: Box<Error>,
) -> Box<Error> {
    let now = Instant::now();
    let is_our_trouble = *error.etype() == ErrorType::SocketError;
    let is_distrust = matches!(
        error.etype(),
        ErrorType::TLSHandshakeFailure | ErrorType::InvalidCert
    );
    if let (Some(current), Some(upstream)) = (&exchange.current, &exchange.upstream)
        && !is_our_trouble
    {
        if is_distrust {
            upstream.distrust(&current.server, now);
        } else {
            upstream.take_out(&current.server, Cause::NotConnected, now);
        }
    }
    let outcome = if *error.etype() == ErrorType::ConnectTimedout {
        "connect timed out"
    } else {
        "not connected"
    };
    let decision = exchange.decide(retry::Failure::NotConnected, facts(session), now);
    exchange.settle(retry::Failure::NotConnected, decision, outcome, now);
    if decision == Decision::GiveUp {
        exchange.failure = Some(Failure::NoServer);
    }
    error.set_retry(decision != Decision::GiveUp);
    error
}

/// The try ended before its answer was whole.
pub(super) fn broken_off(
    session: &mut Session,
    exchange: &mut Exchange,
    mut error: Box<Error>,
    reused: bool,
) -> Box<Error> {
    uncopied::hand_back(session, exchange.shelf.take());
    let now = Instant::now();
    if *error.esource() == ErrorSource::Downstream || exchange.failure.is_some() {
        error.set_retry(false);
        exchange.end_try("client failed", now);
        return error;
    }
    if exchange.tunnel.is_some() {
        // Whichever side has ended it so: it says nothing of how the server fares.
        error.set_retry(false);
        exchange.failure = Some(Failure::BadAnswer);
        exchange.end_try("tunnel broken off", now);
        return error;
    }
    let (failure, outcome) = failure_of_try(exchange, &error, reused);
    let decision = if failure == retry::Failure::Unavailable {
        // Decided, and paid for, when the answer's header came.
        Decision::AnotherServer
    } else {
        exchange.decide(failure, facts(session), now)
    };
    if failure == retry::Failure::Broken
        && let (Some(current), Some(upstream)) = (&exchange.current, &exchange.upstream)
    {
        let by_reset = matches!(
            error.etype(),
            ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError
        );
        let at = match exchange.try_status.map(StatusCode::from_u16) {
            None => Some(Break::Head),
            // As a failure its status has been counted already.
            Some(Ok(status)) if speaks_of_the_server(status) => None,
            Some(_) => Some(Break::Body),
        };
        upstream.broke_off(&current.server, at, by_reset, now);
    }
    exchange.settle(failure, decision, outcome, now);
    error.set_retry(decision != Decision::GiveUp);
    if decision == Decision::GiveUp {
        exchange.failure = Some(match failure {
            retry::Failure::Silent | retry::Failure::Late => Failure::LateAnswer,
            _ => Failure::BadAnswer,
        });
    }
    error
}

/// Whether a request that got 502, 503 or 504 goes on to another server instead.
pub(super) fn may_move_on(session: &Session, exchange: &mut Exchange, now: Instant) -> bool {
    exchange.decide(retry::Failure::Unavailable, facts(session), now) == Decision::AnotherServer
}

/// Whether a request whose server says that something is away which all share goes on elsewhere.
pub(super) fn may_ask_another(session: &Session, exchange: &mut Exchange, now: Instant) -> bool {
    exchange.may_ask_another(facts(session), now)
}

fn failure_of_try(
    exchange: &Exchange,
    error: &Error,
    reused: bool,
) -> (retry::Failure, &'static str) {
    let open = exchange.current.as_ref().map(|current| &current.open);
    let cut = open.and_then(|open| open.was_cut());
    // Its body was cut by us, for a limit of ours: that says nothing of what the server breaks off.
    let is_our_cut = open.is_some_and(|open| open.was_disconnected())
        || exchange.try_status.is_some() && *error.etype() == ErrorType::WriteTimedout;
    match (cut, error.etype()) {
        (Some(Cut::Silent), _) => (retry::Failure::Silent, "silent"),
        (Some(Cut::Late), _) => (retry::Failure::Late, "late"),
        (None, _) if is_our_cut => (retry::Failure::Late, "late"),
        (None, ErrorType::HTTPStatus(_)) => (retry::Failure::Unavailable, "unavailable"),
        (None, _) if reused && error.retry == RetryType::ReusedOnly => {
            (retry::Failure::StaleConnection, "stale connection")
        }
        (None, _) => (retry::Failure::Broken, "broken off"),
    }
}

fn facts(session: &Session) -> RequestFacts {
    RequestFacts {
        replayable: !session.as_ref().retry_buffer_truncated(),
        answered: answered(session).is_some(),
    }
}

/// The status that the client has got, a `100 Continue` and its like apart.
pub(super) fn answered(session: &Session) -> Option<StatusCode> {
    let written = session.response_written().map(|answer| answer.status);
    written
        .filter(|status| !status.is_informational() || *status == StatusCode::SWITCHING_PROTOCOLS)
}

/// The length that the client has announced of its body.
pub(super) fn announced_length(session: &Session) -> Option<u64> {
    let value = session.get_header(header::CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

/// Names the failure behind an error that no hook has named.
fn failure_of(error: &Error) -> Failure {
    match (error.esource(), error.etype()) {
        (ErrorSource::Downstream, ErrorType::ReadTimedout) => Failure::ClientSilent,
        (ErrorSource::Downstream, ErrorType::ReadError) => match io_kind(error) {
            Some(io::ErrorKind::InvalidData) => Failure::MalformedBody,
            Some(io::ErrorKind::TimedOut) => Failure::ClientSilent,
            _ => Failure::ClientGone,
        },
        (ErrorSource::Downstream, ErrorType::InvalidHTTPHeader) => Failure::MalformedBody,
        (ErrorSource::Downstream, _) => Failure::ClientGone,
        (ErrorSource::Upstream, ErrorType::ReadTimedout | ErrorType::ConnectTimedout) => {
            Failure::LateAnswer
        }
        (ErrorSource::Upstream, _) => Failure::BadAnswer,
        (ErrorSource::Internal | ErrorSource::Unset, _) => Failure::Internal,
    }
}

/// What the client's stream reported: a body that breaks the rules of its framing is invalid data,
/// one that comes too slowly has timed out.
fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    let cause = error.cause.as_deref()?.downcast_ref::<io::Error>()?;
    Some(cause.kind())
}

/// Tells the client of the failure if it can still be told.
pub(super) async fn answer(
    session: &mut Session,
    exchange: &mut Exchange,
    error: &Error,
) -> FailToProxy {
    uncopied::hand_back(session, exchange.shelf.take());
    let failure = *exchange.failure.get_or_insert_with(|| failure_of(error));
    let status = failure.status().as_u16();
    let told = answered(session).is_none()
        && failure != Failure::ClientGone
        && send(session, exchange, failure).await;
    FailToProxy {
        error_code: if told { status } else { 0 },
        can_reuse_downstream: false,
    }
}

async fn send(session: &mut Session, exchange: &Exchange, failure: Failure) -> bool {
    let whole = session.as_downstream_mut().is_body_done();
    // Pingora closes the connection after a failure in any case: the client is told so.
    session.set_keepalive(None);
    let Ok(page) = page_for(session, exchange, failure) else {
        return false;
    };
    let sent = page.send(session).await.is_ok();
    if sent && !whole {
        discard_body(session).await;
    }
    sent
}

/// Reads on what the client sends, within bounds: closing on unread bytes would reset the
/// connection and could destroy the answer on its way.
pub(super) async fn discard_body(session: &mut Session) {
    let reading = async {
        let mut left = DISCARD_BYTES;
        while let Ok(Some(piece)) = session.as_downstream_mut().read_request_body().await {
            left = left.saturating_sub(piece.len());
            if left == 0 {
                return;
            }
        }
    };
    // Out of time is out of patience: the connection is closed either way.
    let _ = tokio::time::timeout(DISCARD_TIME, reading).await;
}

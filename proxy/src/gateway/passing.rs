//! What the gateway does with a request on its way to a server, with the answer's header, and
//! with the client's connection meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use pingora_error::{Error, ErrorType, OrErr, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;

use super::exchange::Exchange;
use super::{failing, fields};
use crate::balance::sticky;
use crate::compress::{self, Encoder};
use crate::forward;
use crate::front::client::ClientStream;
use crate::idempotency;
use crate::upstream::health::Cause;
use crate::websocket;

/// The longest that the writing of one piece of an answer to a client may take.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// What a client may still send after an answer that came early, per piece.
const LATE_BODY_LIMIT: Duration = Duration::from_secs(1);
/// How long a write may take once the API has begun it, by its contract with the proxy: the limit
/// of its one statement, 1 s, and 200 ms for clocks that differ and for the way.
const WRITE_TAKES: Duration = Duration::from_millis(1200);
/// A body up to this size is on its way as soon as its head is; a client may take any time over a
/// larger one.
const SMALL_BODY: u64 = 64 * 1024;
/// The word of an API that it is stopping.
const DRAIN_HEADER: HeaderName = HeaderName::from_static("x-lb-drain");
/// The word of an API that something all instances share is away.
const CAUSE_HEADER: HeaderName = HeaderName::from_static("x-lb-cause");

/// Settles what holds for a client's connection during this request.
pub(super) fn settle_connection(session: &mut Session, exchange: &mut Exchange, draining: bool) {
    let limits = &exchange.live.clients;
    let client = session.as_downstream_mut();
    if draining || forward::asks_to_close(&client.req_header().headers) {
        client.set_keepalive(None);
    }
    exchange.keep_alive = client.get_keepalive().is_some();
    client.set_read_timeout(Some(limits.body_timeout));
    client.set_write_timeout(Some(WRITE_LIMIT));
    if client.req_header().version == Version::HTTP_10 {
        // It knows no answers before the answer, and cannot ask for one (RFC 9110, 15.2).
        client.req_header_mut().remove_header(&header::EXPECT);
        client.set_ignore_info_resp(true);
    }
}

/// Rewrites a request's header for the server that it goes to.
pub(super) fn rewrite_request(
    session: &Session,
    request: &mut RequestHeader,
    exchange: &Exchange,
) -> Result<()> {
    let sent = session.req_header();
    let arrival = &exchange.arrival;
    let client = forward::Client {
        address: arrival.client,
        written: &arrival.written,
        real: exchange.client,
        is_trusted_proxy: exchange.live.clients.trusts(arrival.client),
        scheme: if arrival.is_secure { "https" } else { "http" },
        version: sent.version,
    };
    let id = exchange.request_id.as_value();
    let deadline = deadline(session, exchange);
    fields::of_request(request, |headers| {
        forward::to_server(headers, &sent.headers, &client, id, deadline);
        if let Some(key) = exchange.key.minted() {
            headers.insert(idempotency::FIELD, value(key)?);
        }
        if let Some(left) = forward::hops_left(&sent.method, &sent.headers) {
            headers.insert(header::MAX_FORWARDS, left.into());
        }
        if exchange.websocket {
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        if let Some(current) = &exchange.current
            && !sent.headers.contains_key(header::HOST)
        {
            // An HTTP/1.0 client need not name a host; what goes on is HTTP/1.1, which must.
            headers.insert(header::HOST, value(current.server.host_field())?);
        }
        Ok(())
    })
}

fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).or_err(ErrorType::InvalidHTTPHeader, "a value of our own")
}

/// The moment in milliseconds of Unix time after which the server must not begin a write: later,
/// the client could be told that it failed before it is done.
///
/// None for what writes nothing; for a large body, whose arrival nobody can foretell; and where
/// the limits are so tight that no write could begin in time.
fn deadline(session: &Session, exchange: &Exchange) -> Option<u64> {
    let request = session.req_header();
    if idempotency::is_read(&request.method) {
        return None;
    }
    let is_small = match failing::announced_length(session) {
        Some(length) => length <= SMALL_BODY,
        None => !request.headers.contains_key(header::TRANSFER_ENCODING),
    };
    if !is_small {
        return None;
    }
    let timeouts = &exchange.settings.as_ref()?.timeouts;
    if timeouts.first_byte.min(timeouts.request) <= WRITE_TAKES {
        return None;
    }
    let now = Instant::now();
    // A late try may leave too little time for a write: then its deadline is in the past.
    let gives_up = timeouts.gives_up(exchange.sent.unwrap_or(now), now);
    let at = SystemTime::now() + gives_up.saturating_duration_since(now) - WRITE_TAKES;
    let at = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(at.as_millis()).ok()
}

/// Takes in the header of a server's answer; fails when the answer cannot be used, or when the
/// request rather goes elsewhere.
pub(super) fn judge_answer(
    session: &Session,
    answer: &ResponseHeader,
    exchange: &mut Exchange,
) -> Result<()> {
    let switches = answer.status == StatusCode::SWITCHING_PROTOCOLS;
    let was_asked = exchange.websocket && websocket::is_accepted(answer.version, &answer.headers);
    if switches && !was_asked {
        return Err(Error::new_up(ErrorType::InvalidHTTPHeader));
    }
    let now = Instant::now();
    if answer.status.is_informational() && !switches {
        // Not the answer, but a sign of life.
        if let Some(current) = &exchange.current {
            current.server.heard().set(now);
        }
        return Ok(());
    }
    let (Some(current), Some(upstream)) = (&exchange.current, &exchange.upstream) else {
        return Ok(());
    };
    if current.open.answered().is_some() {
        return Err(Error::new_up(ErrorType::ReadTimedout));
    }
    exchange.try_status = Some(answer.status.as_u16());
    let server = Arc::clone(&current.server);
    server.heard().set(now);
    current.open.heard.set(now);
    let shared_cause = names_shared_cause(answer);
    if shared_cause {
        upstream.said_away(&server, now);
    } else {
        upstream.said_nothing_of_it(now);
    }
    let server_error = speaks_of_the_server(answer.status) && !shared_cause;
    upstream.answered(&server, server_error, now);
    if let (false, Some(sent)) = (server_error, current.open.sent.at()) {
        // An error that comes quickly says nothing of how quick the server is.
        server.measured(now.saturating_duration_since(sent), now);
    }
    if answer.headers.get(DRAIN_HEADER).is_some_and(|v| v == "1") {
        upstream.take_out(&server, Cause::Draining, now);
    }
    let is_status = answer.status.as_u16() < 600;
    if !is_status || !forward::is_framing_known(&answer.headers) {
        return Err(Error::new_up(ErrorType::InvalidHTTPHeader));
    }
    let moves_on = match answer.status.as_u16() {
        503 if shared_cause => failing::may_ask_another(session, exchange, now),
        502..=504 => failing::may_move_on(session, exchange, now),
        _ => false,
    };
    if moves_on {
        return Err(Error::new_up(ErrorType::HTTPStatus(answer.status.as_u16())));
    }
    exchange.first_byte = Some(now.saturating_duration_since(exchange.arrival.at));
    Ok(())
}

/// Takes in that an answer has come whole. One that says that the server does not fare well makes
/// up for nothing.
pub(super) fn came_whole(exchange: &Exchange) {
    let status = exchange.try_status.map(StatusCode::from_u16);
    if let (Some(current), Some(upstream), Some(Ok(status))) =
        (&exchange.current, &exchange.upstream, status)
        && exchange.tunnel.is_none()
        && !speaks_of_the_server(status)
    {
        upstream.came_whole(&current.server);
    }
}

/// Whether a status says that the server does not fare well. That it does not know a method or a
/// version says something of the request (RFC 9110, 15.6.2 and 15.6.6).
pub(super) fn speaks_of_the_server(status: StatusCode) -> bool {
    status.is_server_error()
        && status != StatusCode::NOT_IMPLEMENTED
        && status != StatusCode::HTTP_VERSION_NOT_SUPPORTED
}

/// Whether a server says that it cannot answer because something is away which all servers share.
fn names_shared_cause(answer: &ResponseHeader) -> bool {
    answer.status == StatusCode::SERVICE_UNAVAILABLE
        && answer
            .headers
            .get(CAUSE_HEADER)
            .is_some_and(|cause| cause == "database")
}

/// Cleans the header of an interim answer, such as hints; that of an upgrade stays as it is.
pub(super) fn rewrite_interim(answer: &mut ResponseHeader) {
    answer.set_version(Version::HTTP_11);
    if answer.status != StatusCode::SWITCHING_PROTOCOLS {
        fields::of_answer(answer, forward::interim_to_client);
    }
}

/// Cleans a server's header and puts the proxy's own fields in.
pub(super) fn rewrite_answer(
    session: &Session,
    answer: &mut ResponseHeader,
    exchange: &mut Exchange,
) -> Result<()> {
    // The proxy speaks for itself, whatever its server speaks (RFC 9110, 2.5).
    answer.set_version(Version::HTTP_11);
    let cookie = match sticky_cookie(exchange, &session.req_header().headers) {
        Some(cookie) => Some(value(&cookie)?),
        None => None,
    };
    let endpoint = exchange.current.as_ref();
    let endpoint = endpoint.map_or("", |current| current.server.endpoint_text());
    let id = exchange.request_id.as_value();
    let must_say_when = names_shared_cause(answer);
    let is_empty = answer.status == StatusCode::NO_CONTENT;
    exchange.instance = fields::of_answer(answer, |headers| {
        if must_say_when && !headers.contains_key(header::RETRY_AFTER) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        forward::to_client(headers, endpoint, id);
        if is_empty {
            // It ends with its head, whatever its server says (RFC 9110, 8.6; RFC 9112, 6.1).
            headers.remove(header::CONTENT_LENGTH);
            headers.remove(header::TRANSFER_ENCODING);
        }
        if let Some(cookie) = cookie {
            headers.append(header::SET_COOKIE, cookie);
        }
        headers.get(forward::X_INSTANCE).cloned()
    });
    if session.req_header().version == Version::HTTP_10 {
        // Such a client knows no chunks: the end of the connection ends the body.
        let was_chunked = answer.remove_header(&header::TRANSFER_ENCODING).is_some();
        exchange.keep_alive &= !was_chunked;
        let is_empty = session.req_header().method == Method::HEAD
            || matches!(
                answer.status,
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            );
        exchange.ends_by_close = !is_empty && !answer.headers.contains_key(header::CONTENT_LENGTH);
        // Until it is whole.
        breaks_off(session, exchange, true);
    }
    Ok(())
}

/// Says whether an answer that only the end of the connection ends has broken off.
pub(super) fn breaks_off(session: &Session, exchange: &Exchange, does: bool) {
    let client = session.as_downstream().stream();
    if exchange.ends_by_close
        && let Some(client) =
            client.and_then(|stream| stream.as_any().downcast_ref::<ClientStream>())
    {
        client.breaks_off(does);
    }
}

/// Has the body of an answer sent as gzip where its route and the client want that.
pub(super) fn compress(
    session: &Session,
    answer: &mut ResponseHeader,
    exchange: &mut Exchange,
) -> Result<()> {
    if !exchange.compress {
        return Ok(());
    }
    let request = session.req_header();
    let plan = compress::plan(answer.status, &answer.headers, &request.headers);
    if plan.varies && !compress::says_that_it_varies(&answer.headers) {
        answer.append_header(header::VARY, "Accept-Encoding")?;
    }
    if let Some(tag) = plan.weak_tag {
        answer.insert_header(header::ETAG, tag)?;
    }
    if !plan.encode {
        return Ok(());
    }
    answer.insert_header(header::CONTENT_ENCODING, "gzip")?;
    answer.remove_header(&header::CONTENT_LENGTH);
    answer.remove_header(&header::ACCEPT_RANGES);
    if request.method == Method::HEAD {
        return Ok(());
    }
    if request.version < Version::HTTP_2 {
        answer.insert_header(header::TRANSFER_ENCODING, "chunked")?;
    }
    exchange.encoder = Some(Encoder::default());
    Ok(())
}

/// The cookie that a client is to come back with, if it has none whose server is still up.
fn sticky_cookie(exchange: &Exchange, headers: &HeaderMap) -> Option<String> {
    let name = exchange.settings.as_ref()?.sticky.as_deref()?;
    let upstream = exchange.upstream.as_ref()?;
    if exchange.wish.sticky.is_some_and(|had| upstream.is_up(had)) {
        return None;
    }
    let identity = exchange.current.as_ref()?.server.identity();
    Some(sticky::set_cookie(
        name,
        identity,
        is_secure(exchange, headers),
    ))
}

/// Whether the client speaks over TLS, to us or to a proxy before us whose word is believed.
pub(super) fn is_secure(exchange: &Exchange, headers: &HeaderMap) -> bool {
    let arrival = &exchange.arrival;
    arrival.is_secure || exchange.live.clients.trusts(arrival.client) && forward::is_https(headers)
}

/// Says whether the client's connection is kept after this answer.
pub(super) fn keep_or_close(
    session: &mut Session,
    answer: &ResponseHeader,
    may_be_kept: bool,
    draining: bool,
) {
    let whole = session.as_downstream_mut().is_body_done();
    if draining || !may_be_kept {
        session.set_keepalive(None);
    } else if whole && session.as_downstream().get_keepalive().is_none() {
        // A `100 Continue` that passed has switched it off.
        session.set_keepalive(Some(0));
    }
    if !whole && answer.status >= StatusCode::BAD_REQUEST {
        // The server does not want the body; the client may not send it any more.
        session.set_read_timeout(Some(LATE_BODY_LIMIT));
    }
}

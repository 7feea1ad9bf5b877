//! The way of a request through the proxy, one hook per phase; read it from top to bottom.
//!
//! The only [`ProxyHttp`] there is. It carries values between modules that do not know each
//! other and takes no decision itself: [`crate::route`] finds the target, [`crate::upstream`] the
//! server, [`crate::retry`] says whether to try again, [`crate::forward`] what is rewritten.

pub mod exchange;
mod failing;
mod fields;
mod line;
mod passing;
mod serving;
mod tunnel;
mod uncopied;

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::{StatusCode, header};
use pingora_core::modules::http::HttpModules;
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, ErrorType, OrErr, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use crate::access_log::AccessLog;
use crate::balance::{Asked, Wish};
use crate::drain::Drain;
use crate::figures::RouteFigures;
use crate::files;
use crate::forward;
use crate::idempotency::{Idempotency, Key};
use crate::live::InForce;
use crate::rate_limit::Limit;
use crate::request_id::RequestId;
use crate::respond::Failure;
use crate::retry;
use crate::upstream::Upstream;
use crate::upstream::dialler::CutHandle;
use exchange::{Arrival, Exchange};

/// A route: where it leads, whom it lets in, and what is counted of it.
#[derive(Debug, Clone)]
pub struct Route {
    /// Where it leads.
    pub target: Arc<Target>,
    /// How many requests each client may send.
    pub limit: Option<Limit>,
    /// What is counted of it.
    pub figures: Arc<RouteFigures>,
}

/// Where a route leads.
#[derive(Debug)]
pub enum Target {
    /// Files that the proxy serves itself.
    Files(files::Root),
    /// An upstream.
    Upstream {
        /// The upstream.
        upstream: Arc<Upstream>,
        /// The largest body that is let through, in bytes.
        max_body: u64,
        /// What becomes of idempotency keys.
        idempotency: Idempotency,
        /// Whether `WebSocket`s are taken.
        websocket: bool,
        /// Whether text is sent as gzip.
        compress: bool,
    },
}

/// Everything that a request meets on its way.
#[derive(Debug)]
pub struct Gateway {
    /// What the proxy serves by.
    pub live: InForce,
    /// Whether the proxy is stopping.
    pub drain: Arc<Drain>,
    /// Where each request is noted.
    pub access_log: Arc<AccessLog>,
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange::new(self.live.load_full(), Instant::now())
    }

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {
        // None: text is compressed by `compress`, and each module costs every request something.
    }

    fn on_connection_reuse(
        &self,
        _session: &mut Session,
        exchange: &mut Exchange,
        handed_over: Box<dyn Any + Send + Sync>,
    ) {
        if let Ok(arrival) = handed_over.downcast::<Arrival>() {
            exchange.arrival = *arrival;
        }
    }

    async fn early_request_filter(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let request = session.req_header_mut();
        if let Some(arrival) = request.extensions_mut().remove::<Arrival>() {
            // Over HTTP/2 it comes with the request.
            exchange.arrival = arrival;
        }
        exchange.request_id = fields::of_request(request, |fields| RequestId::of(fields));
        let headers = &session.req_header().headers;
        exchange.client = exchange
            .live
            .clients
            .client_of(exchange.arrival.client, headers);
        line::begin(session, exchange, &self.access_log);
        passing::settle_connection(session, exchange, self.drain.has_begun());
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        let header = session.req_header();
        let host = header.headers.get(header::HOST);
        let host = host.and_then(|value| value.to_str().ok());
        let live = Arc::clone(&exchange.live);
        if header.uri.path() == "*" || forward::ends_here(&header.method, &header.headers) {
            return serving::options(session, exchange).await;
        }
        if let Some(port) = live.redirect
            && !passing::is_secure(exchange, &header.headers)
        {
            return serving::to_https(session, exchange, port).await;
        }
        let Some(found) = live.routes.find(host, header.uri.path()) else {
            return serving::refuse(session, exchange, Failure::NoRoute).await;
        };
        let Route {
            target,
            limit,
            figures,
        } = found.route;
        exchange.in_flight = figures.begin();
        if let Some(limit) = limit
            && let Err(refused) = limit.admit(exchange.client, Instant::now())
        {
            figures.count_limited();
            let retry_after = refused.retry_after();
            let failure = Failure::TooManyRequests { retry_after };
            return serving::refuse(session, exchange, failure).await;
        }
        match &**target {
            Target::Files(root) => {
                let below = found.rest.to_owned();
                serving::file(session, exchange, root, &below).await
            }
            Target::Upstream {
                upstream,
                max_body,
                idempotency,
                websocket,
                compress,
            } => {
                let settings = upstream.settings();
                exchange.wish = Wish::of(
                    &settings.method,
                    settings.sticky.as_deref(),
                    &Asked {
                        headers: &header.headers,
                        path: header.uri.path(),
                        client: exchange.client,
                    },
                );
                exchange.key = Key::of(*idempotency, &header.method, &header.headers);
                exchange.repeatable =
                    retry::is_idempotent(&header.method) || exchange.key.is_some();
                exchange.upstream = Some(Arc::clone(upstream));
                exchange.settings = Some(settings);
                exchange.max_body = *max_body;
                exchange.compress = *compress;
                upstream.earn(exchange.arrival.at);
                serving::admit(session, exchange, *websocket).await
            }
        }
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<Box<HttpPeer>> {
        let again = exchange.again.take();
        let fresh = again.is_some();
        let picked = match again {
            Some(server) => server.take(),
            None => serving::place(session, exchange).await?,
        };
        let now = Instant::now();
        let server = &picked.server;
        let fresh = fresh || !exchange.repeatable && server.is_rested(now);
        let mut peer = if exchange.websocket {
            server.tunnel_peer(fresh)
        } else {
            server.peer(fresh)
        };
        if let Some(limit) = picked.slot.connect_limit() {
            peer.options.total_connection_timeout = Some(limit);
        }
        exchange.begin_try(picked, now);
        Ok(peer)
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        _reused: bool,
        _peer: &HttpPeer,
        _fd: std::os::fd::RawFd,
        digest: Option<&Digest>,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let connection = digest.and_then(CutHandle::of);
        if let (Some(current), Some(connection)) = (&exchange.current, connection) {
            current.open.connected(connection);
        }
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        passing::rewrite_request(session, request, exchange)?;
        if exchange.websocket {
            tunnel::keep_back(exchange);
        }
        Ok(())
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        exchange: &mut Exchange,
    ) -> Result<()> {
        if exchange.tunnel.is_some() {
            return Ok(());
        }
        exchange.body_bytes += body.as_ref().map_or(0, |piece| piece.len() as u64);
        if exchange.body_bytes > exchange.max_body {
            exchange.failure = Some(Failure::BodyTooLarge);
            return Err(Error::new_down(ErrorType::HTTPStatus(413)));
        }
        let replayable = !session.as_ref().retry_buffer_truncated();
        exchange.passed_on(replayable, end, Instant::now());
        if exchange.websocket {
            tunnel::let_go(exchange);
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        answer: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        passing::judge_answer(session, answer, exchange)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        answer: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        if answer.status == StatusCode::SWITCHING_PROTOCOLS {
            return tunnel::open(session, answer, exchange, &self.drain);
        }
        if answer.status.is_informational() {
            passing::rewrite_interim(answer);
            return Ok(());
        }
        passing::compress(session, answer, exchange)?;
        passing::rewrite_answer(session, answer, exchange)?;
        harden(answer, exchange)?;
        passing::keep_or_close(session, answer, exchange.keep_alive, self.drain.has_begun());
        exchange.shelf = uncopied::stand_in(session, answer);
        Ok(())
    }

    fn upstream_response_body_filter(
        &self,
        _session: &mut Session,
        _body: &mut Option<Bytes>,
        _end: bool,
        exchange: &mut Exchange,
    ) -> Result<Option<Duration>> {
        if let Some(current) = &exchange.current {
            let now = Instant::now();
            current.server.heard().set(now);
            current.open.heard.set(now);
        }
        Ok(None)
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        exchange: &mut Exchange,
    ) -> Result<Option<Duration>> {
        if let Some(encoder) = &mut exchange.encoder {
            let piece = encoder.pass(body.as_deref().unwrap_or_default(), end);
            *body = Some(piece.or_err(ErrorType::InternalError, "compressing")?);
        }
        Ok(None)
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        exchange: &mut Exchange,
        error: Box<Error>,
    ) -> Box<Error> {
        failing::not_connected(session, exchange, error)
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        exchange: &mut Exchange,
        reused: bool,
    ) -> Box<Error> {
        failing::broken_off(session, exchange, error, reused)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        exchange: &mut Exchange,
    ) -> FailToProxy {
        failing::answer(session, exchange, error).await
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, exchange: &mut Exchange) {
        uncopied::hand_back(session, exchange.shelf.take());
        passing::breaks_off(session, exchange, error.is_some());
        if error.is_none() {
            passing::came_whole(exchange);
        }
        line::write(session, exchange);
    }

    fn suppress_error_log(&self, _: &Session, _: &Exchange, _: &Error) -> bool {
        // The access log says the same in one line.
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        _: &Exchange,
        _: &Error,
        _: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}

/// Tells a client over TLS to come that way at once, where the others are sent there.
fn harden(header: &mut ResponseHeader, exchange: &Exchange) -> Result<()> {
    if exchange.arrival.is_secure && exchange.live.redirect.is_some() {
        header.insert_header(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000")?;
    }
    Ok(())
}

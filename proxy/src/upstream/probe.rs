//! Health checks: one question to one server, and the rounds in which it is asked.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Response;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::Upstream;
use super::dialler::{connect_unix, is_our_trouble};
use super::health::{Cause, Probe, State};
use super::server::{Endpoint, Server};
use super::settings::{HealthSettings, Settings};
use super::tls::Distrust;
use crate::single_get::single_get;

/// How often a server that never passed is asked.
const FIRST_PASS_EVERY: Duration = Duration::from_millis(100);

/// Checks a server again and again until that is to end.
pub(super) async fn rounds(upstream: Arc<Upstream>, server: Arc<Server>) {
    loop {
        let settings = upstream.settings();
        let checks = &settings.health;
        if !server.is_down() {
            let result = ask(&server, &settings, checks.timeout).await;
            if server.is_unwatched() {
                return;
            }
            upstream.probed(&server, result, Instant::now());
        }
        tokio::select! {
            () = tokio::time::sleep(pause(&server, checks, fastrand::f64())) => {}
            () = server.check_due() => {}
            () = server.end_of_checks() => return,
        }
    }
}

/// How long a server is left in peace until its next check; `chance` is from 0 to 1.
pub fn pause(server: &Server, checks: &HealthSettings, chance: f64) -> Duration {
    if server.with_health(|health| health.state()) == State::Out(Cause::New) {
        FIRST_PASS_EVERY.min(checks.every)
    } else {
        // Varied by a fifth, so that many proxies do not ask in step.
        checks.every.mul_f64(0.8 + 0.4 * chance)
    }
}

/// Asks a server how it is; the limit covers everything, a dripping answer too.
pub(super) async fn ask(server: &Server, settings: &Settings, limit: Duration) -> Probe {
    let result = match tokio::time::timeout(limit, exchange(server, settings)).await {
        Ok(Ok(probe)) => probe,
        Ok(Err(error)) if is_our_trouble(&error) => Probe::NotAsked,
        Ok(Err(error)) => Distrust::behind(&error).map_or(Probe::BrokeOff, Probe::Distrusted),
        Err(_) => Probe::TimedOut,
    };
    server.figures().checks.count(result.as_str());
    result
}

async fn exchange(server: &Server, settings: &Settings) -> io::Result<Probe> {
    match server.endpoint() {
        Endpoint::Inet(address) => match TcpStream::connect(address).await {
            Ok(stream) => secure(stream, server, settings).await,
            Err(error) => not_connected(error),
        },
        Endpoint::Unix(path) => match connect_unix(path).await {
            Ok(stream) => secure(stream, server, settings).await,
            Err(error) => not_connected(error),
        },
    }
}

fn not_connected(error: io::Error) -> io::Result<Probe> {
    if is_our_trouble(&error) {
        return Err(error);
    }
    Ok(Probe::NotConnected(error.kind()))
}

async fn secure<S>(stream: S, server: &Server, settings: &Settings) -> io::Result<Probe>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match &settings.tls {
        Some(tls) => converse(tls.connect(stream).await?, server, &settings.health).await,
        None => converse(stream, server, &settings.health).await,
    }
}

async fn converse<S>(stream: S, server: &Server, checks: &HealthSettings) -> io::Result<Probe>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(path) = &checks.path else {
        return Ok(Probe::Passed);
    };
    match single_get(stream, server.address(), path).await {
        Ok(answer) => Ok(read(server, &answer)),
        Err(error) if is_garbled(&error) => Ok(Probe::Garbled),
        Err(error) => Err(error),
    }
}

/// Whether something came that is no answer.
fn is_garbled(error: &io::Error) -> bool {
    let inner = error.get_ref();
    let inner = inner.and_then(|inner| inner.downcast_ref::<hyper::Error>());
    inner.is_some_and(hyper::Error::is_parse)
}

fn read(server: &Server, answer: &Response<hyper::body::Incoming>) -> Probe {
    let header = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok());
    if let Some(instance) = header("x-instance") {
        server.set_instance(instance);
    }
    if header("x-lb-drain") == Some("1") {
        Probe::Draining
    } else if answer.status().is_success() {
        Probe::Passed
    } else {
        Probe::Unwell(answer.status().as_u16())
    }
}

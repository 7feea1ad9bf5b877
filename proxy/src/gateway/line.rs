//! The line in the access log of a request that is over, however it ended.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::{HeaderValue, Method, StatusCode, Uri, Version, header};
use pingora_proxy::Session;

use super::exchange::Exchange;
use super::failing;
use crate::access_log::{AccessLog, Entry};
use crate::respond::{self, Failure};
use crate::route::bare_host;

/// What is needed to log a request that ends without its session: a hook has panicked, or the
/// process has run out of time.
#[derive(Debug)]
pub(super) struct Unlogged {
    access_log: Arc<AccessLog>,
    version: Version,
    method: Method,
    host: Option<HeaderValue>,
    uri: Uri,
}

/// Begins a request: from now on it leaves a line, whatever happens.
pub(super) fn begin(session: &Session, exchange: &mut Exchange, access_log: &Arc<AccessLog>) {
    let request = session.req_header();
    exchange.unlogged = Some(Unlogged {
        access_log: Arc::clone(access_log),
        version: request.version,
        method: request.method.clone(),
        host: request.headers.get(header::HOST).cloned(),
        uri: request.uri.clone(),
    });
}

/// Logs a request whose session knows how it ended.
pub(super) fn write(session: &Session, exchange: &mut Exchange) {
    let now = Instant::now();
    exchange.end_try("answered", now);
    let Some(unlogged) = exchange.unlogged.take() else {
        return;
    };
    let status = match (failing::answered(session), exchange.failure) {
        (Some(status), _) => status,
        (None, Some(failure)) => failure.status(),
        (None, None) => Failure::ClientGone.status(),
    };
    let bytes = session.body_bytes_sent();
    note(&unlogged, exchange, status, bytes, now);
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some(unlogged) = self.unlogged.take() else {
            return;
        };
        self.failure = Some(if std::thread::panicking() {
            Failure::Internal
        } else {
            Failure::Stopped
        });
        let now = Instant::now();
        self.end_try("cut", now);
        let status = self.failure.map_or(StatusCode::OK, Failure::status);
        note(&unlogged, self, status, 0, now);
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

/// Counts a request that ends `now`, and writes its line.
fn note(unlogged: &Unlogged, exchange: &Exchange, status: StatusCode, bytes: usize, now: Instant) {
    let elapsed = now.saturating_duration_since(exchange.arrival.at);
    // A tunnel may last for days: what is told of it is how soon it came about.
    let took = match &exchange.tunnel {
        Some(_) => exchange.first_byte.unwrap_or(elapsed),
        None => elapsed,
    };
    let figures = exchange.in_flight.figures();
    figures.count(status.as_u16(), took);
    let instance = exchange.instance.as_ref();
    let instance = instance.map(|name| String::from_utf8_lossy(name.as_bytes()));
    let host = unlogged.host.as_ref();
    let host = host.and_then(|host| host.to_str().ok());
    unlogged.access_log.write(&Entry {
        time: SystemTime::now() - elapsed,
        request_id: exchange.request_id.as_str(),
        client: exchange.client,
        protocol: Some(protocol(unlogged.version)),
        method: Some(unlogged.method.as_str()),
        host: host.map(bare_host),
        path: Some(unlogged.uri.path()),
        status: status.as_u16(),
        bytes,
        route: Some(&**figures.label()).filter(|label| !label.is_empty()),
        upstream: exchange.upstream.as_ref().map(|u| &**u.name()),
        instance: instance.as_deref().unwrap_or(respond::INSTANCE),
        tries: &exchange.tries,
        first_byte: exchange.first_byte,
        total: elapsed,
        cause: exchange.failure.map(Failure::cause),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::live::Live;
    use crate::upstream::ServerSettings;
    use crate::upstream::Timeouts;
    use crate::upstream::server::{Endpoint, Server};
    use std::path::Path;

    #[test]
    fn a_panic_leaves_a_line_and_nothing_in_flight() {
        let (access_log, lines) = AccessLog::to_memory();
        let server = ServerSettings {
            address: "a:1".parse().unwrap(),
            weight: 1,
            backup: false,
            down: false,
            max_connections: 0,
        };
        let now = Instant::now();
        let endpoint = Endpoint::Inet("127.0.0.1:1".parse().unwrap());
        let server = Server::new(&server, endpoint, &Timeouts::default(), now).unwrap();
        let server = Arc::new(server);
        let config = "routes = [{ path = '/', upstream = 'u' }]\nupstreams.u.servers = [{ address = 'a:1' }]";
        let config = Config::parse(config, Path::new("")).unwrap();
        let live = Live::of(&config, None, &Arc::default(), now).unwrap();
        let mut exchange = Exchange::new(Arc::new(live), now);
        exchange.unlogged = Some(Unlogged {
            access_log: Arc::new(access_log),
            version: Version::HTTP_11,
            method: Method::GET,
            host: None,
            uri: Uri::from_static("/api/?secret"),
        });
        exchange.begin_try(server.take(), now);
        assert_eq!(server.in_flight(), 1);
        let panicked = std::thread::spawn(move || {
            let _dropped_by_the_panic = exchange;
            panic!("a hook fails");
        });
        assert!(panicked.join().is_err());
        assert_eq!(server.in_flight(), 0);
        let line: serde_json::Value = serde_json::from_slice(&lines()).unwrap();
        assert_eq!(
            (&line["status"], &line["path"]),
            (&500.into(), &"/api/".into())
        );
        assert_eq!(line["tries"][0]["outcome"], "cut");
    }
}

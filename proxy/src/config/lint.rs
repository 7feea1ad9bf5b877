//! What a configuration may say but hardly means; [`super::check`] tells it, `serve` does not ask.
//!
//! One file for each part of a configuration; each gathers [`Doubt`]s, and none of them is a fault:
//! it is legal, but unsafe or without use.

mod files;
mod routes;
mod upstreams;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::Config;
use crate::certificate;

/// A head may well take this long on a bad line; more only helps those who are slow on purpose.
const LONG_HEAD: Duration = Duration::from_secs(60);
/// The same for the next piece of a body.
const LONG_PIECE: Duration = Duration::from_secs(300);
/// Somebody should be renewing a certificate that has no more than this.
const SOON: Duration = Duration::from_secs(14 * DAY);
const DAY: u64 = 24 * 60 * 60;

/// Something doubtful.
pub(super) struct Doubt {
    /// The key from the top.
    pub(super) key: String,
    /// What is doubtful.
    pub(super) sentence: String,
}

/// The doubts so far.
struct Doubts(Vec<Doubt>);

impl Doubts {
    fn add(&mut self, key: impl Into<String>, sentence: impl Into<String>) {
        self.0.push(Doubt {
            key: key.into(),
            sentence: sentence.into(),
        });
    }
}

/// Returns what is doubtful at the time of `now`.
pub(super) fn doubts(config: &Config, now: SystemTime) -> Vec<Doubt> {
    let mut doubts = Doubts(Vec::new());
    of_admin(config, &mut doubts);
    of_clients(config, &mut doubts);
    of_tls(config, now, &mut doubts);
    files::doubts(config, &mut doubts);
    routes::doubts(config, &mut doubts);
    for upstream in &config.upstreams {
        upstreams::doubts(upstream, config, &mut doubts);
    }
    doubts.0
}

fn of_admin(config: &Config, doubts: &mut Doubts) {
    if config.admin.as_ref().is_some_and(is_public) && config.admin_token_file.is_none() {
        doubts.add(
            "admin",
            "not loopback and no `admin_token_file`: everyone may read it, and nothing can be \
             changed through it",
        );
    }
}

fn of_clients(config: &Config, doubts: &mut Doubts) {
    let clients = &config.clients;
    let everyone = clients.trusted_proxies.iter().enumerate();
    for (index, _) in everyone.filter(|(_, range)| range.prefix_len() == 0) {
        let key = format!("clients.trusted_proxies[{index}]");
        doubts.add(key, "every client may claim any address");
    }
    for (name, limit, long) in [
        ("header_timeout", clients.header_timeout, LONG_HEAD),
        ("body_timeout", clients.body_timeout, LONG_PIECE),
    ] {
        if limit > long {
            let why = "so long may a client hold a connection by sending nothing";
            doubts.add(format!("clients.{name}"), format!("{limit:?}: {why}"));
        }
    }
}

fn of_tls(config: &Config, now: SystemTime, doubts: &mut Doubts) {
    let Some(tls) = &config.tls else {
        return;
    };
    if !tls.redirect && config.listen.iter().any(is_public) {
        let sentence = "clients of the plain ports are not sent here: what they say can be read";
        doubts.add("tls.redirect", sentence);
    }
    if let Some(validity) = certificate::validity(tls) {
        let days = |time: Duration| time.as_secs() / DAY;
        let sentence = match validity.end.duration_since(now) {
            Ok(left) if left <= SOON => format!("the certificate expires in {} days", days(left)),
            Ok(_) if validity.begin > now => "the certificate is not valid yet".to_owned(),
            Ok(_) => return,
            Err(_) => "the certificate has expired".to_owned(),
        };
        doubts.add("tls.certificate", sentence);
    }
}

fn is_public(address: &SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

//! The configuration: a TOML file becomes a [`Config`] of types that cannot be wrong.
//!
//! Read once, before a port is bound: `source` parses the text into the structs of `raw`, whose
//! values are of the kinds in `setting`; `build` and its neighbours make the types of the modules
//! which act on them. All that is wrong is told at once, each with its line, its key and what was
//! expected. `lint` says what is allowed but doubtful.

mod access;
mod build;
mod fault;
mod files;
mod lint;
mod raw;
mod routes;
mod setting;
mod source;
mod tls;
mod units;
mod upstreams;

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::access_log::Destination;
use crate::certificate::Tls;
use crate::clients::Clients;
use crate::files::Rules;
use crate::idempotency::Idempotency;
use crate::rate_limit::Rate;
use crate::route::Matcher;
use crate::unreadable;
use crate::upstream;

pub use access::{AdminAccess, admin_access};
pub use fault::{Fault, Refused, Severity};
use source::Source;
pub(crate) use units::duration;

/// Said of a key that a reload would have to change and cannot.
const FROZEN: &str = "this cannot change by a reload: restart the proxy for it";

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file that it was read from, and that a reload reads again.
    pub file: PathBuf,
    /// Where clients connect, at least one address. Default `0.0.0.0:8080`.
    pub listen: Vec<SocketAddr>,
    /// Where the admin listener is. Default none: off.
    pub admin: Option<SocketAddr>,
    /// The file with the token for changes through an admin listener that is not loopback. It
    /// held a token when the configuration was read. Default none: no changes there.
    pub admin_token_file: Option<PathBuf>,
    /// The port for TLS. Default none.
    pub tls: Option<Tls>,
    /// Worker threads. Default one per core.
    pub threads: NonZeroUsize,
    /// What clients may do and how long they may take.
    pub clients: Clients,
    /// Where the access log goes. Default stdout.
    pub access_log: Destination,
    /// At least one, no two alike, in the order of the file.
    pub routes: Vec<Route>,
    /// In the order of the file; every upstream that a route names is among them.
    pub upstreams: Vec<upstream::Settings>,
}

/// Which requests, and where they go.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Which requests are meant.
    pub matcher: Matcher,
    /// What answers them.
    pub target: Target,
    /// How many of them each client may send. Default none: as many as it likes.
    pub rate_limit: Option<Rate>,
}

/// What answers the requests of a route.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// The proxy itself, from a folder that was there when the configuration was read.
    Files {
        /// The folder.
        root: PathBuf,
        /// How its files are served.
        rules: Rules,
    },
    /// The servers of an upstream.
    Upstream {
        /// Its name.
        name: Arc<str>,
        /// The largest request body, in bytes. Default 1 MiB.
        max_body: u64,
        /// What becomes of idempotency keys. Default off.
        idempotency: Idempotency,
        /// Whether `WebSocket`s are taken. Default no.
        websocket: bool,
        /// Whether text is sent as gzip. Default no.
        compress: bool,
    },
}

/// What of the settings under `[tls]` is bound when the proxy starts.
fn bound(tls: Option<&Tls>) -> Option<(SocketAddr, &Path, &Path)> {
    tls.map(|tls| (tls.listen, tls.certificate.as_path(), tls.key.as_path()))
}

impl Config {
    /// Reads a file.
    pub fn load(file: &Path) -> Result<Self, Refused> {
        Self::parse(&read(file)?, file)
    }

    /// Reads the file of a running configuration again. What cannot change while the proxy runs
    /// is a fault where it has changed.
    pub fn load_again(&self) -> Result<Self, Refused> {
        let text = read(&self.file)?;
        let (source, raw, shape) = Source::parse(&self.file, &text)?;
        let new = build::config((&source, raw, shape), &self.file)?;
        let frozen = [
            ("listen", new.listen != self.listen),
            ("admin", new.admin != self.admin),
            ("threads", new.threads != self.threads),
            ("tls", bound(new.tls.as_ref()) != bound(self.tls.as_ref())),
        ];
        let faults: Vec<Fault> = frozen
            .into_iter()
            .filter(|(_, has_changed)| *has_changed)
            .map(|(key, _)| source.about(key, FROZEN.to_owned(), Severity::Error))
            .collect();
        if faults.is_empty() {
            Ok(new)
        } else {
            Err(faults.into())
        }
    }

    /// Reads the text of a file, and looks whether the folders are there that it names.
    ///
    /// `file` stands in the messages, and relative folders begin beside it.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Refused> {
        let (source, raw, shape) = Source::parse(file, text)?;
        build::config((&source, raw, shape), file)
    }
}

/// Returns what is wrong with a file, or else what is doubtful in it; nothing if all is well.
pub fn check(file: &Path) -> Vec<Fault> {
    doubts(file).unwrap_or_else(Refused::into_faults)
}

fn doubts(file: &Path) -> Result<Vec<Fault>, Refused> {
    let text = read(file)?;
    let (source, raw, shape) = Source::parse(file, &text)?;
    let config = build::config((&source, raw, shape), file)?;
    let doubts = lint::doubts(&config, SystemTime::now()).into_iter();
    let doubts = doubts.map(|doubt| source.about(&doubt.key, doubt.sentence, Severity::Warning));
    let mut told: Vec<Fault> = doubts.collect();
    told.sort_by(|a, b| (a.line, &a.sentence).cmp(&(b.line, &b.sentence)));
    Ok(told)
}

fn read(file: &Path) -> Result<String, Fault> {
    let refuse = |line, sentence| Fault::of_file(file, line, sentence);
    let bytes = bytes_of(file).map_err(|sentence| refuse(None, sentence))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|&&byte| byte == b'\n').count() + 1;
        refuse(Some(line), "the file is not UTF-8 text".to_owned())
    })
}

/// Reads a file whole; the error is a sentence.
#[expect(
    clippy::disallowed_methods,
    reason = "files are read before any thread exists, or on one that may block"
)]
fn bytes_of(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| unreadable::sentence("file", &error))
}

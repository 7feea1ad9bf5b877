//! Static files: which outcome does a request for a path below one folder have?
//!
//! Stands beside [`crate::upstream`]: `gateway` asks [`Root::find`] for the requests of a `files`
//! route and gives the [`Outcome`] to `respond`, which alone writes. A request goes through
//! `path` (which name does it ask for? pure), `memory` or `open` (what lies there?) and `answer`
//! (which form of it, and is it sent at all? with `coding`, `conditions`, `range` and `rules`, all
//! pure); `body` then hands out the bytes, and `twin` says where the system can send them from by itself.
//! Whatever touches the disk runs on `disk`, away from the threads that serve connections.
//!
//! Nothing outside the folder is ever opened: names are refused by `path`, and every open is
//! resolved by the kernel beneath the folder's own handle (`openat2`, `RESOLVE_BENEATH`, through
//! cap-std). A relative link that stays inside is followed, one that leads out is not found, and
//! so is every absolute link. The handle stays on the folder that was opened at load: a deploy
//! that replaces the folder itself, and not what is in it, needs a reload.

mod answer;
mod body;
mod coding;
mod conditions;
mod disk;
mod explain;
mod media_type;
mod memory;
mod open;
mod path;
mod range;
mod rules;
mod twin;
mod validators;
mod warm;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use http::{HeaderMap, HeaderValue, Method};

pub use self::body::Body;
pub use self::coding::accepts_gzip;
pub use self::explain::Explained;
pub use self::rules::{CacheRule, PagePolicy, Rules};
pub use self::twin::Twin;
pub use self::validators::Validators;

use self::disk::Disk;
use self::memory::Memory;
use self::open::Opened;
use self::path::{Refusal, Wanted};

/// The value of `Allow` that goes with [`Outcome::MethodNotAllowed`].
pub const ALLOW: &str = "GET, HEAD";

/// A folder that is served, opened once at load.
#[derive(Debug, Clone)]
pub struct Root {
    folder: Arc<Dir>,
    disk: Disk,
    memory: Arc<Memory>,
    rules: Arc<Rules>,
}

/// What decides about a file: the parts of a request that matter here.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method; only GET and HEAD are served.
    pub method: &'a Method,
    /// The whole path as the client sent it, percent-encoded and without the query.
    pub path: &'a str,
    /// The rest of `path` below the route's prefix, with or without its first slash.
    pub below: &'a str,
    /// The query, which a redirect keeps.
    pub query: Option<&'a str>,
    /// The header fields, of which the conditions are read.
    pub headers: &'a HeaderMap,
}

/// What becomes of a request for a file; each variant is one status, but for the first.
#[derive(Debug)]
pub enum Outcome {
    /// 200, or 206 for a part, for GET and HEAD alike; a HEAD drops the body.
    Found(File),
    /// 304.
    NotModified(Version),
    /// 412.
    PreconditionFailed,
    /// 416.
    RangeNotSatisfiable {
        /// The value of `Content-Range`, which tells the length that the file has.
        content_range: HeaderValue,
    },
    /// 301 from a folder without its slash to the same path with it.
    Redirect {
        /// A path on this host, which never begins with two slashes, and the query.
        location: HeaderValue,
    },
    /// 400: the path is not percent-encoded UTF-8, or holds NUL.
    BadRequest,
    /// 404: nothing to serve there, or a name that is never served.
    NotFound,
    /// 405 with [`ALLOW`].
    MethodNotAllowed,
    /// 503: the disk or the process could not serve it now; never caused by an odd path.
    Unavailable(io::Error),
}

/// A file to be sent.
#[derive(Debug)]
pub struct File {
    /// By the name's extension, with `charset=utf-8` for text.
    pub content_type: HeaderValue,
    /// The value of `Content-Encoding`, if the bytes are encoded.
    pub content_encoding: Option<HeaderValue>,
    /// The value of `Content-Range`, if only a part is sent.
    pub content_range: Option<HeaderValue>,
    /// How many bytes the body has, to the byte.
    pub length: u64,
    /// What caches need to know.
    pub version: Version,
    /// The bytes.
    pub body: Body,
}

/// What is said of a file to caches, whether it is sent or not.
#[derive(Debug)]
pub struct Version {
    /// `ETag` and `Last-Modified`.
    pub validators: Validators,
    /// The value of `Cache-Control`, if a rule has one.
    pub cache_control: Option<HeaderValue>,
    /// Whether another `Accept-Encoding` would have got other bytes.
    pub varies: bool,
}

impl Root {
    /// Opens the folder and reads its small files; fails when it is missing, not a folder or not
    /// permitted.
    ///
    /// Blocks, so it is for the time of loading.
    pub fn open(folder: &Path, rules: Rules) -> io::Result<Self> {
        let folder = Dir::open_ambient_dir(folder, ambient_authority())?;
        let memory = Memory::new(Instant::now());
        warm::fill(&memory, &folder);
        Ok(Self {
            folder: Arc::new(folder),
            disk: Disk::default(),
            memory: Arc::new(memory),
            rules: Arc::new(rules),
        })
    }

    /// What its pages may load and do.
    pub fn page_policy(&self) -> &PagePolicy {
        &self.rules.page_policy
    }

    /// Finds what becomes of a request.
    pub async fn find(&self, request: &Request<'_>) -> Outcome {
        if !matches!(*request.method, Method::GET | Method::HEAD) {
            return Outcome::MethodNotAllowed;
        }
        match path::resolve(request.path, request.below) {
            Ok(Wanted::File(name)) => self.find_file(&name, request).await,
            Ok(Wanted::RootWithoutSlash) => with_slash(request),
            Err(Refusal::Malformed) => Outcome::BadRequest,
            Err(Refusal::NeverServed) => Outcome::NotFound,
        }
    }

    async fn find_file(&self, name: &str, request: &Request<'_>) -> Outcome {
        match self.look(name).await {
            Ok(Opened::Folder) => with_slash(request),
            Ok(opened) => self.answer(name, opened, request),
            Err(cause) if open::is_our_trouble(&cause) => Outcome::Unavailable(cause),
            Err(cause) => {
                tracing::debug!(path = request.path, %cause, "no such file");
                self.fall_back(request).await
            }
        }
    }

    /// Answers with the file that stands in for every one that is missing, if there is one.
    async fn fall_back(&self, request: &Request<'_>) -> Outcome {
        let Some(name) = &self.rules.fallback else {
            return Outcome::NotFound;
        };
        match self.look(name).await {
            Ok(Opened::Folder) => Outcome::NotFound,
            Ok(opened) => self.answer(name, opened, request),
            Err(cause) if open::is_our_trouble(&cause) => Outcome::Unavailable(cause),
            Err(_) => Outcome::NotFound,
        }
    }

    fn answer(&self, name: &str, opened: Opened, request: &Request<'_>) -> Outcome {
        let cache_control = self.rules.cache_control(name);
        match opened {
            Opened::Small(held) => answer::from_memory(&held, cache_control, request),
            Opened::Large(file, length, validators) => {
                let large = answer::Large {
                    content_type: media_type::of(name),
                    file,
                    length,
                    validators,
                };
                answer::from_disk(large, cache_control, request, &self.disk)
            }
            Opened::Folder => with_slash(request),
        }
    }

    /// Returns what lies at a name: from memory, if that is fresh, else from the disk.
    async fn look(&self, name: &str) -> io::Result<Opened> {
        if let Some(held) = self.memory.fresh(name, Instant::now()) {
            return Ok(Opened::Small(held));
        }
        let (folder, known, wanted) = (
            Arc::clone(&self.folder),
            self.memory.known(name),
            name.to_owned(),
        );
        let looked = Instant::now();
        let opened = self
            .disk
            .run(move || open::open(&folder, &wanted, known))
            .await;
        if let Ok(Opened::Small(held)) = opened {
            return Ok(Opened::Small(self.memory.keep(name, held, looked)));
        }
        self.memory.forget(name);
        opened
    }
}

/// Redirects a folder's path to the same with a slash: `path` has refused a path that begins
/// with two slashes, which a browser would take for another host.
fn with_slash(request: &Request<'_>) -> Outcome {
    if request.path.ends_with('/') {
        return Outcome::NotFound;
    }
    let location = match request.query {
        Some(query) => format!("{}/?{query}", request.path),
        None => format!("{}/", request.path),
    };
    match HeaderValue::try_from(location) {
        Ok(location) => Outcome::Redirect { location },
        Err(_) => Outcome::BadRequest,
    }
}

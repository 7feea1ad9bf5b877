//! Static files: which outcome does a request for a path below one folder have?
//!
//! Stands beside [`crate::upstream`]: `gateway` asks [`Root::find`] for the requests of a `files`
//! route and gives the [`Outcome`] to `respond`, which alone writes. A request goes through
//! `path` (which name does it ask for? pure), `open` (what lies there?), `validators` (its `ETag`
//! and date) and `conditions` (does the client have it already? pure); `body` then hands out the
//! bytes. Whatever touches the disk runs on `disk`, away from the threads that serve connections.
//!
//! Nothing outside the folder is ever opened: names are refused by `path`, and every open is
//! resolved by the kernel beneath the folder's own handle (`openat2`, `RESOLVE_BENEATH`, through
//! cap-std). A relative link that stays inside is followed, one that leads out is not found, and
//! so is every absolute link. The handle stays on the folder that was opened at load: a deploy
//! that replaces the folder itself, and not what is in it, needs a reload.

mod body;
mod conditions;
mod disk;
mod media_type;
mod open;
mod path;
mod validators;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use http::{HeaderMap, HeaderValue, Method};

pub use self::body::Body;
pub use self::validators::Validators;

use self::conditions::Verdict;
use self::disk::Disk;
use self::open::Opened;
use self::path::{Refusal, Wanted};

/// The value of `Allow` that goes with [`Outcome::MethodNotAllowed`].
pub const ALLOW: &str = "GET, HEAD";

/// A folder that is served, opened once at load.
#[derive(Debug, Clone)]
pub struct Root {
    folder: Arc<Dir>,
    disk: Disk,
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

/// What becomes of a request for a file; each variant is one status.
#[derive(Debug)]
pub enum Outcome {
    /// 200, for GET and HEAD alike; a HEAD drops the body.
    Found(File),
    /// 304.
    NotModified(Validators),
    /// 412.
    PreconditionFailed,
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
    /// How many bytes the body has, to the byte.
    pub length: u64,
    /// `ETag` and `Last-Modified`.
    pub validators: Validators,
    /// The bytes.
    pub body: Body,
}

impl Root {
    /// Opens the folder; fails when it is missing, not a folder or not permitted.
    ///
    /// Blocks, so it is for the time of loading.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let folder = Dir::open_ambient_dir(folder, ambient_authority())?;
        Ok(Self {
            folder: Arc::new(folder),
            disk: Disk::default(),
        })
    }

    /// Finds what becomes of a request.
    pub async fn find(&self, request: &Request<'_>) -> Outcome {
        if !matches!(*request.method, Method::GET | Method::HEAD) {
            return Outcome::MethodNotAllowed;
        }
        match path::resolve(request.path, request.below) {
            Ok(Wanted::File(name)) => self.find_file(name, request).await,
            Ok(Wanted::RootWithoutSlash) => with_slash(request),
            Err(Refusal::Malformed) => Outcome::BadRequest,
            Err(Refusal::NeverServed) => Outcome::NotFound,
        }
    }

    async fn find_file(&self, name: String, request: &Request<'_>) -> Outcome {
        let content_type = media_type::of(&name);
        let folder = Arc::clone(&self.folder);
        let opened = self.disk.run(move || open::open(&folder, &name)).await;
        let (length, validators, body) = match opened {
            Ok(Opened::Small(content, validators)) => {
                (content.len() as u64, validators, Body::whole(content))
            }
            Ok(Opened::Large(file, length, validators)) => {
                let body = Body::streamed(file, length, self.disk.clone());
                (length, validators, body)
            }
            Ok(Opened::Folder) => return with_slash(request),
            Err(cause) if open::is_our_trouble(&cause) => return Outcome::Unavailable(cause),
            Err(cause) => {
                tracing::debug!(path = request.path, %cause, "no such file");
                return Outcome::NotFound;
            }
        };
        match conditions::verdict(request.headers, &validators) {
            Verdict::Send => Outcome::Found(File {
                content_type,
                length,
                validators,
                body,
            }),
            Verdict::NotModified => Outcome::NotModified(validators),
            Verdict::Failed => Outcome::PreconditionFailed,
        }
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

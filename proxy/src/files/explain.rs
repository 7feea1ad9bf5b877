//! What a GET of a path would get, for whoever asks without asking for the file.

use super::Root;
use super::open::{self, Opened};
use super::path::{self, Refusal, Wanted};

/// What a GET would get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Explained {
    /// The file of this name below the folder.
    File(String),
    /// The fallback of this name, as there is no such file.
    Fallback(String),
    /// The same path with a slash: it is a folder's.
    Redirect,
    /// 404: there is no such file.
    Missing,
    /// 404: such a name is never served.
    NeverServed,
    /// 400: the path cannot be a name.
    Malformed,
    /// 503: the disk or the process cannot serve it now.
    Unavailable,
}

impl Root {
    /// Says what becomes of a GET; `path` and `below` are those of a [`super::Request`].
    pub async fn explain(&self, path: &str, below: &str) -> Explained {
        let slash = match path.ends_with('/') {
            true => Explained::Missing,
            false => Explained::Redirect,
        };
        let name = match path::resolve(path, below) {
            Ok(Wanted::File(name)) => name,
            Ok(Wanted::RootWithoutSlash) => return slash,
            Err(Refusal::NeverServed) => return Explained::NeverServed,
            Err(Refusal::Malformed) => return Explained::Malformed,
        };
        match self.look(&name).await {
            Ok(Opened::Folder) => slash,
            Ok(_) => Explained::File(name),
            Err(cause) if open::is_our_trouble(&cause) => Explained::Unavailable,
            Err(_) => self.explain_fallback().await,
        }
    }

    async fn explain_fallback(&self) -> Explained {
        let Some(name) = &self.rules.fallback else {
            return Explained::Missing;
        };
        match self.look(name).await {
            Ok(Opened::Folder) => Explained::Missing,
            Ok(_) => Explained::Fallback(name.clone()),
            Err(cause) if open::is_our_trouble(&cause) => Explained::Unavailable,
            Err(_) => Explained::Missing,
        }
    }
}

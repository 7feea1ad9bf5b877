//! Says in a sentence why a file or a folder cannot be used.

use std::io::{self, ErrorKind};

/// The sentence; `what` is "file" or "folder".
pub(crate) fn sentence(what: &str, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => format!("there is no such {what}"),
        ErrorKind::NotADirectory => "this is not a folder".to_owned(),
        ErrorKind::IsADirectory => "this is a folder".to_owned(),
        ErrorKind::PermissionDenied => format!("this process may not read the {what}"),
        _ => format!("the {what} cannot be read: {error}"),
    }
}

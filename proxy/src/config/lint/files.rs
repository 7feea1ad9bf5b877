//! Doubts about what lies on the disk: secrets that others may read, folders with too much or nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Doubts;
use crate::access_log::Destination;
use crate::config::{Config, Target};

/// The permission of everybody to read.
const READABLE_BY_ALL: u32 = 0o004;

pub(super) fn doubts(config: &Config, doubts: &mut Doubts) {
    let key = config
        .tls
        .as_ref()
        .map(|tls| ("tls.key", tls.key.as_path()));
    let token = config.admin_token_file.as_deref();
    let token = token.map(|file| ("admin_token_file", file));
    let secrets: Vec<_> = key.into_iter().chain(token).collect();
    for (name, file) in &secrets {
        let mode = fs::metadata(file).map_or(0, |metadata| metadata.permissions().mode());
        if mode & READABLE_BY_ALL != 0 {
            let sentence = format!("everyone on this machine may read it: {}", file.display());
            doubts.add(*name, sentence);
        }
    }
    let log = match &config.access_log {
        Destination::File(file) => Some(("log.access", file.as_path())),
        Destination::Stdout | Destination::Off => None,
    };
    for (index, route) in config.routes.iter().enumerate() {
        let Target::Files { root, .. } = &route.target else {
            continue;
        };
        let key = format!("routes[{index}].files");
        if fs::read_dir(root).is_ok_and(|mut files| files.next().is_none()) {
            let sentence = format!("the folder is empty: {}", root.display());
            doubts.add(key.as_str(), sentence);
        }
        let kept = secrets.iter().chain(&log);
        for (name, file) in kept.filter(|(_, file)| lies_in(file, root)) {
            let sentence = format!("the file of `{name}` is served: {}", file.display());
            doubts.add(key.as_str(), sentence);
        }
    }
}

/// Whether a file, which may be made yet, is served from a folder: names that begin with a dot are not.
fn lies_in(file: &Path, folder: &Path) -> bool {
    let to_come = || Some(file.parent()?.canonicalize().ok()?.join(file.file_name()?));
    let file = file.canonicalize().ok().or_else(to_come);
    let (Some(file), Ok(folder)) = (file, folder.canonicalize()) else {
        return false;
    };
    let Ok(below) = file.strip_prefix(folder) else {
        return false;
    };
    let mut names = below.iter();
    names.all(|name| !name.as_encoded_bytes().starts_with(b"."))
}

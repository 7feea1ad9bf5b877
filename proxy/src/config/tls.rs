//! Makes what is set under `[tls]`, and looks whether certificate and key fit.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::{Spanned, Value};

use super::build::{Faults, refuse_overlap};
use super::raw::RawTls;
use super::setting::{Setting, expected, text};
use crate::certificate::{self, Tls};

/// The path of a file, not yet looked at.
pub(super) struct FilePath;

impl Setting for FilePath {
    type Value = PathBuf;

    fn read(value: &Value) -> Result<PathBuf, String> {
        let what = "the path of a file such as \"/run/secrets/tls.crt\"";
        match text(value, what)? {
            path if path.is_empty() || path.contains('\0') => Err(expected(what, value)),
            path => Ok(path.into()),
        }
    }
}

/// Makes the settings; paths begin beside `file`, the configuration.
pub(super) fn tls(
    raw: Option<Spanned<RawTls>>,
    others: &[SocketAddr],
    file: &Path,
    faults: &mut Faults<'_>,
) -> Option<Tls> {
    let raw = raw?;
    let table = raw.span();
    let RawTls {
        listen,
        certificate,
        key,
        redirect,
    } = raw.into_inner();
    for (given, name) in [(&certificate, "certificate"), (&key, "key")] {
        if given.is_none() {
            faults.missing(Some(&table), name, "the path of a file in PEM");
        }
    }
    let beside = file.parent().unwrap_or(Path::new(""));
    let certificate = faults.take_at(certificate);
    let key = faults.take_at(key);
    let listen = match listen {
        None => Some(SocketAddr::from(([0, 0, 0, 0], 8443))),
        Some(listen) => faults.take_at(Some(listen)).map(|(address, at)| {
            refuse_overlap(address, &at, others, faults);
            address
        }),
    };
    let mut redirects = false;
    faults.set(&mut redirects, redirect);
    let (certificate, at) = certificate?;
    let (key, key_at) = key?;
    let tls = Tls {
        listen: listen?,
        certificate: beside.join(certificate),
        key: beside.join(key),
        redirect: redirects,
    };
    for unusable in certificate::load(&tls).err().into_iter().flatten() {
        let at = [&at, &key_at][usize::from(unusable.key == "key")];
        faults.add(at, unusable.sentence);
    }
    Some(tls)
}

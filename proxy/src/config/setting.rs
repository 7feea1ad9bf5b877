//! What a single value may be: one type per kind of setting, each with the sentence that names it.
//!
//! A wrong value does not end the reading: it is kept as a sentence in its [`Given`], so that all
//! faults of a file are told at once.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};
use toml::{Spanned, Value};

use super::units;
use crate::access_log::Destination;
use crate::balance::{Key, Method, sticky};
use crate::idempotency::Idempotency;
use crate::route::{HostPattern, Prefix};
use crate::upstream::{Address, ServerName};

/// How many characters of a wrong value are repeated.
const LONGEST_QUOTE: usize = 60;

/// A value that stands in the file: where, and what it says or why it says nothing.
pub(super) struct Given<S: Setting> {
    pub(super) at: Range<usize>,
    pub(super) value: Result<S::Value, String>,
}

impl<'de, S: Setting> Deserialize<'de> for Given<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self {
            at: spanned.span(),
            value: S::read(spanned.get_ref()),
        })
    }
}

/// A kind of value.
pub(super) trait Setting {
    /// What the program makes of it.
    type Value;

    /// Reads a value of any TOML type; the error is a whole sentence.
    fn read(value: &Value) -> Result<Self::Value, String>;
}

/// A whole number between two bounds, both allowed.
pub(super) struct Whole<const MIN: u32, const MAX: u32>;

impl<const MIN: u32, const MAX: u32> Setting for Whole<MIN, MAX> {
    type Value = u32;

    fn read(value: &Value) -> Result<u32, String> {
        value
            .as_integer()
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| (MIN..=MAX).contains(number))
            .ok_or_else(|| expected(format_args!("a whole number from {MIN} to {MAX}"), value))
    }
}

/// A number from 0 to a bound, with or without a fraction.
pub(super) struct NumberUpTo<const MAX: u32>;

impl<const MAX: u32> Setting for NumberUpTo<MAX> {
    type Value = f64;

    fn read(value: &Value) -> Result<f64, String> {
        let number = match *value {
            Value::Float(number) => Some(number),
            Value::Integer(number) => i32::try_from(number).ok().map(f64::from),
            _ => None,
        };
        number
            .filter(|number| (0.0..=f64::from(MAX)).contains(number))
            .ok_or_else(|| expected(format_args!("a number from 0 to {MAX}"), value))
    }
}

/// A duration above zero.
pub(super) struct Period;

impl Setting for Period {
    type Value = Duration;

    fn read(value: &Value) -> Result<Duration, String> {
        value
            .as_str()
            .and_then(units::duration)
            .filter(|duration| !duration.is_zero())
            .ok_or_else(|| {
                let what =
                    "a duration from \"1ms\" to \"24h\" such as \"250ms\", \"10s\" or \"2m\"";
                expected(what, value)
            })
    }
}

/// A duration, or none.
pub(super) struct PeriodOrNone;

impl Setting for PeriodOrNone {
    type Value = Duration;

    fn read(value: &Value) -> Result<Duration, String> {
        value.as_str().and_then(units::duration).ok_or_else(|| {
            let what = "a duration up to \"24h\" such as \"10s\", or \"0s\" for none";
            expected(what, value)
        })
    }
}

/// A number of bytes.
pub(super) struct Size;

impl Setting for Size {
    type Value = u64;

    fn read(value: &Value) -> Result<u64, String> {
        let size = value.as_str().and_then(units::size);
        let what = "a size such as \"512 B\", \"64 KiB\", \"75 MiB\" or \"1 GiB\"";
        size.ok_or_else(|| expected(what, value))
    }
}

/// Yes or no.
pub(super) struct Flag;

impl Setting for Flag {
    type Value = bool;

    fn read(value: &Value) -> Result<bool, String> {
        let flag = value.as_bool();
        flag.ok_or_else(|| expected("true or false", value))
    }
}

/// Where the access log goes.
pub(super) struct AccessLog;

impl Setting for AccessLog {
    type Value = Destination;

    fn read(value: &Value) -> Result<Destination, String> {
        let what = "\"stdout\", \"off\" or the path of a file, with a slash, such as \
                    \"/var/log/proxy/access.log\"";
        // A mistyped word is no file.
        let is_path = |file: &str| file.contains('/') && !file.ends_with('/');
        match text(value, what)? {
            "stdout" => Ok(Destination::Stdout),
            "off" => Ok(Destination::Off),
            file if is_path(file) && !file.contains('\0') => Ok(Destination::File(file.into())),
            _ => Err(expected(what, value)),
        }
    }
}

impl Setting for Idempotency {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, String> {
        let what = "\"off\", \"honour\" or \"mint\"";
        match text(value, what)? {
            "off" => Ok(Self::Off),
            "honour" => Ok(Self::Honour),
            "mint" => Ok(Self::Mint),
            _ => Err(expected(what, value)),
        }
    }
}

/// The path and query that a health check asks for.
pub(super) struct HealthPath;

impl Setting for HealthPath {
    type Value = String;

    fn read(value: &Value) -> Result<String, String> {
        let what = "a path such as \"/healthz\", of visible ASCII characters";
        let path = text(value, what)?;
        let visible = path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if !path.starts_with('/') || !visible {
            return Err(expected(what, value));
        }
        Ok(path.to_owned())
    }
}

/// A folder, not yet looked at.
pub(super) struct Folder;

impl Setting for Folder {
    type Value = PathBuf;

    fn read(value: &Value) -> Result<PathBuf, String> {
        let what = "a folder such as \"/srv/static\"";
        match text(value, what)? {
            path if path.is_empty() || path.contains('\0') => Err(expected(what, value)),
            path => Ok(path.into()),
        }
    }
}

/// A file that holds a secret, not yet looked at.
pub(super) struct TokenFile;

impl Setting for TokenFile {
    type Value = PathBuf;

    fn read(value: &Value) -> Result<PathBuf, String> {
        let what = "a file such as \"/run/secrets/admin\"";
        match text(value, what)? {
            path if path.is_empty() || path.contains('\0') => Err(expected(what, value)),
            path => Ok(path.into()),
        }
    }
}

impl Setting for ServerName {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, String> {
        parsed(value, "a name such as \"api.internal\"")
    }
}

/// The name of an upstream; it stands in addresses of the admin listener and in the log.
pub(super) struct Name;

impl Name {
    /// Says what is wrong with a name.
    pub(super) fn check(name: &str) -> Result<(), String> {
        let is_plain = name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if name.is_empty() || name.len() > 64 || !is_plain {
            return Err(format!(
                "expected a name of 1 to 64 letters, digits, - and _, got {}",
                quoted(name)
            ));
        }
        Ok(())
    }
}

impl Setting for Name {
    type Value = String;

    fn read(value: &Value) -> Result<String, String> {
        let name = text(value, "the name of an upstream")?;
        Self::check(name).map(|()| name.to_owned())
    }
}

/// The name of a method.
pub(super) struct MethodName;

impl Setting for MethodName {
    type Value = &'static str;

    fn read(value: &Value) -> Result<&'static str, String> {
        let what = format!("one of \"{}\"", Method::NAMES.join("\", \""));
        let name = text(value, &what)?;
        let known = Method::NAMES.into_iter().find(|known| *known == name);
        known.ok_or_else(|| expected(what, value))
    }
}

/// The name of a cookie.
pub(super) struct CookieName;

impl Setting for CookieName {
    type Value = String;

    fn read(value: &Value) -> Result<String, String> {
        let what = "the name of a cookie such as \"lb\"";
        let name = text(value, what)?;
        if !sticky::is_name(name) {
            return Err(expected(what, value));
        }
        Ok(name.to_owned())
    }
}

impl Setting for Key {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, String> {
        parsed(value, Self::EXPECTED)
    }
}

impl Setting for SocketAddr {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, String> {
        let what = "an IP address and a port such as \"0.0.0.0:8080\" or \"[::]:8080\"";
        let address = text(value, what)?.parse();
        address.map_err(|_| expected(what, value))
    }
}

impl Setting for IpNet {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, String> {
        let what = "an address or a range such as \"10.0.0.0/8\" or \"fd00::/8\"";
        let text = text(value, what)?;
        let range = text.parse();
        range
            .or_else(|_| text.parse().map(|address: IpAddr| address.into()))
            .map_err(|_| expected(what, value))
    }
}

impl Setting for Address {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, String> {
        parsed(value, "host:port, unix:/path.sock or unix:/folder/*.sock")
    }
}

impl Setting for HostPattern {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, String> {
        parsed(value, "a host such as \"example.com\" or \"*.example.com\"")
    }
}

impl Setting for Prefix {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, String> {
        parsed(value, "a path such as \"/api\"")
    }
}

/// Says what was expected and what was there, on one line.
pub(super) fn expected(what: impl Display, value: &Value) -> String {
    let got = match value {
        Value::String(text) => quoted(text),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Datetime(time) => time.to_string(),
        Value::Array(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    };
    format!("expected {what}, got {got}")
}

/// Returns the text of a value that must be one.
pub(super) fn text<'v>(value: &'v Value, what: &str) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| expected(what, value))
}

fn parsed<T: FromStr<Err = String>>(value: &Value, what: &str) -> Result<T, String> {
    text(value, what)?.parse()
}

/// Repeats a text on one line, and not all of it when it is long.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{:?} and more", &text[..end]),
        None => format!("{text:?}"),
    }
}

//! Values of keys whose feature is not built yet: only what asks for nothing is taken.
//!
//! Refusing is better than ignoring: nobody should believe that a limit holds which does not.

use toml::Value;

use super::setting::{Setting, expected, text};

const NOT_SUPPORTED: &str = "not supported by this version";

/// A setting of which no value is supported.
pub(super) struct NotBuilt;

impl Setting for NotBuilt {
    type Value = ();

    fn read(_: &Value) -> Result<(), String> {
        Err(NOT_SUPPORTED.to_owned())
    }
}

/// `false`.
pub(super) struct Off;

impl Setting for Off {
    type Value = ();

    fn read(value: &Value) -> Result<(), String> {
        match value.as_bool() {
            Some(false) => Ok(()),
            Some(true) => Err(format!("true is {NOT_SUPPORTED}")),
            None => Err(expected("true or false", value)),
        }
    }
}

/// `0`, which means no limit.
pub(super) struct Zero;

impl Setting for Zero {
    type Value = ();

    fn read(value: &Value) -> Result<(), String> {
        match value.as_integer() {
            Some(0) => Ok(()),
            Some(limit) if limit > 0 => Err(format!("a limit is {NOT_SUPPORTED}; expected 0")),
            _ => Err(expected("a whole number, 0 for no limit", value)),
        }
    }
}

/// What a route does about idempotency keys: nothing.
pub(super) struct OffMode;

impl Setting for OffMode {
    type Value = ();

    fn read(value: &Value) -> Result<(), String> {
        named(value, &["off"], &["honour", "mint"])
    }
}

/// Takes one of the `built` names; one that comes `later` is told from one that nobody knows.
fn named(value: &Value, built: &[&str], later: &[&str]) -> Result<(), String> {
    let what = format!("\"{}\"", built.join("\" or \""));
    match text(value, &what)? {
        name if built.contains(&name) => Ok(()),
        name if later.contains(&name) => {
            Err(format!("{name:?} is {NOT_SUPPORTED}; expected {what}"))
        }
        _ => Err(expected(what, value)),
    }
}

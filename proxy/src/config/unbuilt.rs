//! Values of keys whose feature is not built yet: only what asks for nothing is taken.
//!
//! Refusing is better than ignoring: nobody should believe that a limit holds which does not.

use toml::Value;

use super::setting::{Setting, expected};

const NOT_SUPPORTED: &str = "not supported by this version";

/// A setting of which no value is supported.
pub(super) struct NotBuilt;

impl Setting for NotBuilt {
    type Value = ();

    fn read(_: &Value) -> Result<(), String> {
        Err(NOT_SUPPORTED.to_owned())
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

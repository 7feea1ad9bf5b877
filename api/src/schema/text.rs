//! Schemas that types alone do not say.

use serde_json::json;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

/// At least one character that is not white space (as the API trims it), and no NUL.
const NOT_BLANK: &str = "^[^\\u0000]*[^\\u0000\\u0009-\\u000d\\u001c-\\u0020\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000][^\\u0000]*$";

/// A text that a client writes: trimmed, not blank; a number is taken as text.
pub fn written() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Number]))
        .description(Some(
            "Trimmed; not blank. A number is taken as its text. A whole body has at most 2.5 MiB.",
        ))
        .pattern(Some(NOT_BLANK))
        .examples([json!("Blue Train")])
        .build()
}

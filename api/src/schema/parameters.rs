//! The parameters of requests, for `components.parameters`: path, query and headers.

use serde_json::{Value, json};

use super::headers::title;
use crate::music::described::{LONGEST_SEARCH, MOST_ROWS, MOST_WORDS, ROWS_BY_CURSOR};
use crate::terms::{IDEMPOTENCY_KEY, REQUEST_DEADLINE};

/// Describes every parameter that is referred to, by its name in the components.
pub(super) fn components() -> Value {
    json!({
        "id": {
            "name": "id", "in": "path", "required": true, "example": 1,
            "description": "The number of a music.",
            "schema": { "type": "integer", "format": "int64", "minimum": 1 },
        },
        "file": {
            "name": "file", "in": "path", "required": true, "example": "swagger-ui.css",
            "description": "A file of Swagger UI.",
            "schema": { "type": "string" },
        },
        "format": query(
            "format",
            "The format of the answer, whatever `Accept` says: `json`, or `api` for a page; empty is none. Another one is not found (404).",
            &json!({ "type": "string", "enum": ["json", "api", ""] }),
            None,
        ),
        "limit": query(
            "limit",
            &format!("Rows of a page, at most {MOST_ROWS}. With it the answer is a page in an envelope. What is no number above 0 is ignored."),
            &json!({ "type": "integer", "minimum": 1 }),
            Some(json!(10)),
        ),
        "offset": query(
            "offset",
            "Rows before the page. Counts only together with `limit`.",
            &json!({ "type": "integer", "minimum": 0 }),
            Some(json!(20)),
        ),
        "cursor": query(
            "cursor",
            &format!("A place in the list, from `next` or `previous` of a page; empty for the first page. Pages have `limit` rows, or {ROWS_BY_CURSOR}. Goes before `offset`. One that was not given out is not found (404)."),
            &json!({ "type": "string" }),
            Some(json!("")),
        ),
        "search": query(
            "search",
            &format!("Words, each of which must be part of the song or of the singer, in capitals or not; in quotes, several are one. At most {MOST_WORDS} words."),
            &json!({ "type": "string", "maxLength": LONGEST_SEARCH, "pattern": "^[^\\u0000]*$" }),
            Some(json!("blue train")),
        ),
        "ordering": query(
            "ordering",
            "Fields to order by, with commas between them, `-` for descending. Unknown ones are ignored.",
            &json!({ "type": "string" }),
            Some(json!("singer,-created")),
        ),
        "singer": query(
            "singer",
            "Only music of this singer, written just so.",
            &json!({ "type": "string", "pattern": "^[^\\u0000]*$" }),
            Some(json!("John Coltrane")),
        ),
        "next": query("next", "A path on this host to go to afterwards.", &json!({ "type": "string" }), Some(json!("/api/music/"))),
        "idempotency_key": header(
            &title(&IDEMPOTENCY_KEY),
            "A key of your own, under which the write is applied at most once: a repeat within a day gets the first answer.",
            &json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" }),
            &json!("9b2d5c1e-order-17"),
        ),
        "request_deadline": header(
            &title(&REQUEST_DEADLINE),
            "The moment after which the write must not begin, as a Unix time in milliseconds. When it has passed: 503, and nothing is written.",
            &json!({ "type": "integer", "minimum": 0 }),
            &json!(4_102_444_800_000_u64),
        ),
        "if_changed": header(
            "If-None-Match",
            "Only if the music is in none of these states, named by their `ETag`; else 304.",
            &json!({ "type": "string" }),
            &json!("\"731-1577934245123000-0\""),
        ),
        "if_match": header(
            "If-Match",
            "Only if the music is in one of these states, named by their `ETag`; else 412.",
            &json!({ "type": "string", "pattern": "[^ \\t,]" }),
            &json!("\"731-1577934245123000-0\""),
        ),
        "if_none_match": header(
            "If-None-Match",
            "Only if it is in none of these states; else 412.",
            &json!({ "type": "string", "pattern": "[^ \\t,]" }),
            &json!("\"731-1577934245123000-0\""),
        ),
    })
}

fn query(name: &str, description: &str, schema: &Value, example: Option<Value>) -> Value {
    let mut parameter =
        json!({ "name": name, "in": "query", "description": description, "schema": schema });
    if let Some(example) = example {
        parameter["example"] = example;
    }
    parameter
}

fn header(name: &str, description: &str, schema: &Value, example: &Value) -> Value {
    json!({ "name": name, "in": "header", "description": description, "schema": schema, "example": example })
}

/// Refers to a parameter by its name in the components.
pub(super) fn refer(name: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{name}") })
}

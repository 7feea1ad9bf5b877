//! The headers of answers, for `components.headers`, and which answers carry them.

use http::StatusCode;
use http::header::{
    ALLOW, CACHE_CONTROL, ETAG, HeaderName, LOCATION, RETRY_AFTER, SET_COOKIE, VARY,
};
use serde_json::{Map, Value, json};

use crate::error::LB_CAUSE;
use crate::stamp::{INSTANCE, LB_DRAIN, REQUEST_ID};
use crate::terms::{IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED};

/// What stands on every answer, whoever made it.
pub(super) static ON_ALL: [HeaderName; 3] = [INSTANCE, REQUEST_ID, LB_DRAIN];
/// What stands on every answer of an address of the API.
pub(super) static OF_ENDPOINTS: [HeaderName; 3] = [ALLOW, VARY, SET_COOKIE];

/// Describes every header that is referred to.
pub(super) fn components() -> Value {
    let text = |example: &str| json!({ "type": "string", "examples": [example] });
    let always = |name: HeaderName, text: &str, schema: Value| {
        (
            name,
            json!({ "description": text, "required": true, "schema": schema }),
        )
    };
    let maybe = |name: HeaderName, text: &str, schema: Value| {
        (name, json!({ "description": text, "schema": schema }))
    };
    let seconds = json!({ "type": "integer", "minimum": 0, "examples": [1] });
    let all = [
        always(INSTANCE, "The instance that answered.", text("api_1")),
        always(
            REQUEST_ID,
            "The request's id, as in the logs: the one that was sent if it is 1 to 64 letters, digits, `.`, `_`, `-`.",
            text("6f1c2a90d3b45e78"),
        ),
        maybe(
            LB_DRAIN,
            "`1` while the instance is stopping.",
            json!({ "const": "1" }),
        ),
        maybe(
            LB_CAUSE,
            "What all instances share and is away, so that another instance would not do better.",
            json!({ "const": "database" }),
        ),
        maybe(RETRY_AFTER, "After how many seconds to try again.", seconds),
        maybe(
            ETAG,
            "Names this state of what is shown.",
            text("\"731-1577934245123000-0\""),
        ),
        maybe(
            ALLOW,
            "The methods that this address knows.",
            text("GET, POST, HEAD, OPTIONS"),
        ),
        maybe(
            VARY,
            "The headers of the request that count.",
            text("Accept, Cookie"),
        ),
        maybe(
            SET_COOKIE,
            "A session that begins, or that there is not any more.",
            text("sessionid=…; HttpOnly; Path=/; SameSite=Lax"),
        ),
        maybe(LOCATION, "Where to go on.", text("/api/")),
        maybe(CACHE_CONTROL, "Whether it may be kept.", text("no-cache")),
        maybe(
            IDEMPOTENCY_KEY,
            "The key to repeat the request with, to learn what became of it.",
            text("9b2d5c1e-order-17"),
        ),
        maybe(
            IDEMPOTENCY_REPLAYED,
            "`true` if an earlier request with the same `Idempotency-Key` was applied, and this is its answer again.",
            json!({ "const": "true" }),
        ),
    ];
    Value::Object(
        all.into_iter()
            .map(|(name, header)| (title(&name), header))
            .collect(),
    )
}

/// Refers to these headers.
pub(super) fn refer<'a>(names: impl IntoIterator<Item = &'a HeaderName>) -> Map<String, Value> {
    let refer = |name: &HeaderName| {
        let name = title(name);
        let reference = format!("#/components/headers/{name}");
        (name, json!({ "$ref": reference }))
    };
    names.into_iter().map(refer).collect()
}

/// Returns what an answer with this status carries beyond [`ON_ALL`] and [`OF_ENDPOINTS`], if it is none of [`super::refusals`].
pub(super) fn of_success(operation: &str, status: &str) -> Vec<HeaderName> {
    let is = |code: StatusCode| status == code.as_str();
    match operation {
        "read_music" | "schema" => vec![ETAG],
        "create_music" | "change_music" => vec![ETAG, IDEMPOTENCY_REPLAYED],
        "replace_music" | "delete_music" => vec![IDEMPOTENCY_REPLAYED],
        "docs" | "docs_file" => vec![ETAG, CACHE_CONTROL],
        "log_in" | "log_out" if is(StatusCode::FOUND) => vec![LOCATION, SET_COOKIE, CACHE_CONTROL],
        "login_form" | "log_in" => vec![SET_COOKIE, CACHE_CONTROL],
        _ => Vec::new(),
    }
}

/// Writes a name as people do: `X-Request-Id`.
pub(super) fn title(name: &HeaderName) -> String {
    let parts = name.as_str().split('-').map(|part| match part {
        "lb" => "LB".to_owned(),
        "etag" => "ETag".to_owned(),
        _ => part[..1].to_ascii_uppercase() + &part[1..],
    });
    parts.collect::<Vec<_>>().join("-")
}

//! Every operation: what its handler says of it, and beside that its parameters and what can go wrong.

use serde_json::Value;
use utoipa::OpenApi;

use super::{SCHEMA, docs};
use crate::auth::login;
use crate::endpoint::Endpoint;
use crate::health;
use crate::music::described::Described;
use crate::music::{DETAIL, ITEM, LIST, SINGERS};
use crate::root::{self, ROOT};

/// All handlers.
#[derive(OpenApi)]
#[openapi(paths(
    root::show,
    super::show,
    docs::show,
    docs::asset,
    docs::options,
    docs::asset_options,
    login::show,
    login::log_in,
    login::log_out,
    login::log_in_only,
    login::log_out_only,
    health::healthz,
    health::readyz
))]
struct Handlers;

/// Returns what is fixed about an address of the API; `None` for one that negotiates no format and asks for no
/// credentials.
pub(super) fn endpoint(path: &str) -> Option<&'static Endpoint> {
    match path {
        "/api/" => Some(&ROOT),
        "/api/music/" => Some(&LIST),
        "/api/music/all_singer/" => Some(&SINGERS),
        "/api/music/{id}/" => Some(&ITEM),
        "/api/music/{id}/detail/" => Some(&DETAIL),
        "/api/schema/" => Some(&SCHEMA),
        _ => None,
    }
}

/// What is known of an operation beside what stands at its handler.
#[derive(Debug)]
pub(super) struct Facts {
    /// Names in [`super::parameters`].
    pub(super) parameters: &'static [&'static str],
    /// Names in [`super::refusals`].
    pub(super) refusals: &'static [&'static str],
}

const WRITE: &[&str] = &[
    "format",
    "idempotency_key",
    "request_deadline",
    "if_match",
    "if_none_match",
];
const REFUSED_WRITE: &[&str] = &[
    "BadWrite",
    "Forbidden",
    "NoMusic",
    "NotAcceptable",
    "TooSlow",
    "StillRunning",
    "PreconditionFailed",
    "TooLarge",
    "UnsupportedMediaType",
    "OtherRequest",
    "TooManyTries",
    "ServerError",
    "WriteUnavailable",
];
const REFUSED_FORM: &[&str] = &[
    "BadForm",
    "ForeignForm",
    "TooSlow",
    "TooLarge",
    "UnsupportedMediaType",
    "ServerError",
    "Unavailable",
];

const REFUSED_LOGIN: &[&str] = &[
    "BadForm",
    "ForeignForm",
    "TooSlow",
    "TooLarge",
    "UnsupportedMediaType",
    "TooManyTries",
    "ServerError",
    "Unavailable",
];

impl Facts {
    /// Returns what is known of the operation with this id; of one that is made up, such as OPTIONS, what holds of all.
    pub(super) fn of(operation: &str) -> Self {
        let (parameters, refusals): (&[&str], &[&str]) = match operation {
            "list_music" => (
                &[
                    "limit", "offset", "cursor", "search", "ordering", "singer", "format",
                ],
                &[
                    "BadQuery",
                    "Forbidden",
                    "NoCursor",
                    "NotAcceptable",
                    "TooManyTries",
                    "ServerError",
                    "ListUnavailable",
                ],
            ),
            "create_music" => (
                &["format", "idempotency_key", "request_deadline"],
                &[
                    "BadWrite",
                    "Forbidden",
                    "NoFormat",
                    "NotAcceptable",
                    "TooSlow",
                    "StillRunning",
                    "TooLarge",
                    "UnsupportedMediaType",
                    "OtherRequest",
                    "TooManyTries",
                    "ServerError",
                    "WriteUnavailable",
                ],
            ),
            "read_music" => (
                &["format", "if_changed"],
                &[
                    "BadHost",
                    "Forbidden",
                    "NoMusic",
                    "NotAcceptable",
                    "TooManyTries",
                    "ServerError",
                    "Unavailable",
                ],
            ),
            "replace_music" | "change_music" => (WRITE, REFUSED_WRITE),
            "delete_music" => (
                WRITE,
                &[
                    "BadTerms",
                    "Forbidden",
                    "NoMusic",
                    "NotAcceptable",
                    "StillRunning",
                    "PreconditionFailed",
                    "OtherRequest",
                    "TooManyTries",
                    "ServerError",
                    "WriteUnavailable",
                ],
            ),
            "music_detail" => (
                &["format"],
                &[
                    "BadHost",
                    "Forbidden",
                    "NoMusic",
                    "NotAcceptable",
                    "TooManyTries",
                    "ServerError",
                    "Unavailable",
                ],
            ),
            "docs" | "docs_options" => (&[], &["ServerError"]),
            "docs_file" | "docs_file_options" => (&[], &["NoFile", "ServerError"]),
            "login_form" => (&["next"], &["ServerError"]),
            "log_in" => (&["next"], REFUSED_LOGIN),
            "log_out" => (&["next"], REFUSED_FORM),
            "log_in_options" | "log_out_options" | "healthz" => (&[], &["ServerError"]),
            "readyz" => (&[], &["ServerError", "Unavailable"]),
            _ => (
                &["format"],
                &[
                    "BadHost",
                    "Forbidden",
                    "NoFormat",
                    "NotAcceptable",
                    "TooManyTries",
                    "ServerError",
                    "Unavailable",
                ],
            ),
        };
        Self {
            parameters,
            refusals,
        }
    }
}

/// Returns what the handlers say of themselves.
pub(super) fn described() -> Value {
    let mut all = Described::openapi();
    all.merge(Handlers::openapi());
    serde_json::to_value(all).unwrap_or_default()
}

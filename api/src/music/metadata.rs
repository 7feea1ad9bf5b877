//! The addresses of music, and how the original describes them to OPTIONS.

use serde_json::{Value, json};

use crate::endpoint::Endpoint;

const JSON: &[&str] = &["application/json"];
const READ_ONLY: &str = "GET, HEAD, OPTIONS";

/// `/api/music/`.
pub static LIST: Endpoint = Endpoint {
    name: "Music List",
    description: "",
    parses: JSON,
    allow: "GET, POST, HEAD, OPTIONS",
    guarded: true,
};

/// `/api/music/{id}/`.
pub static ITEM: Endpoint = Endpoint {
    name: "Music Instance",
    description: "",
    parses: JSON,
    allow: "GET, PUT, PATCH, DELETE, HEAD, OPTIONS",
    guarded: true,
};

/// `/api/music/all_singer/`.
pub static SINGERS: Endpoint = Endpoint {
    name: "All singer",
    description: "",
    parses: JSON,
    allow: READ_ONLY,
    guarded: true,
};

/// `/api/music/{id}/detail/`.
pub static DETAIL: Endpoint = Endpoint {
    name: "Detail",
    description: "",
    parses: JSON,
    allow: READ_ONLY,
    guarded: true,
};

/// Describes the fields of a music, for those who may write one.
pub(super) fn fields() -> Value {
    let field = |kind: &str, label: &str, writable: bool| json!({ "type": kind, "required": writable, "read_only": !writable, "label": label });
    json!({
        "id": field("integer", "ID", false),
        "song": field("string", "Song", true),
        "singer": field("string", "Singer", true),
        "last_modify_date": field("datetime", "Last modify date", false),
        "created": field("datetime", "Created", false),
        "days_since_created": field("field", "Days since created", false),
    })
}

//! Puts together what the handlers say with what holds of all: headers, refusals, HEAD, OPTIONS, credentials.

use http::Method;
use serde_json::{Map, Value, json};

use super::operations::{self, Facts};
use super::{headers, parameters, refusals};
use crate::auth::session;
use crate::endpoint::Endpoint;
use crate::permission::Permission;

/// Completes what the handlers say, for an API with this permission.
pub(super) fn complete(mut document: Value, permission: Permission) -> Value {
    document["openapi"] = json!("3.1.0");
    document["info"] = info();
    document["servers"] =
        json!([{ "url": "/", "description": "The host that this document is from." }]);
    document["tags"] = json!([
        { "name": "music", "description": "Songs and who sings them." },
        { "name": "service", "description": "What there is, this document, and whether the service is well." },
        { "name": "session", "description": "How a browser begins and ends a session, by plain forms." },
    ]);
    let responses = refusals::components();
    for (path, item) in members(&mut document["paths"]) {
        let endpoint = operations::endpoint(path);
        if let Some(endpoint) = endpoint {
            item["options"] = options(endpoint, &item["get"]);
        }
        for (method, operation) in members(item) {
            let place = Place {
                path,
                endpoint,
                method,
                permission,
            };
            place.complete(operation, &responses);
        }
        if item.get("get").is_some() {
            item["head"] = head(&item["get"], &responses);
        }
    }
    let components = &mut document["components"];
    components["headers"] = headers::components();
    components["parameters"] = parameters::components();
    components["responses"] = without_status(responses);
    components["securitySchemes"] = security_schemes();
    complete_schemas(&mut components["schemas"]);
    document
}

fn info() -> Value {
    json!({
        "title": "Music API",
        "version": env!("CARGO_PKG_VERSION"),
        "license": { "name": "MIT", "identifier": "MIT" },
        "description": "Music behind a load balancer: every answer names the instance that made it in `X-Instance`.\n\n\
            Addresses end in a slash; without it one is redirected (301, or 308 where the method must stay). Fields that are \
            not known are ignored, in a body as in a query. A method that an address does not know is answered with 405 and `Allow`.\n\n\
            A write under an `Idempotency-Key` is applied at most once, however often it is repeated. After a 503 with \
            `\"outcome\": \"unknown\"` repeat it with the same key to learn what became of it.",
    })
}

/// Where an operation stands.
struct Place<'a> {
    path: &'a str,
    endpoint: Option<&'static Endpoint>,
    method: &'a str,
    permission: Permission,
}

impl Place<'_> {
    fn complete(&self, operation: &mut Value, refused: &Value) {
        let id = operation["operationId"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let facts = Facts::of(&id);
        for (status, response) in members(&mut operation["responses"]) {
            let own = headers::of_success(&id, status);
            let shared = self.endpoint.iter().flat_map(|_| &headers::OF_ENDPOINTS);
            let all = headers::ON_ALL.iter().chain(shared).chain(&own);
            response["headers"] = Value::Object(headers::refer(all));
            let is_json = response["content"].get("application/json").is_some();
            if self.endpoint.is_some() && is_json {
                response["content"]["text/html"] = json!({ "schema": { "type": "string" } });
            }
        }
        for name in facts.refusals {
            let status = refusals::status(refused, name);
            operation["responses"][status.as_str()] = refusals::refer(name);
        }
        let in_path = self
            .path
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split('}').next());
        let all = in_path.chain(facts.parameters.iter().copied());
        operation["parameters"] = Value::Array(all.map(parameters::refer).collect());
        if id == "create_music" {
            operation["responses"]["201"]["links"] = links();
        }
        operation["security"] = self.security();
    }

    /// Any of these, and none at all where that is enough.
    fn security(&self) -> Value {
        let Some(endpoint) = self.endpoint else {
            return json!([]);
        };
        let method = self.method.to_ascii_uppercase();
        let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
        let needed = endpoint.guarded && !self.permission.allows(&method, false);
        let mut all = if needed { Vec::new() } else { vec![json!({})] };
        all.extend(["token", "basic", "session"].map(|scheme| json!({ scheme: [] })));
        Value::Array(all)
    }
}

/// What can be done with a music that was just made.
fn links() -> Value {
    let operations = [
        "read_music",
        "replace_music",
        "change_music",
        "delete_music",
        "music_detail",
    ];
    let link = |id: &str| {
        let link = json!({ "operationId": id, "parameters": { "path.id": "$response.body#/id" } });
        (id.to_owned(), link)
    };
    Value::Object(operations.into_iter().map(link).collect())
}

/// OPTIONS at an address, named after its GET.
fn options(endpoint: &Endpoint, get: &Value) -> Value {
    let example = Value::Object(endpoint.describe());
    let content =
        json!({ "schema": { "$ref": "#/components/schemas/Description" }, "example": example });
    json!({
        "tags": get["tags"],
        "summary": "Describe this address",
        "operationId": format!("describe_{}", get["operationId"].as_str().unwrap_or_default()),
        "responses": { "200": { "description": "What is known of it.", "content": { "application/json": content } } },
    })
}

/// HEAD is GET without the body, whatever comes of it.
fn head(get: &Value, refused: &Value) -> Value {
    let mut head = get.clone();
    head["operationId"] = json!(format!(
        "{}_head",
        get["operationId"].as_str().unwrap_or_default()
    ));
    head["summary"] = json!("The same without the body");
    for (_, response) in members(&mut head["responses"]) {
        if let Some(reference) = response["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap_or_default();
            *response = json!({
                "description": refused[name]["description"],
                "headers": refused[name]["headers"],
            });
        }
        if let Some(response) = response.as_object_mut() {
            response.shift_remove("content");
        }
    }
    head
}

fn without_status(mut responses: Value) -> Value {
    for (_, response) in members(&mut responses) {
        if let Some(response) = response.as_object_mut() {
            response.shift_remove("x-status");
        }
    }
    responses
}

fn security_schemes() -> Value {
    json!({
        "token": {
            "type": "apiKey", "in": "header", "name": "Authorization",
            "description": "`Token ` and a token, as `api token USER` prints it.",
        },
        "basic": { "type": "http", "scheme": "basic", "description": "Name and password of an account." },
        "session": {
            "type": "apiKey", "in": "cookie", "name": session::COOKIE_NAME,
            "description": "The cookie that the login sets. Writes with it must come from this site: by `Sec-Fetch-Site` or \
                `Origin`, or with the cookie `csrftoken` also in `X-CSRFToken`.",
        },
    })
}

/// The schemas that no type of the code stands for.
fn complete_schemas(schemas: &mut Value) {
    // A page by number has all that a page by cursor has.
    if let Some(list) = schemas["MusicList"].as_object_mut()
        && let Some(kinds) = list.shift_remove("oneOf")
    {
        list.insert("anyOf".into(), kinds);
    }
    let messages = json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
    schemas["Problem"] = json!({
        "description": "What is wrong: of the request, or of each field (`non_field_errors` for all of the body).",
        "anyOf": [
            {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "detail": { "type": "string" },
                    "outcome": { "const": "unknown", "description": "Whether something was written is not known." },
                },
            },
            { "type": "object", "minProperties": 1, "additionalProperties": messages },
        ],
    });
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    schemas["Description"] = json!({
        "type": "object",
        "description": "An address and, for those who may write, the fields of what can be written.",
        "required": ["name", "description", "renders", "parses"],
        "properties": {
            "name": { "type": "string" },
            "description": { "type": "string" },
            "renders": texts,
            "parses": texts,
            "actions": { "type": "object", "description": "For each method that writes, its fields." },
        },
    });
}

/// Returns the members of an object; none of what is no object.
fn members(value: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    value
        .as_object_mut()
        .map(Map::iter_mut)
        .into_iter()
        .flatten()
}

//! A failure as a page, for browsers, wherever no address has chosen a format itself: no such address, a method
//! that an address does not know, a form that is too large, a panic.

use askama::Template;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;

use super::{Frame, Visitor};
use crate::json;
use crate::negotiate::{self, Format};
use crate::router::App;

/// More than any failure has to say.
const LONGEST: usize = 64 * 1024;

/// Marks an answer whose format was chosen by the address that gave it.
#[derive(Clone, Copy, Debug)]
pub struct Negotiated;

#[derive(Template)]
#[template(path = "error.html")]
struct FailurePage {
    frame: Frame,
    status: StatusCode,
    problems: Vec<String>,
    signing_in_may_help: bool,
}

/// Makes a page of a failure in JSON, if a browser is to read it. `answer` is what is further in.
pub async fn for_browsers<Answering: Future<Output = Response>>(
    app: &App,
    request: Request,
    answer: impl FnOnce(Request) -> Answering,
) -> Response {
    let is_for_machines = matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics");
    if !is_for_a_browser(request.headers()) || is_for_machines {
        return answer(request).await;
    }
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let here = here(&request).to_owned();
    let response = answer(request).await;
    if !is_bare(&response) {
        return response;
    }
    let status = response.status();
    let (head, body) = response.into_parts();
    let page = FailurePage {
        frame: Frame::new(app, &headers, &here, &status.to_string(), Visitor::Unknown),
        status,
        problems: sentences_of(body).await,
        signing_in_may_help: status == StatusCode::FORBIDDEN,
    };
    super::instead(head, &method, &page)
}

/// Returns where to come back to after logging in: here, or to where the form is that was sent here.
fn here(request: &Request) -> &str {
    let uri = request.uri();
    match *request.method() {
        Method::GET => uri.path_and_query().map_or("", |here| here.as_str()),
        _ => uri.path(),
    }
}

/// Tells whether who asks reads pages rather than JSON.
pub(crate) fn is_for_a_browser(headers: &HeaderMap) -> bool {
    let accept = negotiate::accept(headers).unwrap_or_default();
    negotiate::choose(None, &accept) == Ok(Format::Html)
}

/// Tells whether an answer is a failure of which nobody has made a page, nor chosen that it is none.
pub(crate) fn is_bare(response: &Response) -> bool {
    let status = response.status();
    let is_failure = status.is_client_error() || status.is_server_error();
    let is_json = response.headers().get(CONTENT_TYPE) == Some(&json::CONTENT_TYPE);
    is_failure && is_json && response.extensions().get::<Negotiated>().is_none()
}

/// Returns the sentences of such an answer.
pub(crate) async fn sentences_of(body: Body) -> Vec<String> {
    let said = Limited::new(body, LONGEST).collect().await;
    let said = said.map(|body| body.to_bytes()).unwrap_or_default();
    sentences(&serde_json::from_slice(&said).unwrap_or_default())
}

/// Answers with a page that only says why nothing was done.
pub fn refusal(frame: Frame, status: StatusCode, problem: String) -> Response {
    let page = FailurePage {
        frame,
        status,
        problems: vec![problem],
        signing_in_may_help: true,
    };
    super::answer(status, &page)
}

/// Returns the sentences of an error's body: of `detail`, and of lists of messages.
fn sentences(said: &Value) -> Vec<String> {
    match said {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(sentences).collect(),
        Value::Object(map) => map
            .iter()
            .filter(|(name, _)| *name != "outcome")
            .flat_map(|(_, value)| sentences(value))
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_failure_is_said_in_sentences() {
        for (said, expected) in [
            (json!({ "detail": "Not found." }), vec!["Not found."]),
            (
                json!({ "song": ["a", "b"], "singer": ["c"] }),
                vec!["a", "b", "c"],
            ),
            (json!({ "detail": "d", "outcome": "unknown" }), vec!["d"]),
            (Value::Null, vec![]),
        ] {
            assert_eq!(sentences(&said), expected, "{said}");
        }
    }
}

//! The forms of the pages: a form becomes the request of the API that it stands for, before it is routed.
//!
//! Only a page's form is taken for one: sent with POST and as a form, by a client that takes HTML, from this site,
//! and with a field `_method`. Clients of the API go on sending JSON; a form of theirs is 415, as recorded.
//!
//! - `_method`: POST, PUT, PATCH, DELETE or OPTIONS
//! - `_content` and `_content_type`: the body as it is; without them the other fields become an object of JSON
//! - `_key`: together with what is sent, the `Idempotency-Key`, so that a form that is sent twice is applied once

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method};
use serde_json::{Map, Value};

use crate::auth::{csrf, secret};
use crate::endpoint;
use crate::error::Error;
use crate::json;
use crate::negotiate::Format;
use crate::origin;
use crate::router::App;
use crate::sent::Sent;
use crate::server::Peer;
use crate::terms::IDEMPOTENCY_KEY;

const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrftoken");
/// What the keys begin with that a proxy makes; a form's own key is better, for it knows the form again.
const MINTED: &[u8] = b"lb-";

/// What a form held, to be shown again if it was refused.
#[derive(Clone, Debug)]
pub(super) struct Submitted {
    pub(super) content: Content,
    pub(super) key: Option<String>,
}

/// The body that a form stands for.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// None.
    Nothing,
    /// One field for each field of the resource.
    Fields(Arc<Map<String, Value>>),
    /// The body as it is to be sent, and of which type it is said to be.
    Raw { text: Arc<str>, kind: String },
}

/// Makes the request of a page's form into what it stands for; all others go on as they are.
pub async fn translate(app: &App, request: Request, next: Next) -> Response {
    if !may_be_form(&request) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let sent = Request::from_parts(parts.clone(), body);
    let sent = match Sent::from_request(sent, &()).await {
        Ok(sent) => sent,
        Err(error) => return error.into_response(),
    };
    let fields = sent.form().await.unwrap_or_default();
    match Form::read(fields) {
        None => {
            let body = Body::from(sent.bytes().to_vec());
            next.run(Request::from_parts(parts, body)).await
        }
        Some(form) => match form.into_request(app, parts) {
            Ok(request) => next.run(request).await,
            Err(error) => error.into_response(),
        },
    }
}

fn may_be_form(request: &Request) -> bool {
    let kind = request.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    request.method() == Method::POST
        && request.uri().path().starts_with("/api/")
        && kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        && matches!(endpoint::format(request), Ok(Format::Html))
}

/// The fields of a form that mean something here, and those of the resource.
struct Form {
    method: Method,
    content: Content,
    key: Option<String>,
    csrf: Option<String>,
}

impl Form {
    /// Reads the fields; `None`: this is no form of a page.
    fn read(fields: Vec<(String, String)>) -> Option<Self> {
        let (mut method, mut text, mut kind, mut key, mut csrf) = (None, None, None, None, None);
        let mut object = Map::new();
        for (name, value) in fields {
            match name.as_str() {
                "_method" => method = Some(value),
                "_content" => text = Some(value),
                "_content_type" => kind = Some(value),
                "_key" => key = Some(value),
                csrf::FIELD => csrf = Some(value),
                // A form ends its lines with two characters, whatever they were.
                _ => drop(object.insert(name, value.replace("\r\n", "\n").into())),
            }
        }
        let method = match method?.as_str() {
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            "OPTIONS" => Method::OPTIONS,
            _ => return None,
        };
        let content = match (&method, text) {
            (&Method::DELETE | &Method::OPTIONS, _) => Content::Nothing,
            (_, Some(text)) => Content::Raw {
                text: text.into(),
                kind: kind.unwrap_or_default(),
            },
            (_, None) => Content::Fields(Arc::new(object)),
        };
        let is_key = |key: &String| {
            (1..=64).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        Some(Self {
            method,
            content,
            key: key.filter(is_key),
            csrf,
        })
    }

    fn into_request(self, app: &App, mut parts: Parts) -> Result<Request, Error> {
        let peer = parts.extensions.get::<Peer>().copied().unwrap_or_default();
        let own = origin::origin(&parts.headers, peer, &app.access().trusted_proxies);
        // Other sites can send forms, too, and where anyone may write no session is looked at later.
        let token = self.csrf.as_deref();
        csrf::check(&Method::POST, &parts.headers, own.as_deref(), token).map_err(Error::Csrf)?;
        let (body, kind) = match &self.content {
            Content::Nothing => (Vec::new(), None),
            Content::Fields(fields) => (json::to_bytes(fields.as_ref()), Some("application/json")),
            Content::Raw { text, kind } => (text.as_bytes().to_vec(), Some(kind.as_str())),
        };
        let headers = &mut parts.headers;
        headers.remove(CONTENT_LENGTH);
        headers.remove(CONTENT_TYPE);
        if let Some(kind) = kind.and_then(|kind| HeaderValue::from_str(kind).ok()) {
            headers.insert(CONTENT_TYPE, kind);
        }
        if let Some(token) = token.and_then(|token| HeaderValue::from_str(token).ok()) {
            headers.insert(CSRF_HEADER, token);
        }
        if let Some(key) = &self.key
            && !has_own_key(headers)
        {
            let digest = secret::digest(&[self.method.as_str().as_bytes(), &body]);
            let digest = u64::from_be_bytes(std::array::from_fn(|at| digest[at]));
            if let Ok(key) = HeaderValue::try_from(format!("form-{key}-{digest:016x}")) {
                headers.insert(IDEMPOTENCY_KEY, key);
            }
        }
        parts.method = self.method;
        parts.extensions.insert(Submitted {
            content: self.content,
            key: self.key,
        });
        Ok(Request::from_parts(parts, Body::from(body)))
    }
}

fn has_own_key(headers: &HeaderMap) -> bool {
    headers
        .get(IDEMPOTENCY_KEY)
        .is_some_and(|key| !key.as_bytes().starts_with(MINTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &str) -> Option<Form> {
        let fields = form_urlencoded::parse(form.as_bytes()).into_owned();
        Form::read(fields.collect())
    }

    #[test]
    fn fields_become_an_object_and_content_goes_as_it_is() {
        let form =
            read("_method=PUT&song=a%0D%0Ab&singer=x&singer=y&_key=k1&csrfmiddlewaretoken=t");
        let form = form.unwrap();
        assert_eq!(
            (form.method, form.key.as_deref()),
            (Method::PUT, Some("k1"))
        );
        assert_eq!(form.csrf.as_deref(), Some("t"));
        let Content::Fields(fields) = form.content else {
            panic!("no fields");
        };
        assert_eq!(
            json::to_bytes(fields.as_ref()),
            br#"{"song":"a\nb","singer":"y"}"#
        );

        let raw = read("_method=PATCH&song=a&_content=%7B%7D&_content_type=text/plain").unwrap();
        let Content::Raw { text, kind } = raw.content else {
            panic!("not raw");
        };
        assert_eq!((&*text, kind.as_str()), ("{}", "text/plain"));
        let deleted = read("_method=DELETE&_content=x").unwrap();
        assert!(matches!(deleted.content, Content::Nothing));
    }

    #[test]
    fn what_names_no_method_is_no_form_of_a_page_and_an_odd_key_is_none() {
        for form in [
            "",
            "song=a&singer=b",
            "_method=",
            "_method=GET",
            "_method=put",
        ] {
            assert!(read(form).is_none(), "{form}");
        }
        let long = "k".repeat(65);
        for key in ["", "a b", "a-b", &long] {
            assert_eq!(read(&format!("_method=POST&_key={key}")).unwrap().key, None);
        }
    }
}

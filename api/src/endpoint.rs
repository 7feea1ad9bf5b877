//! What is checked at every address of the API before its handler runs, and said after it: the host, the
//! format, who asks, the permission, then `Allow` and `Vary`.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use http::header::{ALLOW, CONTENT_TYPE, HOST, HeaderValue, IF_NONE_MATCH, SET_COOKIE, VARY};
use http::{Method, Version};
use serde_json::{Map, Value, json};

use crate::address::Suffix;
use crate::auth::{self, Caller, session};
use crate::browse::{self, View};
use crate::error::Error;
use crate::indent;
use crate::json;
use crate::negotiate::{self, Format, NoFormat};
use crate::origin;
use crate::page::failure::Negotiated;
use crate::router::App;
use crate::server::Peer;

/// What is fixed about one address.
#[derive(Debug)]
pub struct Endpoint {
    /// What the original calls it.
    pub name: &'static str,
    /// What the original says of it.
    pub description: &'static str,
    /// The media types that it reads.
    pub parses: &'static [&'static str],
    /// The methods it knows, as in the `Allow` header.
    pub allow: &'static str,
    /// Whether the permission that is set applies to it; else anyone may.
    pub guarded: bool,
}

impl Endpoint {
    /// Puts the checks in front of the methods of this address.
    pub fn guards(&'static self, methods: MethodRouter<App>, app: &App) -> MethodRouter<App> {
        methods
            .fallback(refuse_method)
            .layer(Extension(self))
            .layer(from_fn_with_state((self, app.clone()), check))
    }

    /// Describes the address, as the original answers OPTIONS.
    #[must_use]
    pub fn describe(&self) -> Map<String, Value> {
        let description = json!({
            "name": self.name,
            "description": self.description,
            "renders": ["application/json", "text/html"],
            "parses": self.parses,
        });
        match description {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

/// Answers OPTIONS where nothing depends on the request.
pub async fn options(Extension(endpoint): Extension<&'static Endpoint>) -> Response {
    reply(&endpoint.describe())
}

/// Answers 200 with JSON.
pub fn reply(value: &impl serde::Serialize) -> Response {
    json_of(json::to_bytes(value))
}

/// Answers 200 with what is JSON already.
pub fn json_of(json: impl Into<Body>) -> Response {
    let mut response = Response::new(json.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, json::CONTENT_TYPE);
    response
}

async fn refuse_method(method: Method) -> Error {
    Error::MethodNotAllowed(method)
}

async fn check(
    State((endpoint, app)): State<(&'static Endpoint, App)>,
    mut request: Request,
    next: Next,
) -> Response {
    if !names_a_host(&app, &request) {
        return Error::BadHost.into_response();
    }
    let format = format(&request);
    let is_page = matches!(format, Ok(Format::Html));
    let view = is_page.then(|| View::of(endpoint, &app, &request));
    let indent =
        negotiate::accept(request.headers()).map_or(0, |accept| negotiate::indent(&accept));
    if is_page || indent > 0 {
        // A tag names the JSON as it is, not what is made of it.
        request.headers_mut().remove(IF_NONE_MATCH);
    }
    let mut vary = HeaderValue::from_static("Accept, Cookie");
    let mut account = None;
    let mut response = match format {
        Err(error) => {
            // Cookies were not looked at.
            vary = HeaderValue::from_static("Accept");
            error.into_response()
        }
        Ok(format) => {
            request.extensions_mut().insert(format);
            let (response, caller) = admit(endpoint, &app, request, next).await;
            account = caller.account;
            response
        }
    };
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(endpoint.allow));
    response.headers_mut().insert(VARY, vary);
    response.extensions_mut().insert(Negotiated);
    if let Some(view) = view {
        return browse::show(&app, &view, account.as_ref(), response).await;
    }
    match indent {
        0 => response,
        width => indent::wrap(response, width),
    }
}

/// Finds out who asks, and lets those through who may. The handler finds the [`Caller`] in the extensions.
async fn admit(
    endpoint: &'static Endpoint,
    app: &App,
    mut request: Request,
    next: Next,
) -> (Response, Caller) {
    let peer = peer(&request);
    let caller = match auth::authenticate(app, request.method(), request.headers(), peer).await {
        Ok(caller) => caller,
        Err(error) => return (error.into_response(), Caller::default()),
    };
    let permission = app.access().permission;
    let may = !endpoint.guarded || permission.allows(request.method(), caller.is_signed_in());
    let stale_cookie = caller.stale_cookie;
    let mut response = if may {
        request.extensions_mut().insert(caller.clone());
        next.run(request).await
    } else {
        Error::NotAuthenticated.into_response()
    };
    if stale_cookie {
        response.headers_mut().append(SET_COOKIE, session::FORGET);
    }
    (response, caller)
}

/// A request of HTTP/1.1 says once which host it asks, and everyone says it in the form of a host.
fn names_a_host(app: &App, request: &Request) -> bool {
    let headers = request.headers();
    let named = headers.get_all(HOST).iter().count();
    let is_named = named == 1 || named == 0 && request.version() != Version::HTTP_11;
    is_named && origin::host(headers, peer(request), &app.access().trusted_proxies).is_some()
}

fn peer(request: &Request) -> Peer {
    let peer = request.extensions().get::<Peer>();
    peer.copied().unwrap_or_default()
}

/// Chooses the format of the answer to a request.
pub(crate) fn format(request: &Request<Body>) -> Result<Format, Error> {
    let suffix = request
        .extensions()
        .get::<Suffix>()
        .map(|Suffix(name)| name.as_str());
    let query = request.uri().query().and_then(|query| {
        query
            .split('&')
            .filter_map(|pair| pair.strip_prefix("format="))
            .next_back()
    });
    // An empty `?format=` or `Accept` is none.
    let named = suffix.or(query.filter(|name| !name.is_empty()));
    let accept = negotiate::accept(request.headers());
    negotiate::choose(named, accept.as_deref().unwrap_or("*/*")).map_err(|none| match none {
        NoFormat::Unknown => Error::NotFound,
        NoFormat::NotAccepted => Error::NotAcceptable,
    })
}

//! Who may change something through the admin listener?
//!
//! Everybody who reaches it on loopback; elsewhere only who has the token. Nobody through a web
//! page: a browser on the machine would reach the listener on behalf of any page it shows.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Fault, token};
use crate::live::InForce;

/// What the guard goes by.
#[derive(Debug, Clone)]
pub(super) struct Guarded {
    pub(super) live: InForce,
    pub(super) is_loopback: bool,
}

/// Lets a request pass, or refuses it.
pub(super) async fn guard(
    State(guarded): State<Guarded>,
    request: Request,
    next: Next,
) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && let Err(refused) = may_change(&guarded, request.headers()).await {
        return refused;
    }
    next.run(request).await
}

async fn may_change(guarded: &Guarded, headers: &HeaderMap) -> Result<(), Response> {
    let forbid = |sentence: &str| Fault(StatusCode::FORBIDDEN, sentence.to_owned());
    if headers.contains_key(header::ORIGIN) {
        return Err(forbid("Changes are not taken from web pages.").into_response());
    }
    if guarded.is_loopback {
        return Ok(());
    }
    let file = guarded.live.load().admin_token_file.clone();
    let Some(file) = file else {
        let sentence = "This listener is not loopback and `admin_token_file` is not set: nothing \
                        can be changed here.";
        return Err(forbid(sentence).into_response());
    };
    // Read anew for each change, so that a token can be replaced without a word to the proxy.
    let text = match tokio::fs::read_to_string(&file).await {
        Ok(text) => text,
        Err(error) => {
            tracing::error!(file = %file.display(), %error, "the admin token cannot be read");
            return Err(forbid("The token of this listener cannot be read.").into_response());
        }
    };
    let given = headers.get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.to_str().ok());
    let is_right = given
        .zip(token::of_file(&text))
        .is_some_and(|(given, token)| token::is_in(given, token));
    if is_right {
        return Ok(());
    }
    let sentence = "Changes need the token of `admin_token_file`: Authorization: Bearer TOKEN";
    let mut refused = Fault(StatusCode::UNAUTHORIZED, sentence.to_owned()).into_response();
    let challenge = HeaderValue::from_static("Bearer");
    refused
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    Err(refused)
}

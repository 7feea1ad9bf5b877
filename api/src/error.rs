//! Everything that can go wrong with a request, and the one place where it becomes a status and a text.
//!
//! The client reads a fixed sentence; the cause goes to the log, once, here.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::auth::password::Busy;
use crate::database::Fault;
use crate::json;
use crate::terms::{IDEMPOTENCY_KEY, Key};

/// Names, for the proxy, a dependency that all instances share and that is away.
pub const LB_CAUSE: HeaderName = HeaderName::from_static("x-lb-cause");

/// Why a request is refused or fails.
#[derive(Debug)]
pub enum Error {
    /// No such address, or no such format.
    NotFound,
    /// The address is right, but there is no such music.
    NoMusic,
    /// The cursor of a page is not one that was given out.
    InvalidCursor,
    /// A method that this address does not know.
    MethodNotAllowed(Method),
    /// Not signed in, and this needs it.
    NotAuthenticated,
    /// The credentials are wrong; holds what is said of them.
    BadCredentials(&'static str),
    /// An unsafe request with a session's cookie, made by another site; holds why it is taken for that.
    Csrf(String),
    /// Too many wrong passwords; holds how long to wait.
    TooManyTries(Duration),
    /// A search had to look at so many rows that the time for it was over.
    SearchTooLong,
    /// Too many passwords are being verified.
    Busy(Busy),
    /// The operating system has no random numbers.
    NoRandomness(getrandom::Error),
    /// No format that the client would take.
    NotAcceptable,
    /// The `Host` header is not a host.
    BadHost,
    /// The body is of a type that is not read here; holds the type as it was sent.
    UnsupportedMediaType(String),
    /// The body is not JSON; holds what is wrong with it.
    NotJson(String),
    /// The body is no HTML form; holds what is wrong with it.
    NotForm(String),
    /// The body is JSON, but not what is needed: a list of messages for each field.
    Invalid(Map<String, Value>),
    /// The body is over the limit.
    TooLarge,
    /// The body did not come in time.
    TooSlow,
    /// The body ended in the middle.
    Truncated,
    /// The `Idempotency-Key` is none.
    WrongKey,
    /// `If-Match` or `If-None-Match` names nothing.
    EmptyCondition,
    /// The `X-Request-Deadline` is none.
    WrongDeadline,
    /// The key was used for another request.
    OtherRequest,
    /// A request with this key is still being answered.
    StillRunning,
    /// The music is not in the state that the request names.
    PreconditionFailed,
    /// The deadline of the request had passed before it could be begun.
    TooLate,
    /// The database did not do its part. It is certain that nothing was written.
    Database(Fault),
    /// The database did not do its part, and whether something was written is not known.
    OutcomeUnknown(Fault, Option<Key>),
    /// A handler panicked.
    Panicked,
}

impl Error {
    /// Says what is certain after a write that has no key.
    #[must_use]
    pub fn of_write(fault: Fault) -> Self {
        if fault.leaves_open() {
            Self::OutcomeUnknown(fault, None)
        } else {
            Self::Database(fault)
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound | Self::NoMusic | Self::InvalidCursor => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAuthenticated | Self::BadCredentials(_) | Self::Csrf(_) => {
                StatusCode::FORBIDDEN
            }
            Self::TooManyTries(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BadHost
            | Self::NotJson(_)
            | Self::NotForm(_)
            | Self::Invalid(_)
            | Self::Truncated
            | Self::WrongKey
            | Self::EmptyCondition
            | Self::WrongDeadline => StatusCode::BAD_REQUEST,
            Self::StillRunning => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::OtherRequest => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Database(Fault::Broken(_)) | Self::Panicked | Self::NoRandomness(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::TooLate
            | Self::Database(_)
            | Self::OutcomeUnknown(..)
            | Self::Busy(_)
            | Self::SearchTooLong => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns the body, in the words of the original where it has any.
    fn body(self) -> Value {
        let detail: String = match self {
            Self::Invalid(messages) => return Value::Object(messages),
            Self::NotFound => "Not found.".into(),
            Self::NoMusic => "No Music matches the given query.".into(),
            Self::InvalidCursor => "Invalid cursor".into(),
            Self::MethodNotAllowed(method) => format!("Method \"{method}\" not allowed."),
            Self::NotAuthenticated => "Authentication credentials were not provided.".into(),
            Self::BadCredentials(problem) => problem.into(),
            Self::Csrf(problem) => format!("CSRF Failed: {problem}"),
            Self::TooManyTries(wait) => format!(
                "Request was throttled. Expected available in {} seconds.",
                wait.as_secs()
            ),
            Self::SearchTooLong => {
                "Counting what the search finds took too long. Read it with `cursor`, or whole: \
                 neither counts."
                    .into()
            }
            Self::Busy(_) => "Too many sign-ins at once. Please try again.".into(),
            Self::NotAcceptable => "Could not satisfy the request Accept header.".into(),
            Self::BadHost => "Invalid Host header.".into(),
            Self::UnsupportedMediaType(sent) => {
                format!("Unsupported media type \"{sent}\" in request.")
            }
            Self::NotForm(problem) => format!("Multipart form parse error - {problem}"),
            Self::NotJson(problem) => format!("JSON parse error - {problem}"),
            Self::TooLarge => "The request body is too large.".into(),
            Self::TooSlow => "The request body did not arrive in time.".into(),
            Self::Truncated => "The request body is incomplete.".into(),
            Self::Database(Fault::Broken(_)) | Self::Panicked | Self::NoRandomness(_) => {
                "A server error occurred.".into()
            }
            Self::WrongKey => {
                "Idempotency-Key must be one key of 1 to 255 visible ASCII characters.".into()
            }
            Self::EmptyCondition => {
                "If-Match and If-None-Match must be * or entity tags in quotes.".into()
            }
            Self::WrongDeadline => {
                "X-Request-Deadline must be one Unix time in milliseconds.".into()
            }
            Self::OtherRequest => "This Idempotency-Key was used for another request.".into(),
            Self::StillRunning => "A request with this Idempotency-Key is still running.".into(),
            Self::PreconditionFailed => "The music is not in the state that was named.".into(),
            Self::TooLate => "The deadline had passed. Nothing was written.".into(),
            Self::Database(_) => "The database is not available. Please try again.".into(),
            Self::OutcomeUnknown(_, key) => return unknown_outcome(key.is_some()),
        };
        json!({ "detail": detail })
    }

    fn log(&self) {
        match self {
            Self::Database(fault @ Fault::Broken(_)) => {
                tracing::error!(cause = %fault, "a query failed")
            }
            Self::Database(fault) => {
                tracing::warn!(cause = %fault, "the database is not available")
            }
            Self::OutcomeUnknown(fault, _) => {
                tracing::warn!(cause = %fault, "the outcome of a write is not known")
            }
            Self::NoRandomness(cause) => tracing::error!(%cause, "no random numbers"),
            Self::Busy(busy) => tracing::warn!(cause = %busy, "a sign-in was refused"),
            _ => {}
        }
    }

    /// Returns after how many seconds the client may try again.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyTries(wait) => Some(wait.as_secs()),
            Self::StillRunning => Some(1),
            error => (error.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(1),
        }
    }
}

impl From<Busy> for Error {
    fn from(busy: Busy) -> Self {
        Self::Busy(busy)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Database(fault)
    }
}

/// What a client gets of an error.
#[derive(Debug)]
pub struct Refusal {
    /// Which kind it is.
    pub status: StatusCode,
    /// What goes before the body.
    pub headers: HeaderMap,
    /// What is said of it.
    pub body: Value,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = error.status();
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, json::CONTENT_TYPE)]);
        if let Some(seconds) = error.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        let blames_database = matches!(error, Error::Database(_) | Error::OutcomeUnknown(..));
        if blames_database && status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(LB_CAUSE, HeaderValue::from_static("database"));
        }
        if let Error::OutcomeUnknown(_, Some(key)) = &error {
            headers.insert(IDEMPOTENCY_KEY, key.header());
        }
        Self {
            status,
            headers,
            body: error.body(),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.log();
        let refusal = Refusal::from(self);
        let mut response = Response::new(Body::from(json::to_bytes(&refusal.body)));
        *response.status_mut() = refusal.status;
        *response.headers_mut() = refusal.headers;
        response
    }
}

/// Says that nobody knows, in words and for programs.
fn unknown_outcome(has_key: bool) -> Value {
    let detail = if has_key {
        "The database is not available. Whether this was written is not known: \
         repeat it with the same Idempotency-Key."
    } else {
        "The database is not available. Whether this was written is not known."
    };
    json!({ "detail": detail, "outcome": "unknown" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn only_a_fault_that_can_pass_blames_the_database() {
        let away = Error::Database(Fault::TimedOut).into_response();
        assert_eq!(away.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(away.headers()[LB_CAUSE], "database");
        assert_eq!(away.headers()[RETRY_AFTER], "1");

        let broken =
            Error::Database(Fault::Broken(Arc::new(sqlx::Error::RowNotFound))).into_response();
        assert_eq!(broken.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!broken.headers().contains_key(LB_CAUSE));
    }

    #[test]
    fn who_is_to_wait_is_told_how_long() {
        let busy = Error::Busy(Busy).into_response();
        assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(busy.headers()[RETRY_AFTER], "1");
        assert!(!busy.headers().contains_key(LB_CAUSE));

        let throttled = Error::TooManyTries(Duration::from_secs(17)).into_response();
        assert_eq!(throttled.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(throttled.headers()[RETRY_AFTER], "17");
    }

    #[test]
    fn a_cause_is_never_part_of_the_body() {
        let fault = Fault::Broken(Arc::new(sqlx::Error::Protocol("secret detail".into())));
        assert_eq!(
            Error::Database(fault).body(),
            json!({ "detail": "A server error occurred." })
        );
    }
}

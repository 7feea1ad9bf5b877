//! The form again, with what was typed, when it failed through no fault of its own.
//!
//! The database is away, or too many others are at it. Also when nobody can say who sent it, since that stands in the
//! database, too.

use askama::Template;
use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};

use super::fields::Field;
use super::staff::Fields;
use crate::auth::csrf;
use crate::origin;
use crate::page::{self, Frame, Visitor, failure};
use crate::router::App;
use crate::sent::Sent;
use crate::server::Peer;

#[derive(Template)]
#[template(path = "admin/again.html")]
struct AgainPage {
    frame: Frame,
    problems: Vec<String>,
    address: String,
    /// Whether it is applied once, however often it is sent.
    is_keyed: bool,
    fields: Vec<Field>,
}

/// Answers a form that may be sent again with that form, in place of a page that only says what failed.
pub async fn keep_what_was_typed(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !failure::is_for_a_browser(request.headers()) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let sent = Request::from_parts(parts.clone(), body);
    let sent = match Sent::from_request(sent, &()).await {
        Ok(sent) => sent,
        Err(error) => return error.into_response(),
    };
    let (headers, path) = (parts.headers.clone(), parts.uri.path().to_owned());
    let peer = parts.extensions.get::<Peer>().copied().unwrap_or_default();
    let body = Body::from(sent.bytes().to_vec());
    let response = next.run(Request::from_parts(parts, body)).await;
    if !may_be_sent_again(response.status()) || !failure::is_bare(&response) {
        return response;
    }
    let form = Fields::of(sent.form().await.unwrap_or_default());
    let own = origin::origin(&headers, peer, &app.access().trusted_proxies);
    // Nobody is given a form to send that another site has filled in.
    if csrf::check(&Method::POST, &headers, own.as_deref(), form.token()).is_err() {
        return response;
    }
    let (head, body) = response.into_parts();
    let page = AgainPage {
        frame: Frame::new(&app, &headers, &path, "Please try again", Visitor::Unknown),
        problems: failure::sentences_of(body).await,
        is_keyed: !form.get("key").is_empty(),
        fields: fields(&path, &form),
        address: path,
    };
    page::instead(head, &Method::POST, &page)
}

/// Tells whether a form may come to a better end when it is sent as it is.
fn may_be_sent_again(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::CONFLICT
}

/// Returns the fields of a form as it was sent; passwords are typed anew, and a box that was not ticked was not sent.
fn fields(path: &str, form: &Fields) -> Vec<Field> {
    let is_of_rights = path.starts_with("/admin/users/") && !path.ends_with("/password/");
    let mut fields: Vec<_> = form
        .pairs()
        .filter(|(name, _)| !matches!(*name, csrf::FIELD | "is_active" | "is_staff"))
        .map(|(name, value)| match name {
            "song" => Field::song(value),
            "singer" => Field::singer(value),
            // On a form for a password it only tells whose it is.
            "username" if is_of_rights => Field::username(value),
            "old" => Field::old_password(),
            "password" => Field::new_password(),
            "again" => Field::password_again(),
            _ => Field::hidden(name, value),
        })
        .collect();
    if is_of_rights {
        if path != "/admin/users/add/" {
            fields.push(Field::is_active(form.has("is_active")));
        }
        fields.push(Field::is_staff(form.has("is_staff")));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, sent: &str, expected: &[Field]) {
        let pairs = form_urlencoded::parse(sent.as_bytes()).into_owned();
        assert_eq!(
            fields(path, &Fields::of(pairs.collect())),
            expected,
            "{path}"
        );
    }

    #[test]
    fn what_was_typed_is_kept_apart_from_passwords() {
        check(
            "/admin/music/7/",
            "csrfmiddlewaretoken=t&key=k&version=1-2&song=a%0Ab&singer=%3Cb%3E",
            &[
                Field::hidden("key", "k"),
                Field::hidden("version", "1-2"),
                Field::song("a\nb"),
                Field::singer("<b>"),
            ],
        );
        check(
            "/admin/users/add/",
            "username=leo&password=secret-1&again=secret-2&is_staff=on",
            &[
                Field::username("leo"),
                Field::new_password(),
                Field::password_again(),
                Field::is_staff(true),
            ],
        );
        check(
            "/admin/users/3/",
            "version=1-1&is_active=on",
            &[
                Field::hidden("version", "1-1"),
                Field::is_active(true),
                Field::is_staff(false),
            ],
        );
        check(
            "/admin/password/",
            "username=leo&old=secret-0",
            &[Field::hidden("username", "leo"), Field::old_password()],
        );
    }
}

//! Who is let in: somebody of the staff, with a session; and what they sent.

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode};

use super::notice::Notice;
use super::{lead_to, lead_to_notice};
use crate::auth::{self, Account, csrf, secret::Secret, session};
use crate::error::Error;
use crate::origin;
use crate::page::{Frame, Visitor, failure};
use crate::router::App;
use crate::sent::Sent;
use crate::server::Peer;

/// The form that signs in, under the name that it has in the original.
const LOG_IN: &str = "/admin/login/";

/// Somebody of the staff, and what they asked or sent.
pub struct Staff {
    pub(super) account: Account,
    pub(super) headers: HeaderMap,
    pub(super) peer: Peer,
    asked: Fields,
    pub(super) form: Fields,
    here: String,
}

/// The pairs of a query or a form. Has no `Debug`, because it may hold a password.
#[derive(Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn of(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// Returns all of them, in the order in which they came.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0.iter();
        pairs.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the token against forged forms, if there is one.
    pub(super) fn token(&self) -> Option<&str> {
        self.has(csrf::FIELD).then(|| self.get(csrf::FIELD))
    }

    /// Returns a value, empty if there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        let mut found = self.0.iter().filter(|(known, _)| known == name);
        found.next().map_or("", |(_, value)| value)
    }

    /// Tells whether there is such a field, as for a box that was ticked.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Returns the numbers of all fields of a name, each once, at most `most` of them.
    pub(super) fn numbers(&self, name: &str, most: usize) -> Vec<i64> {
        let fields = self.0.iter().filter(|(known, _)| known == name);
        let mut numbers: Vec<i64> = fields.filter_map(|(_, value)| value.parse().ok()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.truncate(most);
        numbers
    }
}

impl Staff {
    /// Returns a value of the query, empty if there is none.
    pub(super) fn asked(&self, name: &str) -> &str {
        self.asked.get(name)
    }

    /// Returns the numbers in the query.
    pub(super) fn asked_numbers(&self, name: &str, most: usize) -> Vec<i64> {
        self.asked.numbers(name, most)
    }

    /// Says what was done on the page before this one, if anything was.
    pub(super) fn notice(&self) -> Option<String> {
        let session = session::id(&self.headers)?;
        Notice::read(self.asked("done"), session).map(Notice::sentence)
    }

    /// Leads on to a page that says what was done.
    pub(super) fn lead_to(&self, address: &str, done: Notice) -> Result<Response, Error> {
        let session = session::id(&self.headers).unwrap_or_default();
        lead_to_notice(address, done, session)
    }

    /// Refuses what somebody asks who was of the staff a moment ago.
    pub(super) fn is_staff_no_more(&self, app: &App) -> Response {
        not_for(app, &self.headers, &self.account, &self.here)
    }

    /// Frames a page for them.
    pub(super) fn frame(&self, app: &App, title: &str) -> Frame {
        let visitor = Visitor::of(Some(&self.account), &self.headers);
        Frame::new(app, &self.headers, &self.here, title, visitor)
    }

    /// Makes the key of a form that is shown anew.
    pub(super) fn new_key() -> Result<String, Error> {
        let key = Secret::random().map_err(Error::NoRandomness)?;
        Ok(key.reveal().to_owned())
    }
}

/// The answer to whoever is not let in.
pub struct KeptOut(Box<Response>);

impl IntoResponse for KeptOut {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl From<Error> for KeptOut {
    fn from(error: Error) -> Self {
        Self(Box::new(error.into_response()))
    }
}

impl FromRequest<App> for Staff {
    type Rejection = KeptOut;

    async fn from_request(request: Request, app: &App) -> Result<Self, KeptOut> {
        let (method, headers) = (request.method().clone(), request.headers().clone());
        let peer = request.extensions().get::<Peer>().copied();
        let peer = peer.unwrap_or_default();
        let own = origin::origin(&headers, peer, &app.access().trusted_proxies);
        if own.is_none() {
            return Err(Error::BadHost.into());
        }
        let uri = request.uri().clone();
        let here = uri.path_and_query().map_or("/admin/", |here| here.as_str());
        let Some(account) = auth::by_cookie(app, &headers).await? else {
            let next = if method == Method::POST {
                uri.path()
            } else {
                here
            };
            return Err(KeptOut(Box::new(to_log_in(next)?)));
        };
        if !account.is_staff {
            let refusal = not_for(app, &headers, &account, here);
            return Err(KeptOut(Box::new(refusal)));
        }
        let form = match method {
            Method::POST => Sent::from_request(request, app).await?.form().await?,
            _ => Vec::new(),
        };
        let form = Fields(form);
        csrf::check(&method, &headers, own.as_deref(), form.token()).map_err(Error::Csrf)?;
        let asked = uri.query().unwrap_or_default().as_bytes();
        Ok(Self {
            account,
            peer,
            asked: Fields(form_urlencoded::parse(asked).into_owned().collect()),
            form,
            here: here.to_owned(),
            headers,
        })
    }
}

/// Leads to the form that signs in, and comes back here.
fn to_log_in(here: &str) -> Result<Response, Error> {
    let next: String = form_urlencoded::byte_serialize(here.as_bytes()).collect();
    // As in the original, which leaves the slashes as they are.
    let next = next.replace("%2F", "/");
    let mut response = lead_to(&format!("{LOG_IN}?next={next}"))?;
    // As in the original.
    *response.status_mut() = StatusCode::FOUND;
    Ok(response)
}

fn not_for(app: &App, headers: &HeaderMap, account: &Account, here: &str) -> Response {
    let status = StatusCode::FORBIDDEN;
    let visitor = Visitor::of(Some(account), headers);
    let frame = Frame::new(app, headers, here, &status.to_string(), visitor);
    let problem = "You are signed in, but not as somebody of the staff. Would you like to log in as somebody else?";
    failure::refusal(frame, status, problem.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_once_each_and_no_more_than_asked_for() {
        let pairs = [
            ("id", "3"),
            ("id", "1"),
            ("id", "3"),
            ("id", "x"),
            ("other", "9"),
        ];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let fields = Fields(pairs.to_vec());
        assert_eq!(fields.numbers("id", 10), [1, 3]);
        assert_eq!(fields.numbers("id", 1), [1]);
        assert_eq!((fields.get("other"), fields.get("none")), ("9", ""));
    }
}

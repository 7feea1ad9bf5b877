//! What the layout shows around every page: its title, who is signed in, who answers.

use http::HeaderMap;

use crate::auth::{Account, csrf, session};
use crate::router::App;

/// The longest address that the log-in form leads back to.
const LONGEST_HERE: usize = 2000;

/// The values of the layout.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What the page is called; the name of the site follows it.
    pub title: String,
    /// Who looks at it.
    pub visitor: Visitor,
    /// The path and query to which logging in and out come back.
    pub here: String,
    /// The token against forged requests, for each form with `POST`; empty if the browser has none.
    pub csrf: String,
    /// Which instance made the page.
    pub instance: String,
}

/// Who looks at a page.
#[derive(Clone, Debug)]
pub enum Visitor {
    /// It was not asked: the page is the same for all.
    Unknown,
    /// Nobody who is signed in.
    Nobody,
    /// An account.
    Account {
        /// What it is called.
        name: String,
        /// Whether it may use the admin.
        is_staff: bool,
        /// Whether there is a session to be ended.
        has_session: bool,
    },
}

impl Frame {
    /// Frames a page. `here` is the path and query of the request.
    #[must_use]
    pub fn new(app: &App, headers: &HeaderMap, here: &str, title: &str, visitor: Visitor) -> Self {
        let here = if here.len() > LONGEST_HERE { "" } else { here };
        Self {
            title: title.to_owned(),
            visitor,
            here: here.to_owned(),
            csrf: csrf::kept(headers).unwrap_or_default().to_owned(),
            instance: app.instance().to_string(),
        }
    }

    /// Returns where to come back to, as the value of a parameter.
    #[must_use]
    pub fn here_encoded(&self) -> String {
        form_urlencoded::byte_serialize(self.here.as_bytes()).collect()
    }
}

impl Visitor {
    /// Names whoever was found to send a request.
    #[must_use]
    pub fn of(account: Option<&Account>, headers: &HeaderMap) -> Self {
        account.map_or(Self::Nobody, |account| Self::Account {
            name: account.name.clone(),
            is_staff: account.is_staff,
            has_session: session::id(headers).is_some(),
        })
    }

    /// Tells whether the admin is open to them.
    #[must_use]
    pub fn is_staff(&self) -> bool {
        matches!(self, Self::Account { is_staff: true, .. })
    }
}

//! `/admin/password/`: one's own password. The old one is asked for; all other sessions end.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use http::header::{RETRY_AFTER, SET_COOKIE};

use super::notice::Notice;
use super::staff::Staff;
use super::{Crumb, crumbs, lead_to, people, show};
use crate::auth::{self, roster};
use crate::error::Error;
use crate::origin;
use crate::page::{Frame, Visitor};
use crate::router::App;

const ADDRESS: &str = "/admin/password/";
const WRONG: &str = "This is not your password.";

#[derive(Template)]
#[template(path = "admin/own_password.html")]
struct OwnPage {
    frame: Frame,
    crumbs: Vec<Crumb>,
    /// Tells a keeper of passwords whose it is.
    name: String,
    old_error: Option<String>,
    new_error: Option<String>,
}

impl OwnPage {
    fn of(app: &App, staff: &Staff, old_error: Option<String>, new_error: Option<String>) -> Self {
        Self {
            frame: staff.frame(app, "Change your password"),
            crumbs: crumbs(&[("Your password", ADDRESS)]),
            name: staff.account.name.clone(),
            old_error,
            new_error,
        }
    }
}

/// `GET /admin/password/`
pub async fn form(State(app): State<App>, staff: Staff) -> Response {
    show(StatusCode::OK, &OwnPage::of(&app, &staff, None, None))
}

/// `POST /admin/password/`
pub async fn change(State(app): State<App>, staff: Staff) -> Result<Response, Error> {
    let form = &staff.form;
    let (old, new) = (form.get("old").to_owned(), form.get("password").to_owned());
    let new_error = roster::problem_of_password(&new, form.get("again"));
    if new_error.is_some() {
        let page = OwnPage::of(&app, &staff, None, new_error);
        return Ok(show(StatusCode::BAD_REQUEST, &page));
    }
    let (name, trusted) = (staff.account.name.clone(), &app.access().trusted_proxies);
    let address = origin::address(&staff.headers, staff.peer, trusted);
    // Wrong ones count as those at the sign-in do: a session that was stolen is no way to guess it.
    let wrong = match auth::sign_in(&app, &name, &old, address).await {
        Ok(Some(_)) => None,
        Ok(None) => Some((StatusCode::BAD_REQUEST, WRONG.to_owned(), None)),
        Err(Error::TooManyTries(wait)) => {
            let seconds = wait.as_secs();
            let problem =
                format!("Too many wrong passwords. Please try again in {seconds} seconds.");
            Some((StatusCode::TOO_MANY_REQUESTS, problem, Some(seconds)))
        }
        Err(error) => return Err(error),
    };
    if let Some((status, problem, wait)) = wrong {
        let page = OwnPage::of(&app, &staff, Some(problem), None);
        let mut response = show(status, &page);
        if let Some(seconds) = wait {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        return Ok(response);
    }
    let hash = people::hashed(&app, new).await?;
    let mut work = app.database().work();
    let set = work.run(move |connection| {
        Box::pin(async move { roster::set_password(connection, &name, &hash).await })
    });
    set.await.map_err(Error::of_write)?;
    // All sessions have ended with that, also this one.
    let cookies = auth::begin(&app, &staff.headers, staff.peer, staff.account.id).await?;
    let mut response = lead_to(&format!("/admin/?done={}", Notice::OwnPassword.word()))?;
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

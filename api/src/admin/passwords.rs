//! `/admin/password/`: one's own password; the old one is asked for, all other sessions end. And
//! `/admin/users/{id}/password/`: that of somebody else, whose sessions end.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use http::header::{RETRY_AFTER, SET_COOKIE};

use super::fields::Field;
use super::notice::Notice;
use super::people::{self, find};
use super::staff::Staff;
use super::{Crumb, crumbs, lead_to, lead_to_notice, show};
use crate::auth::{self, SignedIn, roster};
use crate::error::Error;
use crate::music::Id;
use crate::origin;
use crate::page::{Frame, Visitor};
use crate::router::App;

const OWN: &str = "/admin/password/";
const WRONG: &str = "This is not your password.";

#[derive(Template)]
#[template(path = "admin/password.html")]
struct PasswordPage {
    frame: Frame,
    crumbs: Vec<Crumb>,
    is_own: bool,
    /// Where the form is sent to, and where one goes back to.
    address: String,
    back: String,
    /// Tells a keeper of passwords whose it is.
    name: String,
    fields: Vec<Field>,
}

/// `GET /admin/password/`
pub async fn own_form(State(app): State<App>, staff: Staff) -> Response {
    let page = PasswordPage::own(&app, &staff, None, None);
    show(StatusCode::OK, &page)
}

/// `POST /admin/password/`
pub async fn change_own(State(app): State<App>, staff: Staff) -> Result<Response, Error> {
    let form = &staff.form;
    let (old, new) = (form.get("old").to_owned(), form.get("password").to_owned());
    let new_error = roster::problem_of_password(&new, form.get("again"));
    if new_error.is_some() {
        let page = PasswordPage::own(&app, &staff, None, new_error);
        return Ok(show(StatusCode::BAD_REQUEST, &page));
    }
    let refuse = |status, problem: String| {
        let page = PasswordPage::own(&app, &staff, Some(problem), None);
        show(status, &page)
    };
    let (name, trusted) = (&staff.account.name, &app.access().trusted_proxies);
    let address = origin::address(&staff.headers, staff.peer, trusted);
    // Wrong ones count as those at the sign-in do: a session that was stolen is no way to guess it.
    let who = match auth::sign_in(&app, name, &old, address).await {
        Ok(Some(who)) => who,
        Ok(None) => return Ok(refuse(StatusCode::BAD_REQUEST, WRONG.into())),
        Err(Error::TooManyTries(wait)) => {
            let seconds = wait.as_secs();
            let problem =
                format!("Too many wrong passwords. Please try again in {seconds} seconds.");
            let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, problem);
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            return Ok(response);
        }
        Err(error) => return Err(error),
    };
    let hash = people::hashed(&app, new).await?;
    let now = SignedIn::anew(who.account.clone(), hash.clone());
    let mut work = app.database().work();
    let set = work.run(move |connection| {
        Box::pin(async move { roster::replace_password(connection, &who, &hash).await })
    });
    if !set.await.map_err(Error::of_write)? {
        return Ok(refuse(StatusCode::BAD_REQUEST, WRONG.into()));
    }
    // All sessions have ended with that, also this one.
    let Some(begun) = auth::begin(&app, &staff.headers, staff.peer, now).await? else {
        return lead_to(OWN);
    };
    let mut response = lead_to_notice("/admin/", Notice::OwnPassword, begun.id.reveal())?;
    for cookie in begun.cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `GET /admin/users/{id}/password/`
pub async fn form(State(app): State<App>, Id(id): Id, staff: Staff) -> Result<Response, Error> {
    let person = find(&app, id).await?;
    if person.id == staff.account.id {
        return lead_to(OWN);
    }
    let page = PasswordPage::of_user(&app, &staff, person.id, person.name, None);
    Ok(show(StatusCode::OK, &page))
}

/// `POST /admin/users/{id}/password/`
pub async fn set(State(app): State<App>, Id(id): Id, staff: Staff) -> Result<Response, Error> {
    let person = find(&app, id).await?;
    if person.id == staff.account.id {
        return lead_to(OWN);
    }
    let password = staff.form.get("password").to_owned();
    let error = roster::problem_of_password(&password, staff.form.get("again"));
    if error.is_some() {
        let page = PasswordPage::of_user(&app, &staff, person.id, person.name, error);
        return Ok(show(StatusCode::BAD_REQUEST, &page));
    }
    let hash = people::hashed(&app, password).await?;
    let (id, name) = (person.id, person.name);
    let mut work = app.database().work();
    let set = work.run(move |connection| {
        Box::pin(async move { roster::set_password(connection, &name, &hash).await })
    });
    match set.await.map_err(Error::of_write)? {
        true => staff.lead_to(&format!("{}{id}/", people::LIST), Notice::PasswordSet(id)),
        false => Err(Error::NotFound),
    }
}

impl PasswordPage {
    fn own(app: &App, staff: &Staff, old_error: Option<String>, error: Option<String>) -> Self {
        Self {
            frame: staff.frame(app, "Change your password"),
            crumbs: crumbs(&[("Your password", OWN)]),
            is_own: true,
            address: OWN.into(),
            back: "/admin/".into(),
            name: staff.account.name.clone(),
            fields: vec![
                Field::old_password().with_errors(old_error),
                Field::new_password().with_errors(error),
                Field::password_again(),
            ],
        }
    }

    fn of_user(app: &App, staff: &Staff, id: i64, name: String, error: Option<String>) -> Self {
        let back = format!("{}{id}/", people::LIST);
        Self {
            frame: staff.frame(app, "Set a password"),
            crumbs: crumbs(&[("Users", people::LIST)]),
            is_own: false,
            address: format!("{back}password/"),
            back,
            name,
            fields: vec![
                Field::new_password().with_errors(error),
                Field::password_again(),
            ],
        }
    }
}

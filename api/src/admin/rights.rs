//! `/admin/users/{id}/`: what an account may do.
//!
//! Nobody takes the staff's rights from themselves, so somebody always has them. A form that was opened before somebody
//! else has changed them says so, and changes nothing.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::fields::Field;
use super::notice::Notice;
use super::people::{LIST, find};
use super::staff::Staff;
use super::{Crumb, crumbs, show, time_of_day};
use crate::auth::rights::{self, Grant, Granted, Rights};
use crate::auth::roster::Person;
use crate::error::Error;
use crate::music::Id;
use crate::page::{Frame, Visitor};
use crate::router::App;

const OWN_RIGHTS: &str = "You cannot take your own rights away. Ask somebody else of the staff.";
const CHANGED: &str =
    "Somebody else has changed these rights meanwhile. Open them again to see how they are now.";

#[derive(Template)]
#[template(path = "admin/user.html")]
struct UserPage {
    frame: Frame,
    crumbs: Vec<Crumb>,
    notice: Option<String>,
    problem: Option<&'static str>,
    may_be_opened_again: bool,
    id: i64,
    name: String,
    created: String,
    last_login: String,
    is_oneself: bool,
    fields: Vec<Field>,
}

/// `GET /admin/users/{id}/`
pub async fn form(State(app): State<App>, Id(id): Id, staff: Staff) -> Result<Response, Error> {
    let person = find(&app, id).await?;
    let rights = person.rights();
    let page = UserPage::of(&app, &staff, person, rights, rights, None);
    Ok(show(StatusCode::OK, &page))
}

/// `POST /admin/users/{id}/`
pub async fn change(State(app): State<App>, Id(id): Id, staff: Staff) -> Result<Response, Error> {
    let person = find(&app, id).await?;
    let new = Rights {
        is_active: staff.form.has("is_active"),
        is_staff: staff.form.has("is_staff"),
    };
    if person.id == staff.account.id && !(new.is_active && new.is_staff) {
        let seen = person.rights();
        let page = UserPage::of(&app, &staff, person, seen, new, Some(OWN_RIGHTS));
        return Ok(show(StatusCode::BAD_REQUEST, &page));
    }
    // A form that does not say what it has shown changes nothing either.
    let seen = read(staff.form.get("version"));
    let granted = match seen {
        None => Granted::Changed,
        Some(seen) => {
            let grant = Grant {
                by: staff.account.id,
                of: person.id,
                seen,
                new,
            };
            let mut work = app.database().work();
            let granted = work.run(move |connection| Box::pin(rights::grant(connection, grant)));
            granted.await.map_err(Error::of_write)?
        }
    };
    match granted {
        Granted::Done => staff.lead_to(LIST, Notice::UserSaved(person.id)),
        Granted::Missing => Err(Error::NotFound),
        Granted::NotByYou => Ok(staff.is_staff_no_more(&app)),
        Granted::Changed => {
            let seen = seen.unwrap_or(new);
            let page = UserPage::of(&app, &staff, person, seen, new, Some(CHANGED));
            Ok(show(StatusCode::CONFLICT, &page))
        }
    }
}

/// Writes what a form shows, for it to be sent along.
fn write(
    Rights {
        is_active,
        is_staff,
    }: Rights,
) -> String {
    format!("{}-{}", u8::from(is_active), u8::from(is_staff))
}

/// Reads what a form had shown.
fn read(version: &str) -> Option<Rights> {
    let (is_active, is_staff) = version.split_once('-')?;
    let read = |flag: &str| match flag {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    };
    Some(Rights {
        is_active: read(is_active)?,
        is_staff: read(is_staff)?,
    })
}

impl UserPage {
    /// A page whose form says that it has shown `seen`, and has ticked `new`.
    fn of(
        app: &App,
        staff: &Staff,
        person: Person,
        seen: Rights,
        new: Rights,
        problem: Option<&'static str>,
    ) -> Self {
        Self {
            frame: staff.frame(app, "Change a user"),
            crumbs: crumbs(&[("Users", LIST)]),
            notice: staff.notice(),
            may_be_opened_again: problem == Some(CHANGED),
            problem,
            is_oneself: person.id == staff.account.id,
            id: person.id,
            name: person.name,
            created: time_of_day(person.created),
            last_login: person
                .last_login
                .map_or_else(|| "never".into(), time_of_day),
            fields: vec![
                Field::hidden("version", &write(seen)),
                Field::is_active(new.is_active),
                Field::is_staff(new.is_staff),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_form_has_shown_is_read_again_and_nothing_else() {
        for (is_active, is_staff) in [(false, false), (false, true), (true, false), (true, true)] {
            let rights = Rights {
                is_active,
                is_staff,
            };
            assert_eq!(read(&write(rights)), Some(rights));
        }
        for odd in ["", "1", "1-", "-1", "2-0", "1-1-1", "true-true"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}

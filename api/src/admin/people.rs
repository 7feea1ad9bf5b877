//! `/admin/users/`: the accounts. Add one, say what it may do, set its password.
//!
//! An account is switched off rather than deleted. Nobody takes the staff's rights from themselves. One's own password
//! has a page of its own ([`super::own`]), which asks for the old one.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::notice::Notice;
use super::staff::Staff;
use super::{Crumb, ROWS, crumbs, lead_to, page_number, query, show, time_of_day};
use crate::auth::password::Refused;
use crate::auth::roster::{self, Person};
use crate::database::Fault;
use crate::error::Error;
use crate::music::Id;
use crate::page::{Frame, Visitor};
use crate::router::App;

const LIST: &str = "/admin/users/";
const OWN_PASSWORD: &str = "/admin/password/";
const TAKEN: &str = "There is a user of this name already.";
const NOT_PLAIN: &str = "The database takes no such letter in a name.";
const OWN_RIGHTS: &str = "You cannot take your own rights away. Ask somebody else of the staff.";

#[derive(Template)]
#[template(path = "admin/users.html")]
struct UsersPage {
    frame: Frame,
    crumbs: Vec<Crumb>,
    notice: Option<String>,
    search: String,
    rows: Vec<Row>,
    number: usize,
    previous: Option<String>,
    next: Option<String>,
}

struct Row {
    id: i64,
    name: String,
    is_active: bool,
    is_staff: bool,
    created: String,
    last_login: String,
}

impl From<Person> for Row {
    fn from(person: Person) -> Self {
        Self {
            id: person.id,
            name: person.name,
            is_active: person.is_active,
            is_staff: person.is_staff,
            created: time_of_day(person.created),
            last_login: person
                .last_login
                .map_or_else(|| "never".into(), time_of_day),
        }
    }
}

#[derive(Template)]
#[template(path = "admin/new_user.html")]
struct NewUserPage {
    frame: Frame,
    crumbs: Vec<Crumb>,
    name: String,
    is_staff: bool,
    name_error: Option<String>,
    password_error: Option<String>,
}

#[derive(Template)]
#[template(path = "admin/user.html")]
struct UserPage {
    frame: Frame,
    crumbs: Vec<Crumb>,
    notice: Option<String>,
    problem: Option<&'static str>,
    row: Row,
    is_oneself: bool,
}

#[derive(Template)]
#[template(path = "admin/user_password.html")]
struct PasswordPage {
    frame: Frame,
    crumbs: Vec<Crumb>,
    id: i64,
    name: String,
    error: Option<String>,
}

/// `GET /admin/users/`
pub async fn list(State(app): State<App>, staff: Staff) -> Result<Response, Error> {
    let search = staff.asked("search").to_owned();
    let number = page_number(staff.asked("page"));
    let (limit, offset) = (ROWS as i64 + 1, ((number - 1) * ROWS) as i64);
    // A text of Postgres has no NUL, so nobody's name has.
    let part = search.replace('\0', "\u{fffd}");
    let mut work = app.database().work();
    let people = work.run(move |connection| {
        Box::pin(async move { roster::list(connection, &part, limit, offset).await })
    });
    let rows = people.await?;
    let to_page = |number: usize| {
        let number = number.to_string();
        format!(
            "{LIST}?{}",
            query(&[("search", &search), ("page", &number)])
        )
    };
    let page = UsersPage {
        frame: staff.frame(&app, "Users"),
        crumbs: crumbs(&[("Users", LIST)]),
        notice: staff.notice(),
        number,
        previous: (number > 1).then(|| to_page(number - 1)),
        next: (rows.len() > ROWS).then(|| to_page(number + 1)),
        rows: rows.into_iter().take(ROWS).map(Row::from).collect(),
        search,
    };
    Ok(show(StatusCode::OK, &page))
}

/// `GET /admin/users/add/`
pub async fn blank(State(app): State<App>, staff: Staff) -> Response {
    show(StatusCode::OK, &NewUserPage::of(&app, &staff, None, None))
}

/// `POST /admin/users/add/`
pub async fn add(State(app): State<App>, staff: Staff) -> Result<Response, Error> {
    let form = &staff.form;
    let (name, password) = (
        form.get("username").to_owned(),
        form.get("password").to_owned(),
    );
    let name_error = roster::problem_of_name(&name);
    let password_error = roster::problem_of_password(&password, form.get("again"));
    if name_error.is_some() || password_error.is_some() {
        let page = NewUserPage::of(&app, &staff, name_error, password_error);
        return Ok(show(StatusCode::BAD_REQUEST, &page));
    }
    let (hash, is_staff) = (hashed(&app, password).await?, form.has("is_staff"));
    let mut work = app.database().work();
    let added = work.run(move |connection| {
        Box::pin(async move { roster::add(connection, &name, &hash, is_staff).await })
    });
    let added = match added.await {
        // What a letter is, the table judges by the locale of the database.
        Err(Fault::Broken(cause)) if breaks_a_rule(&cause) => {
            let page = NewUserPage::of(&app, &staff, Some(NOT_PLAIN.into()), None);
            return Ok(show(StatusCode::BAD_REQUEST, &page));
        }
        added => added.map_err(Error::of_write)?,
    };
    match added {
        Some(id) => lead_to(&format!(
            "{LIST}{id}/?done={}",
            Notice::UserAdded(id).word()
        )),
        None => {
            let page = NewUserPage::of(&app, &staff, Some(TAKEN.into()), None);
            Ok(show(StatusCode::BAD_REQUEST, &page))
        }
    }
}

/// `GET /admin/users/{id}/`
pub async fn form(State(app): State<App>, Id(id): Id, staff: Staff) -> Result<Response, Error> {
    let person = find(&app, id).await?;
    Ok(show(
        StatusCode::OK,
        &UserPage::of(&app, &staff, person, None),
    ))
}

/// `POST /admin/users/{id}/`
pub async fn change(State(app): State<App>, Id(id): Id, staff: Staff) -> Result<Response, Error> {
    let person = find(&app, id).await?;
    let (is_active, is_staff) = (staff.form.has("is_active"), staff.form.has("is_staff"));
    if person.id == staff.account.id && !(is_active && is_staff) {
        let page = UserPage::of(&app, &staff, person, Some(OWN_RIGHTS));
        return Ok(show(StatusCode::BAD_REQUEST, &page));
    }
    let id = person.id;
    let mut work = app.database().work();
    let changed = work
        .run(move |connection| Box::pin(roster::set_flags(connection, id, is_active, is_staff)));
    match changed.await.map_err(Error::of_write)? {
        true => lead_to(&format!("{LIST}?done={}", Notice::UserSaved(id).word())),
        false => Err(Error::NotFound),
    }
}

/// `GET /admin/users/{id}/password/`
pub async fn password_form(
    State(app): State<App>,
    Id(id): Id,
    staff: Staff,
) -> Result<Response, Error> {
    let person = find(&app, id).await?;
    if person.id == staff.account.id {
        return lead_to(OWN_PASSWORD);
    }
    Ok(show(
        StatusCode::OK,
        &PasswordPage::of(&app, &staff, person, None),
    ))
}

/// `POST /admin/users/{id}/password/`
pub async fn set_password(
    State(app): State<App>,
    Id(id): Id,
    staff: Staff,
) -> Result<Response, Error> {
    let person = find(&app, id).await?;
    if person.id == staff.account.id {
        return lead_to(OWN_PASSWORD);
    }
    let password = staff.form.get("password").to_owned();
    let error = roster::problem_of_password(&password, staff.form.get("again"));
    if error.is_some() {
        let page = PasswordPage::of(&app, &staff, person, error);
        return Ok(show(StatusCode::BAD_REQUEST, &page));
    }
    let hash = hashed(&app, password).await?;
    let (id, name) = (person.id, person.name);
    let mut work = app.database().work();
    let set = work.run(move |connection| {
        Box::pin(async move { roster::set_password(connection, &name, &hash).await })
    });
    match set.await.map_err(Error::of_write)? {
        true => lead_to(&format!(
            "{LIST}{id}/?done={}",
            Notice::PasswordSet(id).word()
        )),
        false => Err(Error::NotFound),
    }
}

/// Tells whether a row was refused by a check of its table.
fn breaks_a_rule(cause: &sqlx::Error) -> bool {
    let cause = cause.as_database_error();
    cause.is_some_and(sqlx::error::DatabaseError::is_check_violation)
}

/// Hashes a password that was checked before.
pub(super) async fn hashed(app: &App, password: String) -> Result<String, Error> {
    let hashed = app.passwords().hash(password).await.map_err(Error::Busy)?;
    hashed.map_err(|refused: Refused| {
        tracing::error!(cause = %refused, "a password could not be hashed");
        Error::Panicked
    })
}

async fn find(app: &App, id: Result<i64, Error>) -> Result<Person, Error> {
    let id = id.map_err(|_| Error::NotFound)?;
    let mut work = app.database().work();
    let found = work.run(move |connection| Box::pin(roster::find(connection, id)));
    found.await?.ok_or(Error::NotFound)
}

impl NewUserPage {
    fn of(
        app: &App,
        staff: &Staff,
        name_error: Option<String>,
        password_error: Option<String>,
    ) -> Self {
        Self {
            frame: staff.frame(app, "Add a user"),
            crumbs: crumbs(&[("Users", LIST)]),
            name: staff.form.get("username").to_owned(),
            is_staff: staff.form.has("is_staff"),
            name_error,
            password_error,
        }
    }
}

impl UserPage {
    fn of(app: &App, staff: &Staff, person: Person, problem: Option<&'static str>) -> Self {
        Self {
            frame: staff.frame(app, "Change a user"),
            crumbs: crumbs(&[("Users", LIST)]),
            notice: staff.notice(),
            problem,
            is_oneself: person.id == staff.account.id,
            row: person.into(),
        }
    }
}

impl PasswordPage {
    fn of(app: &App, staff: &Staff, person: Person, error: Option<String>) -> Self {
        Self {
            frame: staff.frame(app, "Set a password"),
            crumbs: crumbs(&[("Users", LIST)]),
            id: person.id,
            name: person.name,
            error,
        }
    }
}

//! `/admin/users/`: the accounts. See who there is, add one.
//!
//! An account is switched off rather than deleted: [`super::rights`] says what it may do. [`super::passwords`] sets its
//! password.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::fields::Field;
use super::notice::Notice;
use super::staff::Staff;
use super::{Crumb, ROWS, crumbs, page_number, query, show, time_of_day};
use crate::auth::password::Refused;
use crate::auth::roster::{self, Person, Start};
use crate::database::Fault;
use crate::error::Error;
use crate::page::{Frame, Visitor};
use crate::router::App;

pub(super) const LIST: &str = "/admin/users/";
const TAKEN: &str = "There is a user of this name already.";
const NOT_PLAIN: &str = "The database takes no such letter in a name.";

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
    fields: Vec<Field>,
}

/// `GET /admin/users/`
pub async fn list(State(app): State<App>, staff: Staff) -> Result<Response, Error> {
    let search = staff.asked("search").to_owned();
    // A text of Postgres has no NUL, so nobody's name has.
    let text = |name: &str| staff.asked(name).replace('\0', "\u{fffd}");
    let (part, before, after) = (text("search"), text("before"), text("after"));
    let is_backwards = !before.is_empty();
    let number = if is_backwards || !after.is_empty() {
        page_number(staff.asked("page"))
    } else {
        1
    };
    let start = if is_backwards {
        Start::Before(before)
    } else {
        Start::After(after)
    };
    let mut work = app.database().work();
    // One more tells whether there are more.
    let limit = ROWS as i64 + 1;
    let people = work.run(move |connection| {
        Box::pin(async move { roster::list(connection, &part, &start, limit).await })
    });
    let mut people = people.await?;
    let is_over = people.len() > ROWS;
    if is_over {
        // The one too much is the farthest from where the page begins.
        people.remove(if is_backwards { 0 } else { ROWS });
    }
    let to_page = |number: usize, (direction, name): (&str, &str)| {
        let number = number.to_string();
        let page = [
            ("search", search.as_str()),
            (direction, name),
            ("page", &number),
        ];
        // The first page is the list as it begins now.
        let page = if number == "1" { &page[..1] } else { &page };
        format!("{LIST}?{}", query(page))
    };
    let name = |person: Option<&Person>| person.map(|person| person.name.clone());
    let (first, last) = (name(people.first()), name(people.last()));
    let next = last.filter(|_| is_over || is_backwards);
    let page = UsersPage {
        frame: staff.frame(&app, "Users"),
        crumbs: crumbs(&[("Users", LIST)]),
        notice: staff.notice(),
        number,
        previous: (number > 1)
            .then(|| to_page(number - 1, ("before", first.as_deref().unwrap_or_default()))),
        next: next.map(|name| to_page(number + 1, ("after", &name))),
        rows: people.into_iter().map(Row::from).collect(),
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
        Some(id) => staff.lead_to(&format!("{LIST}{id}/"), Notice::UserAdded(id)),
        None => {
            let page = NewUserPage::of(&app, &staff, Some(TAKEN.into()), None);
            Ok(show(StatusCode::BAD_REQUEST, &page))
        }
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

/// Returns whom an address is about.
pub(super) async fn find(app: &App, id: Result<i64, Error>) -> Result<Person, Error> {
    let id = id.map_err(|_| Error::NotFound)?;
    let mut work = app.database().work();
    let found = work.run(move |connection| Box::pin(roster::find(connection, id)));
    found.await?.ok_or(Error::NotFound)
}

impl NewUserPage {
    /// Shows what was typed, and what is wrong with it.
    fn of(
        app: &App,
        staff: &Staff,
        name_error: Option<String>,
        password_error: Option<String>,
    ) -> Self {
        let form = &staff.form;
        Self {
            frame: staff.frame(app, "Add a user"),
            crumbs: crumbs(&[("Users", LIST)]),
            fields: vec![
                Field::username(form.get("username")).with_errors(name_error),
                Field::new_password().with_errors(password_error),
                Field::password_again(),
                Field::is_staff(form.has("is_staff")),
            ],
        }
    }
}

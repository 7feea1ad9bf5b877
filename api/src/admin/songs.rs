//! `/admin/music/`: the songs. Find, sort, add, change, delete one or many.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value};

use super::fields::Field;
use super::notice::Notice;
use super::staff::Staff;
use super::{Crumb, ROWS, crumbs, page_number, query, show, time_of_day};
use crate::error::Error;
use crate::music::desk::{self, Shown};
use crate::music::{Id, Leaf, Music};
use crate::page::{Frame, Visitor};
use crate::router::App;
use crate::terms::{Key, Terms};

const LIST: &str = "/admin/music/";
const BLANK: &str = "/admin/music/add/";
/// As many songs may be deleted at once.
const MOST_AT_ONCE: usize = 1000;

#[derive(Template)]
#[template(path = "admin/songs.html")]
struct SongsPage {
    frame: Frame,
    crumbs: Vec<Crumb>,
    notice: Option<String>,
    problem: Option<String>,
    search: String,
    ordering: String,
    columns: Vec<Column>,
    rows: Vec<Row>,
    number: usize,
    previous: Option<String>,
    next: Option<String>,
}

/// A column by which the list can be sorted.
struct Column {
    name: &'static str,
    /// Sorts by it, or the other way round if that is so already.
    address: String,
    /// How it is sorted now: `ascending`, `descending`, or not by this column.
    sorted: &'static str,
}

struct Row {
    id: i64,
    song: String,
    singer: String,
    changed: String,
}

impl From<Music> for Row {
    fn from(music: Music) -> Self {
        Self {
            id: music.id,
            changed: time_of_day(music.last_modify_date),
            song: music.song,
            singer: music.singer,
        }
    }
}

#[derive(Template)]
#[template(path = "admin/song.html")]
struct SongPage {
    frame: Frame,
    crumbs: Vec<Crumb>,
    notice: Option<String>,
    problem: Option<String>,
    /// `None`: a new one.
    id: Option<i64>,
    fields: Vec<Field>,
}

#[derive(Template)]
#[template(path = "admin/delete_songs.html")]
struct DeletePage {
    frame: Frame,
    crumbs: Vec<Crumb>,
    rows: Vec<Row>,
}

/// `GET /admin/music/`
pub async fn list(State(app): State<App>, staff: Staff) -> Result<Response, Error> {
    let (search, ordering) = (staff.asked("search"), staff.asked("ordering"));
    let (number, cursor) = match staff.asked("cursor") {
        "" => (1, ""),
        cursor => (page_number(staff.asked("page")), cursor),
    };
    let limit = ROWS.to_string();
    let order = if ordering.is_empty() { "-id" } else { ordering };
    let asked = [
        ("search", search),
        ("ordering", order),
        ("limit", &limit),
        ("cursor", cursor),
    ];
    let (leaf, problem) = match desk::page(&app, &query(&asked)).await {
        Ok(leaf) => (leaf, None),
        Err(Error::Invalid(messages)) => (
            Leaf::default(),
            Some(sentences(&messages, "search").concat()),
        ),
        Err(error) => return Err(error),
    };
    let to_page = |number: usize, cursor: String| {
        let number = number.to_string();
        let page = [("cursor", cursor.as_str()), ("page", &number)];
        // The first page is the list as it begins now.
        let page = if number == "1" { &[][..] } else { &page };
        address(search, ordering, page)
    };
    let status = if problem.is_some() {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    };
    let page = SongsPage {
        frame: staff.frame(&app, "Songs"),
        crumbs: crumbs(&[("Songs", LIST)]),
        notice: staff.notice(),
        problem,
        columns: columns(search, order),
        rows: leaf.rows.into_iter().map(Row::from).collect(),
        number,
        previous: (number > 1).then(|| to_page(number - 1, leaf.previous.unwrap_or_default())),
        next: leaf.next.map(|cursor| to_page(number + 1, cursor)),
        search: search.to_owned(),
        ordering: ordering.to_owned(),
    };
    Ok(show(status, &page))
}

fn address(search: &str, ordering: &str, page: &[(&str, &str)]) -> String {
    let sought = [("search", search), ("ordering", ordering)];
    format!("{LIST}?{}", query(&[&sought[..], page].concat()))
}

fn columns(search: &str, order: &str) -> Vec<Column> {
    let known = [
        ("Number", "id"),
        ("Song", "song"),
        ("Singer", "singer"),
        ("Changed", "last_modify_date"),
    ];
    let column = |(name, field): (&'static str, &str)| {
        let (sorted, other) = match order.strip_prefix('-') {
            Some(descending) if descending == field => ("descending", field.to_owned()),
            None if order == field => ("ascending", format!("-{field}")),
            _ => ("none", field.to_owned()),
        };
        Column {
            name,
            address: address(search, &other, &[]),
            sorted,
        }
    };
    known.into_iter().map(column).collect()
}

/// `GET /admin/music/add/`
pub async fn blank(State(app): State<App>, staff: Staff) -> Result<Response, Error> {
    let empty = (Field::song(""), Field::singer(""));
    let page = SongPage::new(&app, &staff, None, "", empty)?;
    Ok(show(StatusCode::OK, &page))
}

/// `POST /admin/music/add/`
pub async fn add(State(app): State<App>, staff: Staff) -> Result<Response, Error> {
    let form = &staff.form;
    let terms = Terms::of_form(staff.account.id, key(&staff), None);
    match desk::add(&app, terms, form.get("song"), form.get("singer")).await {
        Ok(id) if form.has("another") => staff.lead_to(BLANK, Notice::Added(id)),
        Ok(id) => staff.lead_to(LIST, Notice::Added(id)),
        Err(error) => again(&app, &staff, None, error),
    }
}

/// `GET /admin/music/{id}/`
pub async fn form(State(app): State<App>, Id(id): Id, staff: Staff) -> Result<Response, Error> {
    let shown = desk::find(&app, id?).await?.ok_or(Error::NoMusic)?;
    let Shown { music, version } = shown;
    let fields = (Field::song(&music.song), Field::singer(&music.singer));
    let page = SongPage::new(&app, &staff, Some(music.id), &version, fields)?;
    Ok(show(StatusCode::OK, &page))
}

/// `POST /admin/music/{id}/`
pub async fn change(State(app): State<App>, Id(id): Id, staff: Staff) -> Result<Response, Error> {
    let (id, form) = (id?, &staff.form);
    let version = form.get("version").to_owned();
    let fits = |version: &str| {
        version
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-')
    };
    if version.is_empty() || version.len() > 64 || !fits(&version) {
        return again(&app, &staff, Some(id), Error::PreconditionFailed);
    }
    let terms = Terms::of_form(staff.account.id, key(&staff), Some(version));
    match desk::change(&app, id, terms, form.get("song"), form.get("singer")).await {
        Ok(()) => staff.lead_to(LIST, Notice::Saved(id)),
        Err(error) => again(&app, &staff, Some(id), error),
    }
}

/// `GET /admin/music/delete/?id=1&id=2`: asks back.
pub async fn ask_to_delete(State(app): State<App>, staff: Staff) -> Result<Response, Error> {
    let ids = staff.asked_numbers("id", MOST_AT_ONCE);
    let rows = desk::chosen(&app, ids).await?;
    let page = DeletePage {
        frame: staff.frame(&app, "Delete songs"),
        crumbs: crumbs(&[("Songs", LIST), ("Delete", "/admin/music/delete/")]),
        rows: rows.into_iter().map(Row::from).collect(),
    };
    Ok(show(StatusCode::OK, &page))
}

/// `POST /admin/music/delete/`
pub async fn delete(State(app): State<App>, staff: Staff) -> Result<Response, Error> {
    let ids = staff.form.numbers("id", MOST_AT_ONCE);
    let deleted = desk::delete(&app, ids).await?;
    let deleted = i64::try_from(deleted).unwrap_or(i64::MAX);
    staff.lead_to(LIST, Notice::Deleted(deleted))
}

/// The key under which a form is applied once. What it holds is part of it, so that a form that was corrected is
/// another one.
fn key(staff: &Staff) -> Option<Key> {
    let form = &staff.form;
    let parts = [form.get("song").as_bytes(), form.get("singer").as_bytes()];
    let digest = crate::auth::secret::digest(&parts);
    let digest = u64::from_be_bytes(std::array::from_fn(|at| digest[at]));
    let own = form.get("key");
    let fits =
        (1..=64).contains(&own.len()) && own.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fits.then(|| Key::parse(format!("admin-{own}-{digest:016x}").as_bytes()))?
}

/// Shows the form again, with what was typed and what is wrong with it.
fn again(app: &App, staff: &Staff, id: Option<i64>, error: Error) -> Result<Response, Error> {
    let (status, problem, errors) = match error {
        Error::Invalid(errors) => (StatusCode::BAD_REQUEST, None, errors),
        Error::PreconditionFailed => {
            let problem = "Somebody else has changed this song meanwhile. Open it again to see how it is now.";
            (StatusCode::CONFLICT, Some(problem.to_owned()), Map::new())
        }
        other => return Err(other),
    };
    let form = &staff.form;
    let typed = (
        Field::song(form.get("song")).with_errors(sentences(&errors, "song")),
        Field::singer(form.get("singer")).with_errors(sentences(&errors, "singer")),
    );
    let mut page = SongPage::new(app, staff, id, form.get("version"), typed)?;
    page.problem = problem;
    Ok(show(status, &page))
}

fn sentences(messages: &Map<String, Value>, field: &str) -> Vec<String> {
    let found = messages.get(field).and_then(Value::as_array);
    let texts = found.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

impl SongPage {
    fn new(
        app: &App,
        staff: &Staff,
        id: Option<i64>,
        version: &str,
        (song, singer): (Field, Field),
    ) -> Result<Self, Error> {
        let title = match id {
            Some(_) => "Change a song",
            None => "Add a song",
        };
        let fields = vec![
            Field::hidden("key", &Staff::new_key()?),
            Field::hidden("version", version),
            song,
            singer,
        ];
        Ok(Self {
            frame: staff.frame(app, title),
            crumbs: crumbs(&[("Songs", LIST)]),
            notice: staff.notice(),
            problem: None,
            id,
            fields,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_sorts_and_sorts_back() {
        let sorted = |order: &str| -> Vec<(&str, String)> {
            let columns = columns("a b", order).into_iter();
            columns
                .map(|column| (column.sorted, column.address))
                .collect()
        };
        let by_song = sorted("song");
        assert_eq!(by_song[1].0, "ascending");
        assert!(
            by_song[1].1.ends_with("?search=a+b&ordering=-song"),
            "{}",
            by_song[1].1
        );
        let back = sorted("-song");
        assert_eq!(back[1].0, "descending");
        assert!(back[1].1.ends_with("ordering=song"), "{}", back[1].1);
        assert_eq!(back[0].0, "none");
    }
}

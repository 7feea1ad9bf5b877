//! The SQL of a list in any order and with any filter.
//!
//! Of such statements there are many, but they are put together from the fixed pieces of this file alone; what a
//! client sent is only ever bound. The counts without a search and the plain list (in the store of music) are checked
//! when the program is compiled, all others by tests that run them.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder, Result};
use time::OffsetDateTime;

use super::asked::Filter;
use super::ordering::{Field, Ordering};
use super::position::{Key, Position};
use super::search;
use crate::database::Read;
use crate::music::Music;
use crate::music::store::PAGE_BYTES;

/// How many rows one statement of a search looks at, at most.
pub(super) const SEARCHED_ROWS: i64 = 5000;

/// A stretch of the list: some rows that are looked at, and of them those that are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Window {
    pub(super) filter: Filter,
    pub(super) ordering: Ordering,
    /// It begins after this row.
    pub(super) after: Option<Position>,
    /// So many of the rows that fit are left out first.
    pub(super) skip: i64,
    /// No more than this many rows are returned.
    pub(super) take: i64,
    /// A search looks at so many rows, whether they fit or not.
    pub(super) look: i64,
    /// It looks at no others than these, by id.
    pub(super) among: Option<Arc<[i64]>>,
}

/// What was found in a window.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The rows that are wanted.
    pub(super) rows: Vec<Music>,
    /// The next window begins after this; `None` at the end of the list.
    pub(super) next: Option<Position>,
    /// How many rows fitted, those left out included.
    pub(super) fitted: i64,
    json: OnceLock<Bytes>,
}

impl Found {
    /// Returns the rows as JSON, each with a comma before it; made once for all who share them.
    pub(super) fn json(&self) -> Bytes {
        let written = || {
            let mut out = Vec::with_capacity(self.rows.len() * 224);
            for music in &self.rows {
                out.push(b',');
                music.write(&mut out);
            }
            out.into()
        };
        self.json.get_or_init(written).clone()
    }
}

impl Read for Window {
    type Answer = Arc<Found>;

    fn query(self, connection: &mut PgConnection) -> BoxFuture<'_, Result<Arc<Found>>> {
        Box::pin(async move { Ok(Arc::new(read(connection, &self).await?)) })
    }
}

#[derive(FromRow)]
struct Row {
    id: i64,
    song: String,
    singer: String,
    last_modify_date: OffsetDateTime,
    created: OffsetDateTime,
    days_since_created: i64,
    is_wanted: bool,
    is_last: bool,
    /// How many rows fitted up to here.
    fitted: i64,
    /// How many rows were looked at up to here.
    seen: i64,
}

/// Reads a window. The last row that was looked at comes with it, wanted or not: there the next one begins.
pub(super) async fn read(connection: &mut PgConnection, window: &Window) -> Result<Found> {
    let mut statement = QueryBuilder::new("");
    push_window(&mut statement, window);
    let rows: Vec<Row> = statement.build_query_as().fetch_all(connection).await?;
    let mut found = Found {
        rows: Vec::with_capacity(rows.len()),
        next: None,
        fitted: 0,
        json: OnceLock::new(),
    };
    for row in rows {
        let (is_wanted, is_end) = (row.is_wanted, row.is_last && row.seen < window.looked_at());
        found.fitted = row.fitted;
        let music = Music {
            id: row.id,
            song: row.song,
            singer: row.singer,
            last_modify_date: row.last_modify_date,
            created: row.created,
            days_since_created: row.days_since_created,
        };
        found.next = (!is_end).then(|| Position::of(&music, &window.ordering));
        if is_wanted {
            found.rows.push(music);
        }
    }
    Ok(found)
}

/// Counts all rows.
pub(super) async fn count_all(connection: &mut PgConnection) -> Result<i64> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from music"#)
        .fetch_one(connection)
        .await
}

/// Counts the rows of one singer.
pub(super) async fn count_singer(connection: &mut PgConnection, singer: String) -> Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from music
           where left(singer, 200) collate "C" = left($1, 200) collate "C" and singer = $1"#,
        singer
    )
    .fetch_one(connection)
    .await
}

/// Counts the rows that fit, in one stretch by id; the other value is where the next stretch begins, if there is one.
pub(super) async fn count_stretch(
    connection: &mut PgConnection,
    filter: &Filter,
    among: Option<&[i64]>,
    after: i64,
) -> Result<(i64, Option<i64>)> {
    let mut statement = QueryBuilder::<Postgres>::new(
        "select count(*) filter (where fits), count(*), max(id) from (select id, ",
    );
    push_fits(&mut statement, &filter.words);
    statement.push(" as fits from music where id > ");
    statement.push_bind(after);
    push_singer(&mut statement, filter.singer.as_deref());
    push_among(&mut statement, among);
    statement
        .push(" order by id limit ")
        .push_bind(SEARCHED_ROWS);
    statement.push(") as looked_at");
    let (fitted, seen, last): (i64, i64, Option<i64>) =
        statement.build_query_as().fetch_one(connection).await?;
    Ok((fitted, last.filter(|_| seen >= SEARCHED_ROWS)))
}

impl Window {
    /// Returns how many rows are looked at: without a search every one of them fits.
    fn looked_at(&self) -> i64 {
        if self.filter.words.is_empty() {
            self.take
        } else {
            self.look
        }
    }

    /// Tells whether it is from the beginning of all rows, in the order of their ids.
    fn is_all_by_id(&self) -> bool {
        let is_by_id = self.ordering.terms()[0].field == Field::Id;
        is_by_id && self.filter == Filter::default() && self.after.is_none()
    }

    /// Returns how many of the rows that fit are left out after they were looked at, and how many are not looked at
    /// at all: without a search an index leads past them.
    fn skips(&self) -> (i64, i64) {
        if self.filter.words.is_empty() {
            (0, self.skip)
        } else {
            (self.skip, 0)
        }
    }
}

/// From the inside out: the rows that are looked at, in order; their numbers; which of them are wanted; how much
/// text they hold. The sum of it ends the window before rows of megabytes fill the memory, but the first row that
/// is wanted is always there.
pub(super) fn push_window(statement: &mut QueryBuilder<Postgres>, window: &Window) {
    let (skip, offset) = window.skips();
    statement.push(
        "select id, song, singer, last_modify_date, created, \
                floor(extract(epoch from now() - created) / 86400)::bigint as days_since_created, \
                is_wanted, is_last, fitted_before + fits::int as fitted, seen \
         from (select *, coalesce(sum(case when is_wanted then octet_length(song) + octet_length(singer) end) \
                         over (order by seen rows between unbounded preceding and 1 preceding), 0) as bytes_before \
         from (select *, fits and fitted_before >= ",
    );
    statement.push_bind(skip);
    statement.push(
        " as is_wanted \
         from (select *, row_number() over rank as seen, lead(id) over rank is null as is_last, \
                      count(*) filter (where fits) \
                      over (rank rows between unbounded preceding and 1 preceding) as fitted_before \
         from (select id, song, singer, last_modify_date, created, ",
    );
    push_keys(statement, &window.ordering);
    push_fits(statement, &window.filter.words);
    statement.push(" as fits from music where true");
    push_singer(statement, window.filter.singer.as_deref());
    push_among(statement, window.among.as_deref());
    if let Some(after) = &window.after {
        push_after(statement, &window.ordering, after);
    }
    let is_led = offset > 0 && window.is_all_by_id();
    if is_led {
        push_first(statement, &window.ordering, offset);
    }
    statement.push(" order by ");
    push_order(statement, &window.ordering, key);
    statement.push(" limit ").push_bind(window.looked_at());
    if offset > 0 && !is_led {
        statement.push(" offset ").push_bind(offset);
    }
    statement.push(") as looked_at window rank as (order by ");
    push_order(statement, &window.ordering, name);
    statement.push(")) as numbered) as marked) as sized where bytes_before <= ");
    statement.push_bind(PAGE_BYTES);
    statement.push(" and fitted_before < ");
    statement.push_bind(skip.saturating_add(window.take));
    statement.push(" and (is_wanted or is_last) order by seen");
}

/// What the table is ordered by; the indexes are on the same expressions.
fn key(field: Field) -> &'static str {
    match field {
        Field::Id => "id",
        Field::Song => r#"left(song, 200) collate "C""#,
        Field::Singer => r#"left(singer, 200) collate "C""#,
        Field::LastModifyDate => "last_modify_date",
        Field::Created => "created",
    }
}

/// What the key is called outside.
fn name(field: Field) -> &'static str {
    match field {
        Field::Id => "id",
        Field::Song => "song_key",
        Field::Singer => "singer_key",
        Field::LastModifyDate => "last_modify_date",
        Field::Created => "created",
    }
}

fn push_keys(statement: &mut QueryBuilder<Postgres>, ordering: &Ordering) {
    for term in ordering.terms() {
        if key(term.field) != name(term.field) {
            statement.push(key(term.field)).push(" as ");
            statement.push(name(term.field)).push(", ");
        }
    }
}

fn push_order(
    statement: &mut QueryBuilder<Postgres>,
    ordering: &Ordering,
    text: fn(Field) -> &'static str,
) {
    for (at, term) in ordering.terms().iter().enumerate() {
        statement.push(if at == 0 { "" } else { ", " });
        statement.push(text(term.field));
        statement.push(if term.descending { " desc" } else { "" });
    }
}

/// Every word is part of the song or of the singer.
pub(super) fn push_fits(statement: &mut QueryBuilder<Postgres>, words: &[String]) {
    statement.push("(true");
    for word in words {
        let pattern = search::pattern(word);
        statement
            .push(" and (song ilike ")
            .push_bind(pattern.clone());
        statement.push(" or singer ilike ").push_bind(pattern);
        statement.push(")");
    }
    statement.push(")");
}

/// The beginning is what the index knows, the whole is what is asked.
fn push_singer(statement: &mut QueryBuilder<Postgres>, singer: Option<&str>) {
    let Some(singer) = singer else { return };
    statement.push(r#" and left(singer, 200) collate "C" = left("#);
    statement.push_bind(singer.to_owned());
    statement.push(r#", 200) collate "C" and singer = "#);
    statement.push_bind(singer.to_owned());
}

/// Begins at the row after so many others. Its id is sought first, for which the index is enough: the rows that are
/// left out are not read, except where the table was written to and not yet vacuumed.
fn push_first(statement: &mut QueryBuilder<Postgres>, ordering: &Ordering, offset: i64) {
    let is_descending = ordering.terms()[0].descending;
    statement.push(if is_descending {
        " and id <= "
    } else {
        " and id >= "
    });
    statement.push("(select id from music order by ");
    push_order(statement, ordering, key);
    statement.push(" limit 1 offset ").push_bind(offset);
    statement.push(")");
}

fn push_among(statement: &mut QueryBuilder<Postgres>, among: Option<&[i64]>) {
    let Some(ids) = among else { return };
    statement.push(" and id = any(");
    statement.push_bind(ids.to_vec());
    statement.push(")");
}

fn push_after(statement: &mut QueryBuilder<Postgres>, ordering: &Ordering, after: &Position) {
    let terms = ordering.terms();
    let beyond = |at: usize| if terms[at].descending { " < " } else { " > " };
    if ordering.is_uniform() {
        statement.push(" and (");
        for (at, term) in terms.iter().enumerate() {
            statement.push(if at == 0 { "" } else { ", " });
            statement.push(key(term.field));
        }
        statement.push(")").push(beyond(0)).push("(");
        for (at, value) in after.keys().iter().enumerate() {
            statement.push(if at == 0 { "" } else { ", " });
            push_key(statement, value);
        }
        statement.push(")");
        return;
    }
    // With both directions in it, an order is no comparison of rows. The first condition is for the index.
    let not_before = if terms[0].descending { " <= " } else { " >= " };
    statement
        .push(" and ")
        .push(key(terms[0].field))
        .push(not_before);
    push_key(statement, &after.keys()[0]);
    statement.push(" and (false");
    for last in 0..terms.len() {
        statement.push(" or (");
        for (at, value) in after.keys().iter().enumerate().take(last + 1) {
            statement.push(if at == 0 { "" } else { " and " });
            statement.push(key(terms[at].field));
            statement.push(if at == last { beyond(at) } else { " = " });
            push_key(statement, value);
        }
        statement.push(")");
    }
    statement.push(")");
}

fn push_key(statement: &mut QueryBuilder<Postgres>, value: &Key) {
    match value {
        Key::Number(number) => statement.push_bind(*number),
        Key::Text(text) => statement.push_bind(text.clone()),
        Key::Time(time) => statement.push_bind(*time),
    };
}

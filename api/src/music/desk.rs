//! Music as the admin reads and writes it: by the same rules, statements and keys as the API, without its answers.

use std::sync::Arc;

use serde_json::json;
use time::OffsetDateTime;

use super::draft::{Change, Draft};
use super::list::{Asked, Leaf, leaf};
use super::order::{Done, Order, Write};
use super::row::Music;
use super::store;
use crate::database::budget;
use crate::error::Error;
use crate::router::App;
use crate::terms::Terms;

/// A music, and the version of it that a form shows.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) music: Music,
    pub(crate) version: String,
}

/// Returns the page that a query such as `search=x&ordering=song&limit=50&cursor=` asks for.
pub(crate) async fn page(app: &App, query: &str) -> Result<Leaf, Error> {
    leaf::read(app.reads().list().clone(), Asked::parse(query)?).await
}

/// Returns one music.
pub(crate) async fn find(app: &App, id: i64) -> Result<Option<Shown>, Error> {
    let mut work = app.database().work();
    let found = work
        .run(move |connection| Box::pin(store::find(connection, id)))
        .await?;
    Ok(found.map(|current| Shown {
        version: current.version.clone(),
        music: current.into_music(),
    }))
}

/// Adds a music and returns its id.
pub(crate) async fn add(app: &App, terms: Terms, song: &str, singer: &str) -> Result<i64, Error> {
    let sent = object(song, singer);
    let write = Write::Insert(Draft::from_object(&sent)?);
    match Arc::new(Order::new(write, terms, sent.as_bytes()))
        .execute(app)
        .await?
        .done
    {
        Done::Is(current) => Ok(current.id),
        Done::Deleted => Err(Error::NoMusic),
    }
}

/// Gives a music another content, on its terms.
pub(crate) async fn change(
    app: &App,
    id: i64,
    terms: Terms,
    song: &str,
    singer: &str,
) -> Result<(), Error> {
    let sent = object(song, singer);
    let Draft { song, singer } = Draft::from_object(&sent)?;
    let change = Change {
        song: Some(song),
        singer: Some(singer),
    };
    let write = Write::Change(id, change);
    let order = Arc::new(Order::new(write, terms, sent.as_bytes()));
    order.execute(app).await.map(drop)
}

/// Returns those of the music that are there.
pub(crate) async fn chosen(app: &App, ids: Vec<i64>) -> Result<Vec<Music>, Error> {
    let mut work = app.database().work();
    let found =
        work.run(move |connection| Box::pin(async move { store::chosen(connection, &ids).await }));
    Ok(found.await?)
}

/// Deletes those of the music that are there, all or none, and returns how many.
pub(crate) async fn delete(app: &App, ids: Vec<i64>) -> Result<u64, Error> {
    let deadline = OffsetDateTime::now_utc() + budget::left();
    let mut work = app.database().work();
    let deleted = work.run(move |connection| {
        Box::pin(async move { store::delete_chosen(connection, &ids, deadline).await })
    });
    deleted.await.map_err(Error::of_write)
}

/// Writes the fields of a form as the JSON that the API reads. A form ends its lines with two characters.
fn object(song: &str, singer: &str) -> String {
    let line_ends = |text: &str| text.replace("\r\n", "\n");
    json!({ "song": line_ends(song), "singer": line_ends(singer) }).to_string()
}

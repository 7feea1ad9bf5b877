//! What each method does at each address of music.
//!
//! The order of the checks is the original's: the object (404), the type of the body (415), its grammar, its
//! content (400). A body that is right needs no look at the object first: the write itself tells.

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, Method};

use super::draft::{Change, Draft};
use super::id::Id;
use super::list::{Asked, Links, respond};
use super::order::{Order, Write};
use super::{all_singers, metadata, store};
use crate::auth::Caller;
use crate::browse::FirstRows;
use crate::endpoint::{Endpoint, json_of, reply};
use crate::error::Error;
use crate::negotiate::Format;
use crate::root;
use crate::router::App;
use crate::sent::Sent;
use crate::terms::Terms;

/// As many singers does a page for people show.
const SINGERS_IN_A_PAGE: usize = 100;

/// `GET /api/music/`: the whole list, by id, or what the query asks of it.
///
/// Without paging, a page for people has its first rows only.
#[utoipa::path(get, path = "/api/music/", tag = "music", operation_id = "list_music",
    summary = "List music",
    description = "All of it by id, streamed: an array. With `limit` or `cursor` one page of it, in an envelope.",
    responses((status = 200, description = "The music, or a page of it.", body = super::described::List)))]
pub async fn list(
    State(app): State<App>,
    Extension(format): Extension<Format>,
    request: Request,
) -> Result<Response, Error> {
    let query = request.uri().query().unwrap_or_default();
    let mut asked = Asked::parse(query)?;
    let is_cut = format == Format::Html && asked.cut();
    let links = Links::new(root::music_address(&app, &request)?, query);
    let mut response = respond(app.reads().list().clone(), asked, &links).await?;
    if is_cut {
        response.extensions_mut().insert(FirstRows);
    }
    Ok(response)
}

/// `POST /api/music/`: a new music.
#[utoipa::path(post, path = "/api/music/", tag = "music", operation_id = "create_music",
    summary = "Add a music", request_body = Draft,
    responses((status = 201, description = "The music as it was stored.", body = super::Music)))]
pub async fn create(State(app): State<App>, terms: Terms, sent: Sent) -> Result<Response, Error> {
    let write = Write::Insert(Draft::from_sent(&sent)?);
    Order::new(write, terms, &sent.content())
        .carry_out(&app)
        .await
}

/// `GET /api/music/{id}/`: one music, unless the client has it as it is.
#[utoipa::path(get, path = "/api/music/{id}/", tag = "music", operation_id = "read_music",
    summary = "Read one music",
    responses((status = 200, description = "The music.", body = super::Music),
        (status = 304, description = "The client has it as it is.")))]
pub async fn read(
    State(app): State<App>,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let id = id?;
    let music = app.reads().one(id).await?;
    music
        .map(|music| music.show(&headers))
        .ok_or(Error::NoMusic)
}

/// `PUT /api/music/{id}/`: another content for one music.
#[utoipa::path(put, path = "/api/music/{id}/", tag = "music", operation_id = "replace_music",
    summary = "Replace one music", request_body = Draft,
    responses((status = 200, description = "The music as it was stored.", body = super::Music)))]
pub async fn replace(
    State(app): State<App>,
    terms: Terms,
    Id(id): Id,
    sent: Sent,
) -> Result<Response, Error> {
    let id = id?;
    let write = Draft::from_sent(&sent).map(|Draft { song, singer }| {
        let change = Change {
            song: Some(song),
            singer: Some(singer),
        };
        Write::Replace(id, change)
    });
    update(&app, id, write, terms, &sent).await
}

/// `PATCH /api/music/{id}/`: another content for a part of one music.
#[utoipa::path(patch, path = "/api/music/{id}/", tag = "music", operation_id = "change_music",
    summary = "Change a part of one music", request_body = Change,
    responses((status = 200, description = "The music as it was stored.", body = super::Music)))]
pub async fn change(
    State(app): State<App>,
    terms: Terms,
    Id(id): Id,
    sent: Sent,
) -> Result<Response, Error> {
    let id = id?;
    let write = Change::from_sent(&sent).map(|change| Write::Change(id, change));
    update(&app, id, write, terms, &sent).await
}

async fn update(
    app: &App,
    id: i64,
    write: Result<Write, Error>,
    terms: Terms,
    sent: &Sent,
) -> Result<Response, Error> {
    match write {
        Ok(write) => {
            let order = Order::new(write, terms, &sent.content());
            order.carry_out(app).await
        }
        Err(refusal) => {
            let mut work = app.database().work();
            let exists = work
                .run(move |connection| Box::pin(store::exists(connection, id)))
                .await?;
            Err(if exists { refusal } else { Error::NoMusic })
        }
    }
}

/// `DELETE /api/music/{id}/`: no more of it. A body is not looked at.
#[utoipa::path(delete, path = "/api/music/{id}/", tag = "music", operation_id = "delete_music",
    summary = "Delete one music",
    responses((status = 204, description = "It is gone.")))]
pub async fn delete(State(app): State<App>, terms: Terms, Id(id): Id) -> Result<Response, Error> {
    Order::new(Write::Delete(id?), terms, b"")
        .carry_out(&app)
        .await
}

/// `GET /api/music/{id}/detail/`: who sings what.
#[utoipa::path(get, path = "/api/music/{id}/detail/", tag = "music", operation_id = "music_detail",
    summary = "Read who sings what",
    responses((status = 200, description = "Song and singer.", body = store::Detail)))]
pub async fn detail(State(app): State<App>, Id(id): Id) -> Result<Response, Error> {
    let id = id?;
    let detail = app.reads().detail(id).await?;
    detail.map(json_of).ok_or(Error::NoMusic)
}

/// `GET /api/music/all_singer/`: everyone who sings, each once; in a page for people, the first of them.
#[utoipa::path(get, path = "/api/music/all_singer/", tag = "music", operation_id = "all_singers",
    summary = "List the singers",
    responses((status = 200, description = "Everyone who sings, each once.", body = Vec<String>)))]
pub async fn singers(
    State(app): State<App>,
    Extension(format): Extension<Format>,
) -> Result<Response, Error> {
    if format == Format::Json {
        return all_singers::respond(app.reads().clone()).await;
    }
    let mut work = app.database().work();
    // One more tells whether there are more.
    let first = work.run(|connection| {
        Box::pin(store::singers(
            connection,
            None,
            SINGERS_IN_A_PAGE as i64 + 1,
        ))
    });
    let mut singers = first.await?;
    let is_cut = all_singers::may_go_on(&singers, SINGERS_IN_A_PAGE + 1);
    singers.truncate(SINGERS_IN_A_PAGE);
    let mut response = reply(&singers);
    if is_cut {
        response.extensions_mut().insert(FirstRows);
    }
    Ok(response)
}

/// `OPTIONS /api/music/`: what it is, and what can be posted by who asks.
pub async fn describe_list(
    State(app): State<App>,
    Extension(endpoint): Extension<&'static Endpoint>,
    Extension(caller): Extension<Caller>,
) -> Response {
    let mut description = endpoint.describe();
    let permission = app.access().permission;
    if permission.allows(&Method::POST, caller.is_signed_in()) {
        description.insert(
            "actions".into(),
            serde_json::json!({ "POST": metadata::fields() }),
        );
    }
    reply(&description)
}

/// `OPTIONS /api/music/{id}/`: what it is, and what can be put by who asks, if there is such a music.
pub async fn describe_item(
    State(app): State<App>,
    Extension(endpoint): Extension<&'static Endpoint>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Response, Error> {
    let mut description = endpoint.describe();
    let permission = app.access().permission;
    let writable = permission.allows(&Method::PUT, caller.is_signed_in());
    if let Some(id) = id.ok().filter(|_| writable) {
        let exists = app
            .database()
            .work()
            .run(move |connection| Box::pin(store::exists(connection, id)))
            .await?;
        if exists {
            description.insert(
                "actions".into(),
                serde_json::json!({ "PUT": metadata::fields() }),
            );
        }
    }
    Ok(reply(&description))
}

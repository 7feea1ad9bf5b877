//! What the proxy and a deploy ask: is the process well, and is the database?

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::StatusCode;

use crate::database::latest_migration;
use crate::error::Error;
use crate::router::App;

/// Says that the process lives, or that it is draining. Never touches Postgres: a database that restarts must
/// not take every instance out of the balance.
#[utoipa::path(get, path = "/healthz", tag = "service", operation_id = "healthz", summary = "Is the process well?",
    responses((status = 200, description = "It is.", body = String, content_type = "text/plain", example = "ok\n"),
        (status = 503, description = "It is stopping.", body = String, content_type = "text/plain")))]
pub async fn healthz(State(app): State<App>) -> Response {
    if app.stop().is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    "ok\n".into_response()
}

/// Says whether the database answers and is up to date.
#[utoipa::path(get, path = "/readyz", tag = "service", operation_id = "readyz", summary = "Is the database there?",
    responses((status = 200, description = "It is, and up to date.", body = String, content_type = "text/plain", example = "ready\n")))]
pub async fn readyz(State(app): State<App>) -> Result<Response, Error> {
    // The migrator's own table: it is not part of the migrations, so the macro could not check this query.
    let query = "select exists (select from _sqlx_migrations where version = $1 and success)";
    let mut work = app.database().work();
    let asked = work.run(|connection| {
        sqlx::query_scalar::<_, bool>(query)
            .bind(latest_migration())
            .fetch_one(connection)
            .boxed()
    });
    let migrated = asked.await?;
    Ok(match migrated {
        true => "ready\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not migrated\n").into_response(),
    })
}

//! `/admin/`: what there is to keep.

use askama::Template;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;

use super::show as show_page;
use super::staff::{Staff, to_log_in};
use crate::auth::next;
use crate::error::Error;
use crate::page::{Frame, Visitor};
use crate::router::App;

#[derive(Template)]
#[template(path = "admin/home.html")]
struct Home {
    frame: Frame,
    notice: Option<String>,
}

/// `GET /admin/`
pub async fn show(State(app): State<App>, staff: Staff) -> Response {
    let page = Home {
        notice: staff.notice(),
        frame: staff.frame(&app, "Admin"),
    };
    show_page(StatusCode::OK, &page)
}

/// `GET /admin/login/`, where the original has its form: to the one form that there is for signing in.
pub async fn log_in(request: Request) -> Result<Response, Error> {
    let query = request.uri().query().unwrap_or_default();
    let (_, wished) = form_urlencoded::parse(query.as_bytes())
        .find(|(field, _)| field == "next")
        .unwrap_or_default();
    to_log_in(&next::local(&wished).unwrap_or_else(|| "/admin/".into()))
}

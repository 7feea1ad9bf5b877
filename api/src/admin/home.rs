//! `/admin/`: what there is to keep.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::show as show_page;
use super::staff::Staff;
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

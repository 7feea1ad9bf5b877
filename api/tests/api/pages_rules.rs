//! What every page promises: who sees which form, from where a form is taken, what a page may load.

use http::Method;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::pages::api_with;
use crate::pages_reader::{Browser, Seen};
use crate::support::{ADMIN, Api, PASSWORD, add_admin, request};
use api::permission::Permission;

#[sqlx::test(migrations = "../migrations")]
async fn a_form_of_another_site_writes_nothing(_: PgPoolOptions, database: PgConnectOptions) {
    add_admin(&database).await;
    let api = api_with(&database, Permission::Open).await;
    let mut browser = Browser::open(&api).await;
    browser.log_in(ADMIN, PASSWORD, "/api/").await;
    let form = browser.get("/api/music/").await.form("song");
    let mut lured = browser.lured_to("http://evil.test");
    let refused = lured
        .send(&form.with("song", "s").with("singer", "x"), "POST")
        .await;
    assert_eq!(refused.status(), 403);
    assert!(refused.answer.text().contains("CSRF Failed"));

    // Without a session, too, though anyone may write.
    let stranger = Browser::open(&api).await;
    let mut stranger = stranger.lured_to("http://evil.test");
    let form = stranger.get("/api/music/").await.form("song");
    let form = form.with("song", "s").with("singer", "x");
    assert_eq!(stranger.send(&form, "POST").await.status(), 403);
    assert_eq!(api.get("/api/music/").await.text(), "[]");
    // A client that says nothing of where it comes from shows the token that the page gave it.
    let fields = [
        ("accept", "text/html"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let body = "_method=POST&song=s&singer=x";
    let bare = api
        .send(request(Method::POST, "/api/music/", &fields, body))
        .await;
    assert_eq!(bare.status, 403);
    let mut with_cookie = fields.to_vec();
    with_cookie.push(("cookie", "csrftoken=abc"));
    let body = "_method=POST&song=s&singer=x&csrfmiddlewaretoken=abc";
    let shown = api
        .send(request(Method::POST, "/api/music/", &with_cookie, body))
        .await;
    assert_eq!(shown.status, 201);
}

#[sqlx::test(migrations = "../migrations")]
async fn only_a_form_of_a_page_is_taken_for_one(_: PgPoolOptions, database: PgConnectOptions) {
    let api = Api::start(&database).await;
    let form = "application/x-www-form-urlencoded";
    let site = ("sec-fetch-site", "same-origin");
    for (accept, kind, body, status) in [
        ("*/*", form, "_method=POST&song=s&singer=x", 415),
        (
            "application/json",
            form,
            "_method=POST&song=s&singer=x",
            415,
        ),
        ("text/html", form, "song=s&singer=x", 415),
        ("text/html", form, "_method=GET", 415),
        (
            "text/html",
            "text/plain",
            "_method=POST&song=s&singer=x",
            415,
        ),
        ("text/html", form, "_method=PUT&song=s&singer=x", 405),
        ("text/html", form, "_method=POST&song=s", 400),
        ("text/html", form, "_method=POST&song=s&singer=x", 201),
    ] {
        let headers = [("accept", accept), ("content-type", kind), site];
        let answer = api
            .send(request(Method::POST, "/api/music/", &headers, body))
            .await;
        assert_eq!(answer.status.as_u16(), status, "{accept} {kind} {body}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn who_may_not_write_sees_no_form_that_does(_: PgPoolOptions, database: PgConnectOptions) {
    for (permission, status, writes) in [
        (Permission::Open, 200, true),
        (Permission::ReadOnly, 200, false),
        (Permission::Authenticated, 403, false),
    ] {
        let api = api_with(&database, permission).await;
        let mut browser = Browser::open(&api).await;
        let list = browser.get("/api/music/").await;
        assert_eq!(
            (list.status(), list.has_form("song")),
            (status, writes),
            "{permission:?}"
        );
        assert_eq!(list.has_form("_content"), writes);
        assert!(list.has_form("OPTIONS"));
        assert_eq!(list.texts("code.instance"), ["api_7"]);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn every_page_says_what_it_may_load_and_that_nobody_keeps_it(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let api = Api::start(&database).await;
    let id = api.add("s", "x").await;
    let mut browser = Browser::open(&api).await;
    let item = format!("/api/music/{id}/");
    for (path, status) in [
        ("/api/", 200),
        ("/api/music/", 200),
        (item.as_str(), 200),
        ("/api/music/all_singer/", 200),
        ("/api/music/999999/", 404),
        ("/api/music/?cursor=x", 404),
        ("/api-auth/login/", 200),
        ("/api-auth/logout/", 405),
        ("/api/nosuch/", 404),
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status(), status, "{path}");
        let policy = page.answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self'"),
            "{path}"
        );
        assert_eq!(page.answer.header("x-frame-options"), "DENY");
        assert_eq!(page.answer.header("x-content-type-options"), "nosniff");
        assert_eq!(page.answer.header("referrer-policy"), "same-origin");
        assert!(
            page.answer.header("cache-control").contains("no-store"),
            "{path}"
        );
        assert_eq!(page.answer.header("x-instance"), "api_7");
        assert_eq!(page.attributes("html", "lang"), ["en"]);
        assert_eq!(
            (page.texts("title").len(), page.texts("h1").len()),
            (1, 1),
            "{path}"
        );
        assert!(page.texts("style").is_empty() && page.attributes("[style]", "style").is_empty());
        check_labels(&page, path);
    }
}

/// Every field has a label, and no id is there twice.
fn check_labels(page: &Seen, path: &str) {
    let labelled = page.attributes("label", "for");
    for kind in ["input", "select", "textarea"] {
        let names = page.attributes(kind, "name").len();
        let hidden = page.attributes(kind, "type");
        let hidden = hidden.iter().filter(|kind| *kind == "hidden").count();
        let ids = page.attributes(kind, "id");
        assert_eq!(ids.len(), names - hidden, "{path}: every {kind} has an id");
        assert!(
            ids.iter().all(|id| labelled.contains(id)),
            "{path}: {ids:?} {labelled:?}"
        );
    }
    let mut ids = page.attributes("[id]", "id");
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "{path}");
}

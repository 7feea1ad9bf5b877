//! The two addresses of a session as their clients meet them: methods, encodings of a form, refusals in JSON.

use api::auth::password::Passwords;
use http::{Method, StatusCode};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::database::is_unavailable;
use crate::relay::Relay;
use crate::sessions::{LOGIN, LOGOUT, SAME_SITE, cookie, post, start};
use crate::support::{ADMIN, Api, PASSWORD, Setup, add_admin, eventually, request};

#[sqlx::test(migrations = "../migrations")]
async fn a_client_that_wants_json_is_refused_in_json(_: PgPoolOptions, database: PgConnectOptions) {
    let api = start(&database).await;
    let evil = ("origin", "http://evil.example");
    let why = "CSRF Failed: Origin checking failed - http://evil.example does not match any trusted origins.";
    for path in [LOGIN, LOGOUT] {
        for (accept, is_json) in [
            ("application/json", true),
            ("application/json, text/plain, */*", true),
            ("text/html,application/xhtml+xml,*/*;q=0.8", false),
            ("*/*", false),
        ] {
            let answer = post(&api, path, &[evil, ("accept", accept)], "").await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {accept}");
            if is_json {
                assert_eq!(answer.header("content-type"), "application/json");
                assert_eq!(answer.json(), serde_json::json!({ "detail": why }));
                assert!(answer.header("cache-control").contains("no-store"));
            } else {
                assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
            }
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_form_in_parts_signs_in_too(_: PgPoolOptions, database: PgConnectOptions) {
    add_admin(&database).await;
    let api = start(&database).await;
    let part = |name: &str, value: &str| {
        format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let fields = [
        ("username", ADMIN),
        ("password", PASSWORD),
        ("next", "/api/music/"),
    ];
    let parts: String = fields
        .iter()
        .map(|(name, value)| part(name, value))
        .collect();
    let multipart = ("content-type", "multipart/form-data; boundary=edge");
    let send = async |body: String| {
        let headers = [multipart, SAME_SITE];
        api.send(request(Method::POST, LOGIN, &headers, body)).await
    };
    let right = send(format!("{parts}--edge--\r\n")).await;
    assert_eq!(
        (right.status.as_u16(), right.header("location")),
        (302, "/api/music/")
    );
    assert!(cookie(&right, "sessionid").is_some());
    let cut = send(parts).await;
    assert_eq!(cut.status, StatusCode::BAD_REQUEST);
    assert!(
        cut.json()["detail"]
            .as_str()
            .unwrap()
            .starts_with("Multipart form parse error")
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn where_to_go_may_stand_in_the_address(_: PgPoolOptions, database: PgConnectOptions) {
    add_admin(&database).await;
    let api = start(&database).await;
    let named = format!("username={ADMIN}&password={PASSWORD}");
    for (query, field, expected) in [
        ("?next=/api/music/", "", "/api/music/"),
        ("?next=/api/music/", "&next=/admin/", "/admin/"),
        // The form says that it is nowhere in particular.
        ("?next=/api/music/", "&next=", "/api/"),
        ("?next=//evil.example/", "", "/api/"),
        ("", "", "/api/"),
    ] {
        let body = format!("{named}{field}");
        let answer = post(&api, &format!("{LOGIN}{query}"), &[SAME_SITE], &body).await;
        assert_eq!(answer.header("location"), expected, "{query} {field}");
        let out = format!("/api-auth/logout/{query}");
        let answer = post(&api, &out, &[SAME_SITE], &field.replace('&', "")).await;
        assert_eq!(answer.header("location"), expected, "{out} {field}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_addresses_of_the_session_say_what_they_know(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let api = start(&database).await;
    for (path, allow) in [
        (LOGIN, "GET, POST, HEAD, OPTIONS"),
        (LOGOUT, "POST, OPTIONS"),
    ] {
        let options = api.send(request(Method::OPTIONS, path, &[], "")).await;
        assert_eq!(
            (options.status, options.text()),
            (StatusCode::OK, ""),
            "{path}"
        );
        assert_eq!(options.header("allow"), allow);
        assert_eq!(options.header("content-type"), "text/html; charset=utf-8");
        let other = api.send(request(Method::DELETE, path, &[], "")).await;
        assert_eq!(other.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(other.header("allow"), allow);
    }
    assert_eq!(
        api.send(request(Method::HEAD, LOGIN, &[], "")).await.status,
        StatusCode::OK
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_name_that_was_typed_outlasts_a_database_that_is_away(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    add_admin(&database).await;
    let relay = Relay::to(database).await;
    let api = start(&relay.database).await;
    let body = format!("username={ADMIN}&password={PASSWORD}&next=/api/music/");
    let browser = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    relay.take_down();
    let answer = post(&api, LOGIN, &[SAME_SITE, browser], &body).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.header("x-lb-cause"), "database");
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert!(answer.header("cache-control").contains("no-store"));
    let page = answer.text();
    assert!(page.contains("The database is not available."), "{page}");
    for field in [
        format!("name=\"username\" value=\"{ADMIN}\""),
        "name=\"next\" value=\"/api/music/\"".to_owned(),
    ] {
        assert!(page.contains(&field), "{field}: {page}");
    }
    assert!(!page.contains(PASSWORD));
    is_unavailable(&post(&api, LOGIN, &[SAME_SITE], &body).await);
    relay.open();
    eventually("it signs in", || async {
        let answer = post(&api, LOGIN, &[SAME_SITE, browser], &body).await;
        answer.status == StatusCode::FOUND
    })
    .await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_name_that_was_typed_outlasts_a_crowd(_: PgPoolOptions, database: PgConnectOptions) {
    add_admin(&database).await;
    let setup = Setup {
        passwords: Passwords::bounded(0, 0),
        ..Setup::default()
    };
    let api = Api::start_with(&database, setup).await;
    let body = format!("username={ADMIN}&password={PASSWORD}");
    let answer = post(&api, LOGIN, &[SAME_SITE], &body).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), "1");
    let field = format!("name=\"username\" value=\"{ADMIN}\"");
    assert!(answer.text().contains(&field), "{}", answer.text());
    assert!(!answer.text().contains(PASSWORD));
}

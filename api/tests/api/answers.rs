//! Requests and what they are answered: tables of status, body, and the headers that say what is allowed.

use http::{Method, StatusCode};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Api, NAME, Setup, request};
use api::permission::Permission;

/// Runs every case of a table, and names all that are wrong.
async fn check(api: &Api, table: &str) {
    let lines: Vec<_> = table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let mut wrong = Vec::new();
    for case in lines.chunks(2) {
        let (line, headers, body) = split_request(case[0]);
        let (method, path) = line.split_once(' ').unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = api
            .send(request(method, path, &headers, body.to_owned()))
            .await;
        let (status, text) = (answer.status.as_u16(), answer.text());
        let (allow, vary) = (answer.header("allow"), answer.header("vary"));
        let found = format!("    {status} [{allow}] [{vary}] {text}");
        let stamped =
            answer.header("x-instance") == NAME && !answer.header("x-request-id").is_empty();
        if found != case[1] || !stamped {
            wrong.push(format!(
                "{}\nexpected\n{}\nfound\n{found}\n{answer:?}",
                case[0], case[1]
            ));
        }
    }
    let count = lines.len() / 2;
    assert!(count > 10, "only {count} cases were read");
    assert!(
        wrong.is_empty(),
        "{} of {count} cases:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    let list = api.get("/api/music/").await.json();
    assert_eq!(list.as_array().unwrap().len(), 1, "no case writes");
}

/// Splits `METHOD PATH [HEADER: VALUE | …] BODY`.
pub(crate) fn split_request(case: &str) -> (&str, Vec<(&str, &str)>, &str) {
    let (line, rest) = case.split_once(" [").unwrap();
    let (headers, body) = rest.split_once(']').unwrap();
    let headers = headers
        .split(" | ")
        .filter_map(|header| header.split_once(": "));
    (line, headers.collect(), body.trim_start())
}

#[sqlx::test(migrations = "../migrations")]
async fn requests_are_answered_as_the_original_answers_them(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let api = Api::start(&database).await;
    api.add("s", "x").await;
    check(&api, include_str!("open.cases")).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn read_only_refuses_every_write_before_it_looks_at_it(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    Api::start(&database).await.add("s", "x").await;
    let setup = Setup {
        permission: Permission::ReadOnly,
        ..Setup::default()
    };
    let api = Api::start_with(&database, setup).await;
    check(&api, include_str!("read-only.cases")).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn an_address_without_its_slash_is_redirected_with_its_query(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let api = Api::start(&database).await;
    for (line, status, location) in [
        ("GET /api", 301, "/api/"),
        (
            "GET /api/music?x=1&y=%E6%AD%8C",
            301,
            "/api/music/?x=1&y=%E6%AD%8C",
        ),
        ("HEAD /api/music/1", 301, "/api/music/1/"),
        ("POST /api/music", 308, "/api/music/"),
        ("DELETE /api/music/1", 308, "/api/music/1/"),
        ("GET //evil.example/api/music", 404, ""),
    ] {
        let (method, path) = line.split_once(' ').unwrap();
        let answer = api
            .send(request(method.parse().unwrap(), path, &[], ""))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (status, location),
            "{line}"
        );
        assert_eq!(answer.header("x-instance"), NAME, "{line}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn options_names_the_fields_to_those_who_may_write_them(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let api = Api::start(&database).await;
    api.add("s", "x").await;
    for (path, action, length) in [("/api/music/", "POST", 638), ("/api/music/1/", "PUT", 641)] {
        let answer = api.send(request(Method::OPTIONS, path, &[], "")).await;
        assert_eq!(answer.status, StatusCode::OK);
        let song = &answer.json()["actions"][action]["song"];
        assert_eq!(
            song.to_string(),
            r#"{"type":"string","required":true,"read_only":false,"label":"Song"}"#
        );
        assert_eq!(
            answer.body.len(),
            length,
            "as long as what was recorded of the original"
        );
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_browser_gets_a_page_and_head_gets_only_the_head(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let api = Api::start(&database).await;
    api.add("<script>", "x").await;
    let page = api
        .send(request(
            Method::GET,
            "/api/music/9/",
            &[("accept", "text/html,*/*;q=0.8")],
            "",
        ))
        .await;
    assert_eq!(
        (page.status.as_u16(), page.header("content-type")),
        (404, "text/html; charset=utf-8")
    );
    let page = api
        .send(request(Method::GET, "/api/music/?format=api", &[], ""))
        .await;
    assert!(
        page.text().contains("&lt;script&gt;") && !page.text().contains("<script>"),
        "{}",
        page.text()
    );

    let full = api.get("/api/music/").await;
    let head = api
        .send(request(Method::HEAD, "/api/music/", &[], ""))
        .await;
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!(head.header("content-length"), full.body.len().to_string());
    assert!(head.body.is_empty());
}

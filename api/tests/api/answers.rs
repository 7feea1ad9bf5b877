//! One table of requests and what they are answered: status, body, and the headers that say what is allowed.

use http::{Method, StatusCode};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Api, NAME, Setup, request};
use api::permission::Permission;

const LIST: &str = "GET, POST, HEAD, OPTIONS";
const ITEM: &str = "GET, PUT, PATCH, DELETE, HEAD, OPTIONS";
const READ: &str = "GET, HEAD, OPTIONS";
const BOTH: &str = "Accept, Cookie";
const NOT_FOUND: &str = r#"{"detail":"Not found."}"#;
const NO_MUSIC: &str = r#"{"detail":"No Music matches the given query."}"#;
const NOT_ACCEPTABLE: &str = r#"{"detail":"Could not satisfy the request Accept header."}"#;
const BOTH_REQUIRED: &str =
    r#"{"song":["This field is required."],"singer":["This field is required."]}"#;
const FORBIDDEN: &str = r#"{"detail":"Authentication credentials were not provided."}"#;

/// `METHOD PATH`, headers, body; then status, body, `Allow`, `Vary`.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    u16,
    &'static str,
    &'static str,
    &'static str,
);

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const TEXT: &[(&str, &str)] = &[("content-type", "text/plain")];
const XML_ONLY: &[(&str, &str)] = &[
    ("accept", "application/xml"),
    ("content-type", "application/json"),
];

/// There is one music, with the id 1. No case changes it.
const CASES: &[Case] = &[
    // Validation, in the words of the original.
    (
        "POST /api/music/",
        JSON,
        r#"{"song":"s"}"#,
        400,
        r#"{"singer":["This field is required."]}"#,
        LIST,
        BOTH,
    ),
    (
        "POST /api/music/",
        JSON,
        "{}",
        400,
        BOTH_REQUIRED,
        LIST,
        BOTH,
    ),
    ("POST /api/music/", JSON, "", 400, BOTH_REQUIRED, LIST, BOTH),
    ("POST /api/music/", &[], "", 400, BOTH_REQUIRED, LIST, BOTH),
    ("POST /api/music/", TEXT, "", 400, BOTH_REQUIRED, LIST, BOTH),
    (
        "POST /api/music/",
        JSON,
        r#"{"song":null,"singer":true}"#,
        400,
        r#"{"song":["This field may not be null."],"singer":["Not a valid string."]}"#,
        LIST,
        BOTH,
    ),
    (
        "POST /api/music/",
        JSON,
        r#"{"song":" ","singer":"x"}"#,
        400,
        r#"{"song":["This field may not be blank."]}"#,
        LIST,
        BOTH,
    ),
    (
        "POST /api/music/",
        JSON,
        r#"{"song":"a\u0000b","singer":"x"}"#,
        400,
        r#"{"song":["Null characters are not allowed."]}"#,
        LIST,
        BOTH,
    ),
    (
        "POST /api/music/",
        JSON,
        r#"{"song":"\ud83d","singer":"x"}"#,
        400,
        r#"{"song":["Surrogate characters are not allowed: U+D83D."]}"#,
        LIST,
        BOTH,
    ),
    (
        "POST /api/music/",
        JSON,
        "[]",
        400,
        r#"{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}"#,
        LIST,
        BOTH,
    ),
    (
        "POST /api/music/",
        JSON,
        "null",
        400,
        r#"{"non_field_errors":["No data provided"]}"#,
        LIST,
        BOTH,
    ),
    (
        "POST /api/music/",
        JSON,
        "hello",
        400,
        r#"{"detail":"JSON parse error - expected value at line 1 column 1"}"#,
        LIST,
        BOTH,
    ),
    // The type of the body.
    (
        "POST /api/music/",
        TEXT,
        "{}",
        415,
        r#"{"detail":"Unsupported media type \"text/plain\" in request."}"#,
        LIST,
        BOTH,
    ),
    (
        "POST /api/music/",
        &[],
        "{}",
        415,
        r#"{"detail":"Unsupported media type \"\" in request."}"#,
        LIST,
        BOTH,
    ),
    (
        "PUT /api/music/1/",
        TEXT,
        "{}",
        415,
        r#"{"detail":"Unsupported media type \"text/plain\" in request."}"#,
        ITEM,
        BOTH,
    ),
    // The object comes before the body.
    (
        "PUT /api/music/1/",
        JSON,
        "{",
        400,
        r#"{"detail":"JSON parse error - EOF while parsing an object at line 1 column 1"}"#,
        ITEM,
        BOTH,
    ),
    ("PUT /api/music/9/", JSON, "{", 404, NO_MUSIC, ITEM, BOTH),
    ("PUT /api/music/9/", TEXT, "{}", 404, NO_MUSIC, ITEM, BOTH),
    (
        "PUT /api/music/9/",
        JSON,
        r#"{"song":"s","singer":"x"}"#,
        404,
        NO_MUSIC,
        ITEM,
        BOTH,
    ),
    (
        "PATCH /api/music/1/",
        JSON,
        r#"{"song":null}"#,
        400,
        r#"{"song":["This field may not be null."]}"#,
        ITEM,
        BOTH,
    ),
    ("PATCH /api/music/9/", JSON, "{}", 404, NO_MUSIC, ITEM, BOTH),
    ("DELETE /api/music/9/", &[], "", 404, NO_MUSIC, ITEM, BOTH),
    (
        "DELETE /api/music/abc/",
        &[],
        "",
        404,
        NOT_FOUND,
        ITEM,
        BOTH,
    ),
    // Ids.
    ("GET /api/music/9/", &[], "", 404, NO_MUSIC, ITEM, BOTH),
    (
        "GET /api/music/9223372036854775808/",
        &[],
        "",
        404,
        NO_MUSIC,
        ITEM,
        BOTH,
    ),
    ("GET /api/music/abc/", &[], "", 404, NOT_FOUND, ITEM, BOTH),
    ("GET /api/music/0_1/", &[], "", 404, NOT_FOUND, ITEM, BOTH),
    (
        "GET /api/music/%EF%BC%91/",
        &[],
        "",
        404,
        NOT_FOUND,
        ITEM,
        BOTH,
    ),
    ("GET /api/music/%FF/", &[], "", 404, NOT_FOUND, ITEM, BOTH),
    ("GET /api/music/%00/", &[], "", 404, NOT_FOUND, ITEM, BOTH),
    (
        "GET /api/music/1.0/",
        &[],
        "",
        404,
        NOT_FOUND,
        ITEM,
        "Accept",
    ),
    (
        "GET /api/music/abc/detail/",
        &[],
        "",
        404,
        NOT_FOUND,
        READ,
        BOTH,
    ),
    (
        "GET /api/music/9/detail/",
        &[],
        "",
        404,
        NO_MUSIC,
        READ,
        BOTH,
    ),
    (
        "GET /api/music/01/detail/",
        &[],
        "",
        200,
        r#"{"singer":"x","song":"s"}"#,
        READ,
        BOTH,
    ),
    (
        "GET /api/music/+1/detail/",
        &[],
        "",
        200,
        r#"{"singer":"x","song":"s"}"#,
        READ,
        BOTH,
    ),
    (
        "GET /api/music/%201/detail/",
        &[],
        "",
        200,
        r#"{"singer":"x","song":"s"}"#,
        READ,
        BOTH,
    ),
    (
        "GET /api//music///1/detail/",
        &[],
        "",
        200,
        r#"{"singer":"x","song":"s"}"#,
        READ,
        BOTH,
    ),
    // Methods.
    (
        "PUT /api/music/",
        JSON,
        "{}",
        405,
        r#"{"detail":"Method \"PUT\" not allowed."}"#,
        LIST,
        BOTH,
    ),
    (
        "POST /api/music/1/",
        JSON,
        "{}",
        405,
        r#"{"detail":"Method \"POST\" not allowed."}"#,
        ITEM,
        BOTH,
    ),
    (
        "POST /api/music/all_singer/",
        JSON,
        "{}",
        405,
        r#"{"detail":"Method \"POST\" not allowed."}"#,
        READ,
        BOTH,
    ),
    (
        "POST /api/music/1/detail/",
        JSON,
        "{}",
        405,
        r#"{"detail":"Method \"POST\" not allowed."}"#,
        READ,
        BOTH,
    ),
    (
        "POST /api/",
        JSON,
        "{}",
        405,
        r#"{"detail":"Method \"POST\" not allowed."}"#,
        READ,
        BOTH,
    ),
    (
        "FOO /api/music/",
        &[],
        "",
        405,
        r#"{"detail":"Method \"FOO\" not allowed."}"#,
        LIST,
        BOTH,
    ),
    (
        "TRACE /api/music/",
        &[],
        "",
        405,
        r#"{"detail":"Method \"TRACE\" not allowed."}"#,
        LIST,
        BOTH,
    ),
    // Formats.
    (
        "GET /api/music.xml",
        &[],
        "",
        404,
        NOT_FOUND,
        LIST,
        "Accept",
    ),
    (
        "GET /api/music/?format=xml",
        &[],
        "",
        404,
        NOT_FOUND,
        LIST,
        "Accept",
    ),
    (
        "GET /api/music/?format=json",
        &[("accept", "text/html")],
        "",
        406,
        NOT_ACCEPTABLE,
        LIST,
        "Accept",
    ),
    (
        "GET /api/music/1/",
        &[("accept", "image/png")],
        "",
        406,
        NOT_ACCEPTABLE,
        ITEM,
        "Accept",
    ),
    (
        "POST /api/music/",
        XML_ONLY,
        r#"{"song":"406?","singer":"x"}"#,
        406,
        NOT_ACCEPTABLE,
        LIST,
        "Accept",
    ),
    (
        "GET /api/music/1/detail.json",
        &[],
        "",
        200,
        r#"{"singer":"x","song":"s"}"#,
        READ,
        BOTH,
    ),
    (
        "GET /api/music/all_singer.json",
        &[],
        "",
        200,
        r#"["x"]"#,
        READ,
        BOTH,
    ),
    // The root.
    (
        "GET /api/",
        &[],
        "",
        200,
        r#"{"music":"http://music.test/api/music/"}"#,
        READ,
        BOTH,
    ),
    (
        "GET /api/.json",
        &[],
        "",
        200,
        r#"{"music":"http://music.test/api/music.json"}"#,
        READ,
        BOTH,
    ),
    (
        "GET /api/",
        &[
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "m.example"),
        ],
        "",
        200,
        r#"{"music":"https://m.example/api/music/"}"#,
        READ,
        BOTH,
    ),
    // Nothing there.
    ("GET /", &[], "", 404, NOT_FOUND, "", ""),
    ("GET /api/nosuch/", &[], "", 404, NOT_FOUND, "", ""),
    ("GET /API/music/", &[], "", 404, NOT_FOUND, "", ""),
    (
        "POST /healthz",
        &[],
        "",
        405,
        r#"{"detail":"Method \"POST\" not allowed."}"#,
        "GET,HEAD",
        "",
    ),
    // OPTIONS.
    (
        "OPTIONS /api/music/all_singer/",
        &[],
        "",
        200,
        r#"{"name":"All singer","description":"","renders":["application/json","text/html"],"parses":["application/json"]}"#,
        READ,
        BOTH,
    ),
    (
        "OPTIONS /api/music/9/",
        &[],
        "",
        200,
        r#"{"name":"Music Instance","description":"","renders":["application/json","text/html"],"parses":["application/json"]}"#,
        ITEM,
        BOTH,
    ),
    (
        "OPTIONS /api/",
        &[],
        "",
        200,
        r#"{"name":"Api Root","description":"The default basic root view for DefaultRouter","renders":["application/json","text/html"],"parses":["application/json","application/x-www-form-urlencoded","multipart/form-data"]}"#,
        READ,
        BOTH,
    ),
];

/// What an instance answers that nobody may write to.
const READ_ONLY_CASES: &[Case] = &[
    (
        "GET /api/music/all_singer/",
        &[],
        "",
        200,
        r#"["x"]"#,
        READ,
        BOTH,
    ),
    (
        "POST /api/music/",
        JSON,
        r#"{"song":"s","singer":"x"}"#,
        403,
        FORBIDDEN,
        LIST,
        BOTH,
    ),
    ("POST /api/music/", TEXT, "{", 403, FORBIDDEN, LIST, BOTH),
    ("PUT /api/music/", JSON, "{}", 403, FORBIDDEN, LIST, BOTH),
    ("PUT /api/music/9/", JSON, "{}", 403, FORBIDDEN, ITEM, BOTH),
    (
        "PATCH /api/music/1/",
        JSON,
        "{}",
        403,
        FORBIDDEN,
        ITEM,
        BOTH,
    ),
    ("DELETE /api/music/1/", &[], "", 403, FORBIDDEN, ITEM, BOTH),
    (
        "FOO /api/music/1/detail/",
        &[],
        "",
        403,
        FORBIDDEN,
        READ,
        BOTH,
    ),
    (
        "POST /api/music/",
        XML_ONLY,
        "{}",
        406,
        NOT_ACCEPTABLE,
        LIST,
        "Accept",
    ),
    (
        "POST /api/",
        JSON,
        "{}",
        405,
        r#"{"detail":"Method \"POST\" not allowed."}"#,
        READ,
        BOTH,
    ),
    (
        "OPTIONS /api/music/1/",
        &[],
        "",
        200,
        r#"{"name":"Music Instance","description":"","renders":["application/json","text/html"],"parses":["application/json"]}"#,
        ITEM,
        BOTH,
    ),
];

async fn check(api: &Api, cases: &[Case]) {
    let mut wrong = Vec::new();
    for (line, headers, body, status, expected, allow, vary) in cases {
        let (method, path) = line.split_once(' ').unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = api.send(request(method, path, headers, *body)).await;
        let found = (
            answer.status.as_u16(),
            answer.text(),
            answer.header("allow"),
            answer.header("vary"),
        );
        let stamped =
            answer.header("x-instance") == NAME && !answer.header("x-request-id").is_empty();
        if found != (*status, *expected, *allow, *vary) || !stamped {
            wrong.push(format!("{line} {body}\n  expected {status} {expected} {allow:?} {vary:?}\n  found {answer:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    assert_eq!(
        api.get("/api/music/")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        1,
        "no case writes"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn requests_are_answered_as_the_original_answers_them(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let api = Api::start(&database).await;
    api.add("s", "x").await;
    check(&api, CASES).await;
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
    check(&Api::start_with(&database, setup).await, READ_ONLY_CASES).await;
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

//! Who may do what: HTTP Basic, tokens, and the three permissions.

use std::time::{Duration, Instant};

use api::auth::accounts;
use api::auth::password::Passwords;
use api::permission::Permission;
use http::{Method, StatusCode};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{ADMIN, Answer, Api, PASSWORD, Setup, add_admin, request};

const JSON: (&str, &str) = ("content-type", "application/json");
const MUSIC: &str = r#"{"song":"s","singer":"x"}"#;
const ANONYMOUS: &str = r#"{"detail":"Authentication credentials were not provided."}"#;

/// The credentials of the admin, `admin:password123`.
const RIGHT: &str = "Basic YWRtaW46cGFzc3dvcmQxMjM=";
/// `admin:wrong`.
const WRONG: &str = "Basic YWRtaW46d3Jvbmc=";
/// `nobody:x`.
const NOBODY: &str = "Basic bm9ib2R5Ong=";

async fn start(database: &PgConnectOptions, permission: Permission) -> Api {
    let setup = Setup {
        permission,
        ..Setup::default()
    };
    Api::start_with(database, setup).await
}

/// Sends a request with an `Authorization`, or without if that is empty.
async fn send(api: &Api, line: &str, authorization: &str, from: &str) -> Answer {
    let (method, path) = line.split_once(' ').unwrap();
    let mut headers = vec![JSON, ("x-forwarded-for", from)];
    if !authorization.is_empty() {
        headers.push(("authorization", authorization));
    }
    let method: Method = method.parse().unwrap();
    let body = if method == Method::POST { MUSIC } else { "" };
    api.send(request(method, path, &headers, body)).await
}

#[sqlx::test(migrations = "../migrations")]
async fn authenticated_lets_nobody_in_without_credentials(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let token = format!("Token {}", add_admin(&database).await);
    let api = start(&database, Permission::Authenticated).await;
    let wrong = r#"{"detail":"Invalid username/password."}"#;
    let no_token = r#"{"detail":"Invalid token."}"#;
    let long = format!("Token {}", "0".repeat(40));
    for (line, authorization, status, body) in [
        ("GET /api/music/", "", 403, ANONYMOUS),
        ("POST /api/music/", "", 403, ANONYMOUS),
        ("PUT /api/music/", "", 403, ANONYMOUS),
        ("GET /api/music/999/", "", 403, ANONYMOUS),
        ("OPTIONS /api/music/", "", 403, ANONYMOUS),
        ("DELETE /api/music/1/", "", 403, ANONYMOUS),
        ("GET /api/music/all_singer/", "", 403, ANONYMOUS),
        ("GET /api/music/", "Bearer abc", 403, ANONYMOUS),
        (
            "GET /api/",
            "",
            200,
            r#"{"music":"http://music.test/api/music/"}"#,
        ),
        ("GET /api/music/", RIGHT, 200, "[]"),
        (
            "GET /api/music/",
            "basic YWRtaW46cGFzc3dvcmQxMjM=",
            200,
            "[]",
        ),
        ("GET /api/music/", token.as_str(), 200, "[]"),
        ("GET /api/music/", WRONG, 403, wrong),
        ("GET /api/music/", NOBODY, 403, wrong),
        // Credentials are looked at everywhere, as the original does.
        ("GET /api/", WRONG, 403, wrong),
        (
            "GET /api/music/",
            "Basic",
            403,
            r#"{"detail":"Invalid basic header. No credentials provided."}"#,
        ),
        ("GET /api/music/", "Token abc", 403, no_token),
        ("GET /api/music/", long.as_str(), 403, no_token),
    ] {
        let answer = send(&api, line, authorization, "192.0.2.1").await;
        assert_eq!(
            (answer.status.as_u16(), answer.text()),
            (status, body),
            "{line} {authorization}"
        );
        assert_eq!(answer.header("vary"), "Accept, Cookie");
        assert_eq!(answer.header("www-authenticate"), "");
        assert_ne!(answer.header("allow"), "");
    }
    let head = send(&api, "HEAD /api/music/", "", "192.0.2.1").await;
    assert_eq!(
        (head.status.as_u16(), head.header("content-length")),
        (403, "58")
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn read_only_lets_who_is_signed_in_write(_: PgPoolOptions, database: PgConnectOptions) {
    let token = format!("Token {}", add_admin(&database).await);
    let api = start(&database, Permission::ReadOnly).await;
    assert_eq!(
        send(&api, "POST /api/music/", "", "192.0.2.1").await.text(),
        ANONYMOUS
    );
    for authorization in [RIGHT, token.as_str()] {
        let answer = send(&api, "POST /api/music/", authorization, "192.0.2.1").await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    }
    let id = api.get("/api/music/").await.json()[0]["id"]
        .as_i64()
        .unwrap();
    let item = format!("/api/music/{id}/");
    for path in ["/api/music/", &item] {
        let line = format!("OPTIONS {path}");
        let anonymous = send(&api, &line, "", "192.0.2.1").await;
        assert!(
            anonymous.json().get("actions").is_none(),
            "{}",
            anonymous.text()
        );
        let signed_in = send(&api, &line, &token, "192.0.2.1").await;
        assert!(
            signed_in.json().get("actions").is_some(),
            "{}",
            signed_in.text()
        );
    }
    let deleted = send(&api, &format!("DELETE {item}"), RIGHT, "192.0.2.1").await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_taken_away_lets_nobody_in(pool: PgPoolOptions, database: PgConnectOptions) {
    let token = format!("Token {}", add_admin(&database).await);
    let api = start(&database, Permission::ReadOnly).await;
    assert_eq!(
        send(&api, "GET /api/", RIGHT, "192.0.2.1").await.status,
        200
    );

    let pool = pool.connect_with(database.clone()).await.unwrap();
    let switch = "update account set is_active = $1";
    sqlx::query(switch)
        .bind(false)
        .execute(&pool)
        .await
        .unwrap();
    let off = send(&api, "GET /api/", RIGHT, "192.0.2.1").await;
    assert_eq!(off.text(), r#"{"detail":"Invalid username/password."}"#);
    let off = send(&api, "GET /api/", &token, "192.0.2.1").await;
    assert_eq!(off.text(), r#"{"detail":"User inactive or deleted."}"#);
    sqlx::query(switch).bind(true).execute(&pool).await.unwrap();

    // The old password was right a moment ago, and is not any more.
    let mut connection = database.connect().await.unwrap();
    accounts::change_password(&mut connection, ADMIN, "another password".into())
        .await
        .unwrap();
    assert_eq!(
        send(&api, "GET /api/", RIGHT, "192.0.2.1").await.status,
        403
    );
    assert_eq!(
        send(&api, "GET /api/", &token, "192.0.2.1").await.status,
        200
    );
    assert_eq!(
        accounts::revoke_tokens(&mut connection, ADMIN)
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        send(&api, "GET /api/", &token, "192.0.2.1").await.status,
        403
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn wrong_passwords_are_limited_for_all_instances_but_not_for_everybody(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    add_admin(&database).await;
    let one = start(&database, Permission::ReadOnly).await;
    let other = start(&database, Permission::ReadOnly).await;
    assert_eq!(
        send(&one, "GET /api/", RIGHT, "192.0.2.1").await.status,
        200
    );
    for count in 0..10 {
        let api = if count % 2 == 0 { &one } else { &other };
        assert_eq!(send(api, "GET /api/", WRONG, "192.0.2.1").await.status, 403);
    }
    for api in [&one, &other] {
        let answer = send(api, "GET /api/", WRONG, "192.0.2.1").await;
        assert_eq!(
            answer.status,
            StatusCode::TOO_MANY_REQUESTS,
            "{}",
            answer.text()
        );
        let seconds: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=300).contains(&seconds));
        let text = format!("Expected available in {seconds} seconds.");
        assert!(answer.text().contains(&text), "{}", answer.text());
    }
    // Not even the right password, where it was not right before.
    assert_eq!(
        send(&other, "GET /api/", RIGHT, "192.0.2.1").await.status,
        429
    );
    assert_eq!(
        send(&one, "GET /api/", RIGHT, "192.0.2.1").await.status,
        200
    );
    // Another name from there, and the same name from elsewhere, may be tried.
    assert_eq!(
        send(&one, "GET /api/", NOBODY, "192.0.2.1").await.status,
        403
    );
    assert_eq!(
        send(&other, "GET /api/", RIGHT, "198.51.100.7")
            .await
            .status,
        200
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn over_the_bound_of_hashing_one_is_told_to_come_again(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let token = format!("Token {}", add_admin(&database).await);
    let setup = Setup {
        passwords: Passwords::bounded(0, 0),
        ..Setup::default()
    };
    let api = Api::start_with(&database, setup).await;
    let started = Instant::now();
    for authorization in [RIGHT, WRONG, NOBODY] {
        let answer = send(&api, "GET /api/", authorization, "192.0.2.1").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            (answer.header("retry-after"), answer.header("x-lb-cause")),
            ("1", "")
        );
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(
        send(&api, "GET /api/", &token, "192.0.2.1").await.status,
        200
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_client_that_sends_its_password_always_is_hashed_for_once(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    add_admin(&database).await;
    let api = start(&database, Permission::ReadOnly).await;
    let hash = api::auth::password::hash(PASSWORD).unwrap();
    let started = Instant::now();
    for _ in 0..5 {
        assert!(api::auth::password::hash(PASSWORD).unwrap() != hash);
    }
    let five_hashes = started.elapsed();
    assert_eq!(
        send(&api, "GET /api/", RIGHT, "192.0.2.1").await.status,
        200
    );
    let mut client = api.connect().await;
    let started = Instant::now();
    for _ in 0..100 {
        let headers = [("authorization", RIGHT)];
        let answer = client
            .send(request(Method::GET, "/api/", &headers, ""))
            .await;
        assert_eq!(answer.status, 200);
    }
    // A hash for each would take twenty times as long.
    assert!(
        started.elapsed() < five_hashes * 10,
        "{:?}",
        started.elapsed()
    );
}

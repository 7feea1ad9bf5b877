//! Sessions: signing in by a form, staying signed in on the other instance, and forged requests.

use api::auth::{accounts, purge};
use api::config::DatabaseConfig;
use api::permission::Permission;
use http::{Method, StatusCode, header};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{ADMIN, Answer, Api, PASSWORD, Setup, add_admin, request};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
pub(crate) const SAME_SITE: (&str, &str) = ("origin", "http://music.test");
pub(crate) const LOGIN: &str = "/api-auth/login/";
pub(crate) const LOGOUT: &str = "/api-auth/logout/";

pub(crate) async fn start(database: &PgConnectOptions) -> Api {
    let setup = Setup {
        permission: Permission::ReadOnly,
        ..Setup::default()
    };
    Api::start_with(database, setup).await
}

pub(crate) async fn post(api: &Api, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = [&[FORM], headers].concat();
    api.send(request(Method::POST, path, &headers, body.to_owned()))
        .await
}

async fn log_in(api: &Api, more: &str) -> Answer {
    let body = format!("username={ADMIN}&password={PASSWORD}{more}");
    post(api, LOGIN, &[SAME_SITE], &body).await
}

/// Returns the value that an answer gives a cookie.
pub(crate) fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let cookies = answer.headers.get_all(header::SET_COOKIE);
    let mut texts = cookies.iter().map(|cookie| cookie.to_str().unwrap());
    let pair = texts.find_map(|text| text.strip_prefix(name)?.strip_prefix('='))?;
    Some(pair.split(';').next().unwrap().to_owned())
}

/// Adds a music with these headers, and returns the status and the text.
async fn add(api: &Api, headers: &[(&str, &str)]) -> (u16, String) {
    let json = [("content-type", "application/json")];
    let headers = [&json, headers].concat();
    let body = r#"{"song":"s","singer":"x"}"#;
    let answer = api
        .send(request(Method::POST, "/api/music/", &headers, body))
        .await;
    (answer.status.as_u16(), answer.text().to_owned())
}

#[sqlx::test(migrations = "../migrations")]
async fn a_form_begins_and_ends_a_session(_: PgPoolOptions, database: PgConnectOptions) {
    add_admin(&database).await;
    let api = start(&database).await;
    let page = api.get("/api-auth/login/?next=/api/music/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.text().contains(r#"name="next" value="/api/music/""#));
    assert!(page.header("cache-control").contains("no-store"));
    let token = cookie(&page, "csrftoken").unwrap();
    assert!(page.text().contains(&token));

    let wrong = post(
        &api,
        LOGIN,
        &[SAME_SITE],
        "username=%3Cb%3E&password=wrong-pass",
    )
    .await;
    assert_eq!(wrong.status, StatusCode::OK);
    assert!(
        wrong
            .text()
            .contains("Please enter a correct username and password.")
    );
    assert!(wrong.text().contains("&#60;b&#62;") && !wrong.text().contains("wrong-pass"));
    assert_eq!(cookie(&wrong, "sessionid"), None);

    let right = log_in(&api, "&next=/api/music/").await;
    assert_eq!(
        (right.status.as_u16(), right.header("location")),
        (302, "/api/music/")
    );
    let id = cookie(&right, "sessionid").unwrap();
    assert!(id.len() >= 32, "128 bits");
    let session = format!("sessionid={id}");
    assert_eq!(add(&api, &[("cookie", &session), SAME_SITE]).await.0, 201);

    let refused = api.get(LOGOUT).await;
    assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
    let out = post(&api, LOGOUT, &[("cookie", &session), SAME_SITE], "next=/").await;
    assert_eq!((out.status.as_u16(), out.header("location")), (302, "/"));
    assert_eq!(cookie(&out, "sessionid").as_deref(), Some("\"\""));
    assert_eq!(add(&api, &[("cookie", &session), SAME_SITE]).await.0, 403);
    let headers = [("cookie", session.as_str())];
    let stale = api
        .send(request(Method::GET, "/api/music/", &headers, ""))
        .await;
    assert_eq!(stale.status, StatusCode::OK);
    assert_eq!(
        stale.header("set-cookie"),
        "sessionid=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=Lax"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn an_id_is_new_at_every_sign_in_and_stored_as_a_digest(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    add_admin(&database).await;
    let api = start(&database).await;
    let first = cookie(&log_in(&api, "").await, "sessionid").unwrap();
    let old = format!("sessionid={first}");
    let body = format!("username={ADMIN}&password={PASSWORD}");
    let again = post(&api, LOGIN, &[SAME_SITE, ("cookie", &old)], &body).await;
    let second = cookie(&again, "sessionid").unwrap();
    assert_ne!(first, second);
    assert_eq!(
        add(&api, &[("cookie", &old), SAME_SITE]).await.0,
        403,
        "it was replaced"
    );
    // An id that the client made up is not taken over.
    let made_up = format!("sessionid={}", "0".repeat(40));
    let answer = post(&api, LOGIN, &[SAME_SITE, ("cookie", &made_up)], &body).await;
    assert_ne!(cookie(&answer, "sessionid").unwrap(), "0".repeat(40));

    let pool = pool.connect_with(database).await.unwrap();
    let stored: Vec<Vec<u8>> = sqlx::query_scalar("select digest from session")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert_eq!(stored.len(), 2);
    assert!(
        stored
            .iter()
            .all(|digest| digest.len() == 32 && digest != second.as_bytes())
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn the_cookie_is_kept_from_scripts_and_from_plain_http(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    add_admin(&database).await;
    let api = start(&database).await;
    let body = format!("username={ADMIN}&password={PASSWORD}");
    for (proto, secure) in [("http", false), ("https", true)] {
        let headers = [
            ("sec-fetch-site", "same-origin"),
            ("x-forwarded-proto", proto),
        ];
        let answer = post(&api, LOGIN, &headers, &body).await;
        let cookies = answer.headers.get_all(header::SET_COOKIE);
        let mut texts = cookies.iter().map(|cookie| cookie.to_str().unwrap());
        let session = texts.find(|text| text.starts_with("sessionid=")).unwrap();
        assert!(session.contains("; HttpOnly; Max-Age=1209600; Path=/; SameSite=Lax"));
        assert_eq!(session.ends_with("; Secure"), secure, "{session}");
    }
    // A page that came in clear could be anybody's, even one of this host.
    let headers = [SAME_SITE, ("x-forwarded-proto", "https")];
    assert_eq!(post(&api, LOGIN, &headers, &body).await.status, 403);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_forged_request_is_refused(_: PgPoolOptions, database: PgConnectOptions) {
    add_admin(&database).await;
    let api = start(&database).await;
    let id = cookie(&log_in(&api, "").await, "sessionid").unwrap();
    let session = format!("sessionid={id}");
    let both = format!("{session}; csrftoken=abc");
    let failed = |why: &str| (403, format!(r#"{{"detail":"CSRF Failed: {why}"}}"#));
    for (headers, expected) in [
        (
            &[("cookie", session.as_str())][..],
            failed("CSRF cookie not set."),
        ),
        (&[("cookie", &both)], failed("CSRF token missing.")),
        (
            &[("cookie", &both), ("x-csrftoken", "abd")],
            failed("CSRF token from the 'X-Csrftoken' HTTP header incorrect."),
        ),
        (
            &[
                ("cookie", &both),
                ("x-csrftoken", "abc"),
                ("origin", "http://evil.example"),
            ],
            failed(
                "Origin checking failed - http://evil.example does not match any trusted origins.",
            ),
        ),
        (
            &[("cookie", &session), ("sec-fetch-site", "cross-site")],
            failed("Request from another site."),
        ),
    ] {
        assert_eq!(add(&api, headers).await, expected, "{headers:?}");
    }
    let behind_proxy = ("x-forwarded-host", "music.example:8080");
    for headers in [
        &[("cookie", both.as_str()), ("x-csrftoken", "abc")][..],
        &[("cookie", &session), SAME_SITE],
        &[("cookie", &session), ("sec-fetch-site", "same-origin")],
        &[
            ("cookie", &session),
            behind_proxy,
            ("origin", "https://music.example:8080"),
        ],
        // Credentials that a browser does not send by itself cannot be forged.
        &[
            ("authorization", "Basic YWRtaW46cGFzc3dvcmQxMjM="),
            ("origin", "http://evil.example"),
        ],
    ] {
        assert_eq!(add(&api, headers).await.0, 201, "{headers:?}");
    }
    let forged = format!("username={ADMIN}&password={PASSWORD}");
    for path in [LOGIN, LOGOUT] {
        let answer = post(&api, path, &[("origin", "http://evil.example")], &forged).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert!(
            answer
                .text()
                .contains("CSRF Failed: Origin checking failed")
        );
        assert_eq!(
            post(&api, path, &[], &forged).await.status,
            StatusCode::FORBIDDEN
        );
    }
    // As clients of the original sign in.
    let token = cookie(&api.get(LOGIN).await, "csrftoken").unwrap();
    let headers = [("cookie", format!("csrftoken={token}"))];
    let headers = headers
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let body = format!("{forged}&csrfmiddlewaretoken={token}");
    assert_eq!(
        post(&api, LOGIN, &headers, &body).await.status,
        StatusCode::FOUND
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_leads_to_another_site(_: PgPoolOptions, database: PgConnectOptions) {
    add_admin(&database).await;
    let api = start(&database).await;
    for (next, expected) in [
        ("/api/music/%3Flimit%3D5", "/api/music/?limit=5"),
        ("", "/api/"),
        ("//evil.example", "/api/"),
        ("/%5Cevil.example", "/api/"),
        ("%2F%2Fevil.example", "/api/"),
        ("/%252Fevil.example", "/api/"),
        ("/%09/evil.example", "/api/"),
        ("https://evil.example/", "/api/"),
        ("/a%0D%0ASet-Cookie:%20x=1", "/api/"),
    ] {
        let answer = log_in(&api, &format!("&next={next}")).await;
        assert_eq!(answer.header("location"), expected, "{next}");
        let page = api.get(&format!("{LOGIN}?next={next}")).await;
        assert!(!page.text().contains("evil.example"), "{next}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_session_holds_on_the_other_instance_and_ends_on_both(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    add_admin(&database).await;
    let (one, other) = (start(&database).await, start(&database).await);
    let id = cookie(&log_in(&one, "").await, "sessionid").unwrap();
    let session = format!("sessionid={id}");
    let headers = [("cookie", session.as_str()), SAME_SITE];
    assert_eq!(add(&other, &headers).await.0, 201);
    drop(one);
    assert_eq!(add(&other, &headers).await.0, 201);

    let mut connection = database.connect().await.unwrap();
    accounts::change_password(&mut connection, ADMIN, "another password".into())
        .await
        .unwrap();
    assert_eq!(
        add(&other, &headers).await.0,
        403,
        "a new password ends the sessions"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn what_has_expired_is_nobodys_and_is_purged(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    add_admin(&database).await;
    let api = start(&database).await;
    let id = cookie(&log_in(&api, "").await, "sessionid").unwrap();
    log_in(&api, "").await;
    post(&api, LOGIN, &[SAME_SITE], "username=a&password=wrong").await;
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let expire = "update session set expires = now() where digest = sha256($1)";
    let length = (id.len() as u64).to_le_bytes();
    let digested = [&length[..], id.as_bytes()].concat();
    let done = sqlx::query(expire)
        .bind(digested)
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(done.rows_affected(), 1);
    let session = format!("sessionid={id}");
    assert_eq!(add(&api, &[("cookie", &session), SAME_SITE]).await.0, 403);

    let config = DatabaseConfig {
        connect: database,
        wait: std::time::Duration::ZERO,
        connections: 1,
    };
    assert_eq!(purge::once(&config).await.unwrap(), 1);
    sqlx::query("update login_failure set began = now() - interval '301 seconds'")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(
        purge::once(&config).await.unwrap(),
        2,
        "a name and an address"
    );
    let left: i64 = sqlx::query_scalar("select count(*) from session")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(left, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_form_says_when_too_many_passwords_were_wrong(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    add_admin(&database).await;
    let api = start(&database).await;
    for _ in 0..10 {
        let answer = post(&api, LOGIN, &[SAME_SITE], "username=admin&password=no").await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    let answer = log_in(&api, "").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(
        answer
            .text()
            .contains("Too many wrong passwords. Please try again in")
    );
    assert_ne!(answer.header("retry-after"), "");
    assert_eq!(cookie(&answer, "sessionid"), None);
}

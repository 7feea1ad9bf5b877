//! Two instances as processes of their own, on one database.

use http::Method;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::time::timeout;

use crate::program::{SECRET, Serving, signal, url};
use crate::sessions::cookie;
use crate::support::{ADMIN, PASSWORD, PATIENCE, add_admin, request};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const SAME_SITE: (&str, &str) = ("origin", "http://music.test");

#[sqlx::test(migrations = "../migrations")]
async fn a_session_outlives_the_instance_that_began_it(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    add_admin(&database).await;
    let folder = tempfile::tempdir().unwrap();
    let mut one = Serving::start(folder.path(), "api_1", &database, &[]).await;
    let other = Serving::start(folder.path(), "api2_1", &database, &[]).await;
    let form = format!("username={ADMIN}&password={PASSWORD}");
    let headers = [FORM, SAME_SITE];
    let begun = one
        .send(request(Method::POST, "/api-auth/login/", &headers, form))
        .await;
    assert_eq!(
        (begun.status.as_u16(), begun.header("x-instance")),
        (302, "api_1")
    );
    let session = format!("sessionid={}", cookie(&begun, "sessionid").unwrap());

    signal(&one.child, "-KILL");
    timeout(PATIENCE, one.child.wait()).await.unwrap().unwrap();
    let headers = [
        ("cookie", session.as_str()),
        SAME_SITE,
        ("content-type", "application/json"),
    ];
    let added = other
        .send(request(
            Method::POST,
            "/api/music/",
            &headers,
            r#"{"song":"s","singer":"x"}"#,
        ))
        .await;
    assert_eq!(
        (added.status.as_u16(), added.header("x-instance")),
        (201, "api2_1")
    );
}

/// Everything secret is used, right and wrong, and none of it may be in what the instance prints.
#[sqlx::test(migrations = "../migrations")]
async fn no_secret_is_ever_logged(_: PgPoolOptions, database: PgConnectOptions) {
    let token = add_admin(&database).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("RUST_LOG", "trace"),
        ("ADMIN_USERNAME", ADMIN),
        ("ADMIN_PASSWORD", "the first password"),
    ];
    let serving = Serving::start(folder.path(), "api_1", &database, &settings).await;
    let ask =
        |method: Method, path: &'static str, headers: Vec<(&'static str, String)>, body: String| {
            let serving = &serving;
            async move {
                let headers: Vec<_> = headers
                    .iter()
                    .map(|(name, value)| (*name, value.as_str()))
                    .collect();
                serving.send(request(method, path, &headers, body)).await
            }
        };
    let form = |password: &str| format!("username={ADMIN}&password={password}&next=/");
    let plain = || {
        vec![
            (FORM.0, FORM.1.to_owned()),
            (SAME_SITE.0, SAME_SITE.1.to_owned()),
        ]
    };
    let wrong = ask(
        Method::POST,
        "/api-auth/login/",
        plain(),
        form("mistyped-password"),
    )
    .await;
    assert_eq!(wrong.status, 200);
    let right = ask(Method::POST, "/api-auth/login/", plain(), form(PASSWORD)).await;
    assert_eq!(right.status, 302);
    let session = cookie(&right, "sessionid").unwrap();
    let csrf = cookie(&right, "csrftoken").unwrap();
    let made_up = "0123456789".repeat(4);
    for (authorization, status) in [
        // admin:password123, and admin:mistyped-password.
        ("Basic YWRtaW46cGFzc3dvcmQxMjM=".to_owned(), 200),
        ("Basic YWRtaW46bWlzdHlwZWQtcGFzc3dvcmQ=".to_owned(), 403),
        (format!("Token {token}"), 200),
        (format!("Token {made_up}"), 403),
    ] {
        let headers = vec![("authorization", authorization)];
        let asked = ask(Method::GET, "/api/music/", headers, String::new()).await;
        assert_eq!(asked.status, status);
    }
    let mut headers = plain();
    headers.push(("cookie", format!("sessionid={session}; csrftoken={csrf}")));
    let out = ask(Method::POST, "/api-auth/logout/", headers, String::new()).await;
    assert_eq!(out.status, 302);

    let log = serving.log().await;
    assert!(log.contains("/api-auth/login/"), "{log}");
    for secret in [
        SECRET,
        PASSWORD,
        "mistyped-password",
        "the first password",
        "YWRtaW46",
        &token,
        &made_up,
        &session,
        &csrf,
        &url(&database),
    ] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
    assert!(!log.contains("argon2id$"), "a hash");
}

//! Forms of the admin that fail because the database is away: what was typed comes back, and can be sent again.

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};

use crate::admin::{browser_form, follow, start};
use crate::pages::api_with;
use crate::pages_reader::{Browser, Form, Seen};
use crate::relay::Relay;
use crate::support::{ADMIN, Api, PASSWORD};
use api::permission::Permission;

const ODD: &str = "\"><b>Blue</b>";

/// Sends a form, which fails as it does when the database is away.
async fn send_in_vain(browser: &mut Browser, form: &Form) -> Seen {
    let seen = browser.send(form, "").await;
    assert_eq!(seen.status(), 503, "{}", seen.answer.text());
    assert_eq!(seen.answer.header("retry-after"), "1");
    assert_eq!(seen.answer.header("x-lb-cause"), "database");
    assert_eq!(seen.texts("h1"), ["Please try again"]);
    assert!(
        !seen.answer.text().contains("password1"),
        "no password comes back"
    );
    assert!(
        !seen.answer.text().contains("<b>"),
        "what was typed is no markup"
    );
    seen
}

async fn signed_in(database: &PgConnectOptions) -> (Relay, Api, Browser) {
    let (first, _) = start(database).await;
    drop(first);
    let relay = Relay::to(database.clone()).await;
    let api = api_with(&relay.database, Permission::ReadOnly).await;
    let mut browser = Browser::open(&api).await;
    browser.log_in(ADMIN, PASSWORD, "/admin/").await;
    (relay, api, browser)
}

async fn is_back(browser: &mut Browser) {
    let mut status = 0;
    for _ in 0..1000 {
        status = browser.get("/admin/").await.status();
        if status == 200 {
            return;
        }
    }
    panic!("the database is not back: {status}");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_was_typed_comes_back_and_is_applied_when_it_is_sent_again(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let (relay, _api, mut browser) = signed_in(&database).await;
    let song = browser.get("/admin/music/add/").await.form("song");
    let song = song.with("song", ODD).with("singer", "Joni\r\nMitchell");
    let user = browser.get("/admin/users/add/").await.form("username");
    let mut user = user
        .with("username", "leo")
        .with("password", "password1")
        .with("again", "password1");
    user.values.push(("is_staff".into(), "on".into()));
    let mut rights = browser.get("/admin/users/1/").await.form("version");
    rights.values.retain(|(name, _)| name != "is_staff");
    let own = browser.get("/admin/password/").await.form("old");
    let own = own.with("old", "password1");

    relay.take_down();
    let kept = send_in_vain(&mut browser, &song).await.form("song");
    assert_eq!(kept.action, "/admin/music/add/");
    for field in ["song", "key", "version", "csrfmiddlewaretoken"] {
        assert_eq!(kept.value(field), song.value(field), "{field}");
    }
    assert_eq!(kept.value("singer").replace('\r', ""), "Joni\nMitchell");
    let user = send_in_vain(&mut browser, &user).await.form("username");
    assert_eq!(
        (user.value("username"), user.value("is_staff")),
        ("leo", "")
    );
    let rights = send_in_vain(&mut browser, &rights).await.form("version");
    assert_eq!(rights.value("is_active"), "");
    assert!(rights.values.iter().all(|(name, _)| name != "is_staff"));
    send_in_vain(&mut browser, &own).await.form("old");

    relay.open();
    is_back(&mut browser).await;
    let done = browser.send(&kept, "").await;
    let list = follow(&mut browser, &done).await;
    assert!(list.texts("p.done")[0].ends_with("was added."));
    assert_eq!(list.texts("td.long a"), [ODD]);
    let user = user
        .with("password", "password1")
        .with("again", "password1");
    let done = browser.send(&user, "").await;
    let page = follow(&mut browser, &done).await;
    assert_eq!(page.texts("h1"), ["leo"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_form_of_which_nobody_knows_what_became_finds_it_out(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let (relay, _api, mut browser) = signed_in(&database).await;
    let form = browser.get("/admin/music/add/").await.form("song");
    let form = form.with("song", "Blue").with("singer", "Joni");
    // It was applied, and then the database is away when the form is sent once more.
    let done = browser.send(&form, "").await;
    relay.freeze();
    let kept = send_in_vain(&mut browser, &form).await.form("song");
    relay.open();
    is_back(&mut browser).await;
    let again = browser.send(&kept, "").await;
    assert_eq!(
        again.answer.header("location"),
        done.answer.header("location")
    );
    let mut connection = database.connect().await.unwrap();
    let count: i64 = sqlx::query_scalar("select count(*) from music")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    assert_eq!(count, 1, "applied once");
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_is_given_a_form_that_another_site_has_filled_in(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let (relay, _api, browser) = signed_in(&database).await;
    relay.take_down();
    let mut form = browser_form("/admin/music/add/");
    form.values.push(("song".into(), "Lure".into()));
    let mut lured = browser.lured_to("http://evil.example");
    let seen = lured.send(&form, "").await;
    assert_eq!(seen.status(), 503);
    assert!(!seen.answer.text().contains("Lure"));
    assert!(!seen.has_form("song"));
}

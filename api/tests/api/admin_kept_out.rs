//! Who is no staff, and forms of other sites: they are kept out of every page of the admin.

use http::Method;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};

use crate::admin::{add_user, browser_form, location, start};
use crate::pages_reader::Browser;
use crate::support::{ADMIN, PASSWORD, request};

/// Every address of the admin, and whether a form is sent to it.
const ADDRESSES: [(&str, bool); 10] = [
    ("/admin/", false),
    ("/admin/music/", false),
    ("/admin/music/add/", true),
    ("/admin/music/delete/", true),
    ("/admin/music/1/", true),
    ("/admin/users/", false),
    ("/admin/users/add/", true),
    ("/admin/users/1/", true),
    ("/admin/users/1/password/", true),
    ("/admin/password/", true),
];

#[sqlx::test(migrations = "../migrations")]
async fn nobody_else_is_let_in_anywhere(_: PgPoolOptions, database: PgConnectOptions) {
    let (api, mut browser) = start(&database).await;
    add_user(&mut browser, "leo", "password1").await;
    let mut leo = Browser::open(&api).await;
    leo.log_in("leo", "password1", "/admin/").await;
    let mut nobody = Browser::open(&api).await;
    for (address, takes_forms) in ADDRESSES {
        let login = format!("/admin/login/?next={address}");
        let seen = nobody.get(address).await;
        assert_eq!(
            (seen.status(), location(&seen)),
            (302, login.as_str()),
            "{address}"
        );
        let refused = leo.get(address).await;
        assert_eq!(refused.status(), 403, "{address}");
        let back: String = form_urlencoded::byte_serialize(address.as_bytes()).collect();
        assert_eq!(
            refused.attributes("section a", "href")[0],
            format!("/api-auth/login/?next={back}")
        );
        let form = browser_form(address);
        if takes_forms {
            assert_eq!(nobody.send(&form, "").await.status(), 302, "{address}");
            assert_eq!(leo.send(&form, "").await.status(), 403, "{address}");
        } else {
            assert_eq!(browser.send(&form, "").await.status(), 405, "{address}");
        }
        // They are pages, and no part of the API, which answers this.
        let options = api.send(request(Method::OPTIONS, address, &[], "")).await;
        let allow = if takes_forms {
            "GET,HEAD,POST"
        } else {
            "GET,HEAD"
        };
        assert_eq!(
            (options.status.as_u16(), options.header("allow")),
            (405, allow),
            "{address}"
        );
    }
    assert_eq!(browser.get("/admin").await.status(), 301);
    assert_eq!(browser.get("/admin/nothing/").await.status(), 404);
    assert_eq!(browser.get("/admin/music/999/").await.status(), 404);
    assert_eq!(browser.get("/admin/users/x/").await.status(), 404);
    let login = nobody.get("/admin/login/?next=/admin/users/").await;
    let form = login.form("password").with("username", ADMIN);
    assert_eq!((login.status(), form.value("next")), (200, "/admin/users/"));
    let done = nobody.send(&form.with("password", PASSWORD), "").await;
    assert_eq!(location(&done), "/admin/users/");
    let away = nobody.get("/admin/login/?next=//evil.example").await;
    assert_eq!(away.form("password").value("next"), "");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_form_of_another_site_changes_nothing(_: PgPoolOptions, database: PgConnectOptions) {
    let (_api, mut browser) = start(&database).await;
    let form = browser.get("/admin/users/add/").await.form("username");
    let form = form
        .with("username", "eve")
        .with("password", "password1")
        .with("again", "password1");
    let mut lured = browser.lured_to("http://evil.example");
    let refused = lured.send(&form, "").await;
    assert_eq!(refused.status(), 403);
    let mut connection = database.connect().await.unwrap();
    let count: i64 = sqlx::query_scalar("select count(*) from account")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    assert_eq!(count, 1);
}

//! The browsable API, as somebody uses it whose browser runs no scripts.

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::pages_reader::Browser;
use crate::support::{ADMIN, Api, PASSWORD, Setup, add_admin};
use api::permission::Permission;

pub(crate) async fn api_with(database: &PgConnectOptions, permission: Permission) -> Api {
    let setup = Setup {
        permission,
        ..Setup::default()
    };
    Api::start_with(database, setup).await
}

#[sqlx::test(migrations = "../migrations")]
async fn somebody_logs_in_adds_changes_and_deletes_by_forms_alone(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    add_admin(&database).await;
    let api = api_with(&database, Permission::ReadOnly).await;
    let mut browser = Browser::open(&api).await;
    let list = browser.get("/api/music/").await;
    assert_eq!(list.status(), 200);
    assert!(!list.has_form("song"), "nobody has logged in");
    assert_eq!(list.texts("div.visitor"), ["Log in"]);
    let log_in = list.attributes("div.visitor a", "href").concat();
    assert_eq!(log_in, "/api-auth/login/?next=%2Fapi%2Fmusic%2F");
    let done = browser.log_in(ADMIN, PASSWORD, "/api/music/").await;
    assert_eq!(
        (done.status(), done.answer.header("location")),
        (302, "/api/music/")
    );

    let list = browser.get("/api/music/").await;
    assert_eq!(list.texts("form.visitor strong"), [ADMIN]);
    let form = list
        .form("song")
        .with("song", "Blue")
        .with("singer", "Joni");
    let added = browser.send(&form, "POST").await;
    assert_eq!(
        (added.status(), added.json()["song"].as_str()),
        (201, Some("Blue"))
    );
    assert!(
        added
            .texts("strong")
            .contains(&"HTTP 201 Created".to_owned())
    );
    let again = browser.send(&form, "POST").await;
    assert_eq!(
        (again.status(), again.json()),
        (201, added.json()),
        "sent twice, added once"
    );
    let other = browser.send(&form.with("song", "Both"), "POST").await;
    assert_eq!(other.status(), 201, "{}", other.answer.text());
    assert_ne!(
        other.json()["id"],
        added.json()["id"],
        "another song from the same page"
    );

    let item = added.attributes("p.done a", "href").concat();
    let page = browser.get(&item).await;
    let form = page.form("song");
    assert_eq!((form.value("song"), form.value("singer")), ("Blue", "Joni"));
    let saved = browser.send(&form.with("song", "Case of You"), "PUT").await;
    assert_eq!(
        (saved.status(), saved.json()["song"].as_str()),
        (200, Some("Case of You"))
    );
    let raw = saved
        .form("_content")
        .with("_content", r#"{"singer":"Prince"}"#);
    let saved = browser.send(&raw, "PATCH").await;
    assert_eq!(saved.status(), 200);
    assert_eq!(saved.json()["song"], "Case of You");
    assert_eq!(saved.json()["singer"], "Prince");

    let options = browser.send(&saved.form("OPTIONS"), "OPTIONS").await;
    assert_eq!(
        (options.status(), options.json()["name"].as_str()),
        (200, Some("Music Instance"))
    );
    let asked = browser.send(&saved.form("confirm"), "").await;
    assert_eq!(asked.texts("#confirm-title"), ["Delete this for good?"]);
    assert!(!asked.has_form("song"));
    let gone = browser.send(&asked.form("DELETE"), "DELETE").await;
    assert_eq!(gone.status(), 200);
    assert!(
        gone.texts("strong")
            .contains(&"HTTP 204 No Content".to_owned())
    );
    let missing = browser.get(&item).await;
    assert_eq!((missing.status(), missing.has_form("song")), (404, false));

    let out = browser.send(&missing.form("next"), "").await;
    assert_eq!(
        (out.status(), out.answer.header("location")),
        (302, item.as_str())
    );
    assert_eq!(
        browser.get("/api/music/").await.texts("div.visitor"),
        ["Log in"]
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refused_form_comes_back_with_its_values_and_messages(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let api = Api::start(&database).await;
    let mut browser = Browser::open(&api).await;
    let list = browser.get("/api/music/").await;
    let form = list.form("song").with("song", "S<1>").with("singer", "  ");
    let refused = browser.send(&form, "POST").await;
    assert_eq!(refused.status(), 400);
    assert_eq!(
        refused.texts("#singer-error"),
        ["This field may not be blank."]
    );
    assert_eq!(refused.form("song").value("song"), "S<1>");
    assert_eq!(refused.attributes("#singer", "aria-invalid"), ["true"]);
    let added = browser
        .send(&refused.form("song").with("singer", "x"), "POST")
        .await;
    assert_eq!(added.status(), 201);

    let raw = added.form("_content").with("_content", "{\"song\": <");
    let refused = browser.send(&raw, "POST").await;
    assert_eq!(refused.status(), 400);
    assert!(
        refused
            .texts("p.alert")
            .concat()
            .starts_with("JSON parse error")
    );
    assert_eq!(refused.form("_content").value("_content"), "{\"song\": <");
    let raw = added.form("_content").with("_content_type", "text/plain");
    assert_eq!(browser.send(&raw, "POST").await.status(), 415);

    let id = api.add("two\nlines", "x").await;
    let item = format!("/api/music/{id}/");
    let page = browser.get(&item).await;
    assert_eq!(page.form("song").value("song"), "two\nlines");
    let typed = page.form("song").with("song", "a\r\nb");
    assert_eq!(browser.send(&typed, "PUT").await.json()["song"], "a\nb");
    let wrong = browser
        .send(&page.form("song").with("song", ""), "PUT")
        .await;
    assert_eq!(wrong.status(), 400);
    assert_eq!(wrong.texts("#song-error"), ["This field may not be blank."]);
    assert_eq!(wrong.form("song").value("singer"), "x");
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_that_a_row_holds_is_read_as_markup(_: PgPoolOptions, database: PgConnectOptions) {
    let api = Api::start(&database).await;
    let long = "W".repeat(10_000);
    let odd = [
        "</pre><script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "</textarea></form><h1>gone",
        "{{ frame.csrf }} {% x %} &lt; &amp;",
        "\u{202e}abc\u{202c} \u{2067}x",
        "🎵 a\u{301} 歌",
        "http://evil.test/ javascript:alert(1)",
        "a\n\"'</textarea><script>",
        &long,
    ];
    let mut browser = Browser::open(&api).await;
    for text in odd {
        let id = api.add(text, text).await;
        for path in [
            "/api/music/".to_owned(),
            format!("/api/music/{id}/"),
            format!("/api/music/{id}/detail/"),
        ] {
            let page = browser.get(&path).await;
            assert_eq!(page.status(), 200);
            assert!(page.texts("script").is_empty() && page.attributes("img", "src").is_empty());
            assert_eq!(page.texts("h1").len(), 1, "{text}");
            assert!(
                page.attributes("a", "href")
                    .iter()
                    .all(|link| link.starts_with('/') || link == "#content"),
                "{text}"
            );
        }
        let page = browser.get(&format!("/api/music/{id}/")).await;
        assert_eq!(page.json()["song"], text);
        assert_eq!(page.form("song").value("song"), text);
    }
    let singers = browser.get("/api/music/all_singer/").await;
    assert_eq!(singers.json().as_array().unwrap().len(), odd.len());
    let hostile = "/api/music/?search=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&singer=%3Cb%3E&ordering=%3Cb%3E";
    let page = browser.get(hostile).await;
    assert!(page.texts("script").is_empty() && page.texts("b").is_empty());
    assert_eq!(
        page.form("search").value("search"),
        "\"><script>alert(1)</script>"
    );
}

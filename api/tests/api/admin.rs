//! The admin, as somebody of the staff uses it whose browser runs no scripts; and everybody else, who is kept out.

use http::{Method, header};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::pages::api_with;
use crate::pages_reader::{Browser, Form, Seen};
use crate::support::{ADMIN, Api, PASSWORD, add_admin, request};
use api::permission::Permission;

const ODD: [&str; 4] = [
    "<script>alert(1)</script>",
    "\"><b>x</b>&amp;",
    "\u{202e}turned",
    "🎵 歌",
];

pub(crate) async fn start(database: &PgConnectOptions) -> (Api, Browser) {
    add_admin(database).await;
    let api = api_with(database, Permission::ReadOnly).await;
    let mut browser = Browser::open(&api).await;
    let done = browser.log_in(ADMIN, PASSWORD, "/admin/").await;
    assert_eq!(location(&done), "/admin/");
    (api, browser)
}

pub(crate) fn location(seen: &Seen) -> &str {
    seen.answer.header("location")
}

/// Follows a redirect after a form.
pub(crate) async fn follow(browser: &mut Browser, seen: &Seen) -> Seen {
    assert_eq!(seen.status(), 303, "{}", seen.answer.text());
    let address = location(seen).to_owned();
    browser.get(&address).await
}

/// Adds a user by the form, and returns the page that follows.
pub(crate) async fn add_user(browser: &mut Browser, name: &str, password: &str) -> Seen {
    let form = browser.get("/admin/users/add/").await.form("username");
    let form = form
        .with("username", name)
        .with("password", password)
        .with("again", password);
    let done = browser.send(&form, "").await;
    follow(browser, &done).await
}

#[sqlx::test(migrations = "../migrations")]
async fn staff_add_change_find_and_delete_songs_by_forms_alone(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let (_api, mut browser) = start(&database).await;
    let home = browser.get("/admin/").await;
    assert_eq!(home.status(), 200);
    assert_eq!(home.texts("form.visitor strong"), [ADMIN]);

    let blank = browser.get("/admin/music/add/").await.form("song");
    let broken = browser.send(&blank, "").await;
    assert_eq!(broken.status(), 400);
    assert!(
        broken
            .answer
            .text()
            .contains("This field may not be blank.")
    );

    for song in ODD {
        let form = browser.get("/admin/music/add/").await.form("song");
        let form = form.with("song", song).with("singer", "Joni");
        let done = browser.send(&form, "").await;
        let again = browser.send(&form, "").await;
        assert_eq!(location(&done), location(&again), "sent twice, added once");
        let list = follow(&mut browser, &done).await;
        assert!(list.texts("p.done")[0].ends_with("was added."));
        let forged = location(&done).replace("added-", "deleted-");
        for made_up in [
            &forged,
            "/admin/music/?done=deleted-7",
            "/admin/?done=own-password",
        ] {
            let page = browser.get(made_up).await;
            assert!(page.texts("p.done").is_empty(), "{made_up}");
        }
    }
    let list = browser.get("/admin/music/?ordering=id").await;
    assert!(!list.answer.text().contains("<script>") && !list.answer.text().contains("<b>"));
    assert_eq!(
        list.texts("td.long a"),
        ODD,
        "every song is there, once, as text"
    );
    let ids = list.attributes("td input", "value");
    assert_eq!(ids.len(), 4);

    let page = browser.get(&format!("/admin/music/{}/", ids[0])).await;
    let form = page.form("song");
    assert_eq!(form.value("song"), ODD[0]);
    let done = browser.send(&form.with("song", "Blue"), "").await;
    let list = follow(&mut browser, &done).await;
    assert!(list.texts("p.done")[0].ends_with("was saved."));
    // The page was opened before that: it does not undo it without a word.
    let stale = browser
        .send(&page.form("song").with("song", "Green"), "")
        .await;
    assert_eq!(stale.status(), 409);
    assert!(
        stale
            .answer
            .text()
            .contains("Somebody else has changed this song")
    );
    assert_eq!(
        stale.form("song").value("song"),
        "Green",
        "what was typed is kept"
    );

    let found = browser.get("/admin/music/?search=blue").await;
    assert_eq!(found.texts("td.long a"), ["Blue"]);
    let sorted = browser.get("/admin/music/?ordering=song").await;
    assert_eq!(sorted.attributes("th", "aria-sort")[1], "ascending");

    let asked = browser
        .get(&format!(
            "/admin/music/delete/?id={}&id={}&id={}",
            ids[0], ids[1], ids[2]
        ))
        .await;
    assert!(asked.texts("h2")[0].contains("these 3 songs"));
    assert_eq!(
        browser.get("/admin/music/").await.texts("td.long a").len(),
        4,
        "not yet"
    );
    let done = browser.send(&asked.form("id"), "").await;
    let list = follow(&mut browser, &done).await;
    assert_eq!(list.texts("p.done"), ["3 songs were deleted."]);
    assert_eq!(list.texts("td.long a"), [ODD[3]]);
}

#[sqlx::test(migrations = "../migrations")]
async fn staff_keep_users_and_what_they_may_holds_at_once(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let (api, mut browser) = start(&database).await;
    for (name, password, again, sentence) in [
        (
            "leo",
            "password1",
            "password2",
            "The two passwords are not the same.",
        ),
        ("leo", "short", "short", "at least 8 characters"),
        (
            "a b",
            "password1",
            "password1",
            "A name has 1 to 150 characters",
        ),
        (
            ADMIN,
            "password1",
            "password1",
            "There is a user of this name already.",
        ),
    ] {
        let form = browser.get("/admin/users/add/").await.form("username");
        let form = form
            .with("username", name)
            .with("password", password)
            .with("again", again);
        let refused = browser.send(&form, "").await;
        assert_eq!(refused.status(), 400, "{sentence}");
        assert!(refused.answer.text().contains(sentence), "{sentence}");
        assert!(!refused.answer.text().contains("value=\"password1\""));
    }
    let user = add_user(&mut browser, "leo", "password1").await;
    assert!(user.texts("p.done")[0].starts_with("The user was added"));

    let mut leo = Browser::open(&api).await;
    assert_eq!(
        location(&leo.log_in("leo", "password1", "/admin/").await),
        "/admin/"
    );
    let refused = leo.get("/admin/").await;
    assert_eq!(refused.status(), 403);
    assert!(
        refused
            .answer
            .text()
            .contains("not as somebody of the staff")
    );

    let address = browser
        .get("/admin/users/?search=le")
        .await
        .attributes("td a", "href")
        .concat();
    let form = rights(&mut browser, &address, &["is_active", "is_staff"]).await;
    let saved = browser.send(&form, "").await;
    assert_eq!(
        follow(&mut browser, &saved).await.texts("p.done"),
        ["The user was saved."]
    );
    assert_eq!(
        leo.get("/admin/").await.status(),
        200,
        "staff now, in the same session"
    );

    let form = browser
        .get(&format!("{address}password/"))
        .await
        .form("password");
    let form = form
        .with("password", "password9")
        .with("again", "password9");
    let set = browser.send(&form, "").await;
    assert!(follow(&mut browser, &set).await.texts("p.done")[0].contains("password was set"));
    assert_eq!(
        leo.get("/admin/").await.status(),
        302,
        "the sessions of the old password ended"
    );
    assert_eq!(
        location(&leo.log_in("leo", "password9", "/admin/").await),
        "/admin/"
    );

    let form = rights(&mut browser, &address, &[]).await;
    browser.send(&form, "").await;
    assert_eq!(leo.get("/admin/").await.status(), 302, "switched off");
    let out = leo.log_in("leo", "password9", "/admin/").await;
    assert_eq!(out.status(), 200, "and cannot come back");

    for (path, status) in [("/admin/users/add/", 400), ("/api-auth/login/", 200)] {
        let body = "username=a%00b&password=password1&again=password1";
        let refused = browser.send_raw(path, body).await;
        assert_eq!(refused.status(), status, "{path}");
    }
    let own = browser
        .get("/admin/users/")
        .await
        .attributes("td a", "href");
    let page = browser.get(&format!("{}password/", own[0])).await;
    // There the old one is asked for.
    assert_eq!(location(&page), "/admin/password/");
    let mut bare = browser_form(&own[0]);
    bare.values.push(("is_active".into(), "on".into()));
    let refused = browser.send(&bare, "").await;
    assert_eq!(refused.status(), 400);
    assert!(
        refused
            .answer
            .text()
            .contains("cannot take your own rights away")
    );
}

/// The form of a user's rights as it is now, with these ticked.
pub(crate) async fn rights(browser: &mut Browser, address: &str, ticked: &[&str]) -> Form {
    let mut form = browser.get(address).await.form("version");
    form.values.retain(|(name, _)| !name.starts_with("is_"));
    let ticked = ticked.iter().map(|name| (*name).to_owned());
    form.values
        .extend(ticked.map(|name| (name, "on".to_owned())));
    form
}

/// A form with nothing in it.
pub(crate) fn browser_form(action: &str) -> Form {
    Form {
        method: "post".into(),
        action: action.into(),
        values: Vec::new(),
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn ones_own_password_ends_the_other_sessions_and_keeps_this_one(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let (api, mut browser) = start(&database).await;
    let mut other = Browser::open(&api).await;
    other.log_in(ADMIN, PASSWORD, "/admin/").await;
    assert_eq!(other.get("/admin/").await.status(), 200);
    let form = |page: Seen, old: &str| {
        page.form("old")
            .with("old", old)
            .with("password", "another1")
            .with("again", "another1")
    };
    let wrong = form(browser.get("/admin/password/").await, "not it at all");
    let refused = browser.send(&wrong, "").await;
    assert_eq!(refused.status(), 400);
    assert!(refused.answer.text().contains("This is not your password."));
    let right = form(browser.get("/admin/password/").await, PASSWORD);
    let done = browser.send(&right, "").await;
    assert!(
        follow(&mut browser, &done).await.texts("p.done")[0].contains("Your password was changed")
    );
    assert_eq!(other.get("/admin/").await.status(), 302);
    assert_eq!(
        location(&other.log_in(ADMIN, "another1", "/admin/").await),
        "/admin/"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn one_instance_goes_on_where_another_has_begun(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let (api, mut browser) = start(&database).await;
    let session = browser.get("/admin/").await;
    assert_eq!(session.status(), 200);
    let other = api_with(&database, Permission::ReadOnly).await;
    let form = browser.get("/admin/music/add/").await.form("song");
    let done = browser
        .send(&form.with("song", "Blue").with("singer", "Joni"), "")
        .await;
    drop(api);
    let cookies = browser.cookies();
    let headers = [("cookie", cookies.as_str()), ("accept", "text/html")];
    let asked = request(Method::GET, location(&done), &headers, "");
    let answer = other.send(asked).await;
    assert_eq!(answer.status.as_u16(), 200);
    assert!(answer.text().contains("was added.") && answer.text().contains("Blue"));
    assert!(
        answer.headers[header::CACHE_CONTROL]
            .to_str()
            .unwrap()
            .contains("no-store")
    );
}

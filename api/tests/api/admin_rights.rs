//! What users may do, when several of the staff change it at once.

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::admin::{add_user, browser_form, follow, location, rights, start};
use crate::pages_reader::Browser;
use crate::support::{ADMIN, PASSWORD};

/// Returns the address of a user's page.
async fn address(browser: &mut Browser, name: &str) -> String {
    let list = browser.get(&format!("/admin/users/?search={name}")).await;
    list.attributes("td a", "href").concat()
}

async fn staff(pool: &PgPool) -> i64 {
    let count = "select count(*) from account where is_staff and is_active";
    sqlx::query_scalar(count).fetch_one(pool).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn two_who_take_each_others_rights_leave_one_of_them(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let (api, mut one) = start(&database).await;
    add_user(&mut one, "leo", "password1").await;
    let (of_one, of_other) = (
        address(&mut one, ADMIN).await,
        address(&mut one, "leo").await,
    );
    let mut other = Browser::open(&api).await;
    for round in 0..30 {
        let all = "update account set is_staff = true, is_active = true";
        sqlx::query(all).execute(&pool).await.unwrap();
        // Who was switched off has no session any more.
        for (browser, name, password) in [
            (&mut one, ADMIN, PASSWORD),
            (&mut other, "leo", "password1"),
        ] {
            if browser.get("/admin/").await.status() != 200 {
                let done = browser.log_in(name, password, "/admin/").await;
                assert_eq!(location(&done), "/admin/", "{name} in round {round}");
            }
        }
        let left: &[&str] = if round % 2 == 0 { &["is_active"] } else { &[] };
        let takes = rights(&mut one, &of_other, left).await;
        let takes_back = rights(&mut other, &of_one, left).await;
        let (first, second) = if round % 3 == 0 {
            let (second, first) = tokio::join!(other.send(&takes_back, ""), one.send(&takes, ""));
            (first, second)
        } else {
            tokio::join!(one.send(&takes, ""), other.send(&takes_back, ""))
        };
        let mut statuses = [first.status(), second.status()];
        statuses.sort_unstable();
        assert_eq!(staff(&pool).await, 1, "round {round}: {statuses:?}");
        // The second one is no staff any more: known by the session, by the row, or by that it is out altogether.
        assert!(
            matches!(statuses, [303, 403] | [302, 303]),
            "round {round}: {statuses:?}"
        );
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_form_that_was_opened_before_another_change_changes_nothing(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let (_api, mut browser) = start(&database).await;
    add_user(&mut browser, "leo", "password1").await;
    let leo = address(&mut browser, "leo").await;
    let stale = rights(&mut browser, &leo, &["is_active", "is_staff"]).await;
    let off = rights(&mut browser, &leo, &[]).await;
    let saved = browser.send(&off, "").await;
    assert_eq!(saved.status(), 303);

    let refused = browser.send(&stale, "").await;
    assert_eq!(refused.status(), 409);
    // Nor does it hold on to the rows: the next change may come by another instance, which would wait for them.
    sqlx::query("select id from account for update nowait")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert!(refused.texts("p.alert")[0].starts_with("Somebody else has changed these rights"));
    assert_eq!(refused.attributes("p.alert a", "href"), [leo.as_str()]);
    let again = refused.form("version");
    assert_eq!(again.value("is_staff"), "", "ticked as it was sent");
    assert_eq!(staff(&pool).await, 1, "nothing was changed");
    assert_eq!(
        browser.send(&again, "").await.status(),
        409,
        "nor by sending it once more"
    );
    let mut bare = browser_form(&leo);
    bare.values.push(("is_active".into(), "on".into()));
    assert_eq!(browser.send(&bare, "").await.status(), 409);

    // Opened again it shows how it is now, and then it may be changed. That leo signs in meanwhile is no matter.
    let fresh = rights(&mut browser, &leo, &["is_active", "is_staff"]).await;
    sqlx::query("update account set last_login = now()")
        .execute(&pool)
        .await
        .unwrap();
    let saved = browser.send(&fresh, "").await;
    let list = follow(&mut browser, &saved).await;
    assert_eq!(list.texts("p.done"), ["The user was saved."]);
    assert_eq!(staff(&pool).await, 2);
}

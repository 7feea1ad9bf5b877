//! The long lists of the admin, page by page, forth and back.

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::admin::start;
use crate::pages_reader::{Browser, Seen};

/// Returns where a link of the pager leads; empty if it is not there.
fn link(seen: &Seen, name: &str) -> String {
    let (names, links) = (
        seen.texts("nav.pager a"),
        seen.attributes("nav.pager a", "href"),
    );
    let found = names.iter().position(|text| text == name);
    found.map_or_else(String::new, |at| links[at].clone())
}

/// Leafs from a page to the last one and back to the first; returns what each page shows, by `selector`.
async fn leaf_through(browser: &mut Browser, first: &str, selector: &str) -> Vec<Vec<String>> {
    let (mut pages, mut address) = (Vec::new(), first.to_owned());
    let last = loop {
        let seen = browser.get(&address).await;
        assert_eq!(seen.status(), 200, "{address}");
        pages.push(seen.texts(selector));
        let number = format!("Page {}", pages.len());
        assert_eq!(seen.texts("nav.pager span"), [number.as_str()]);
        address = link(&seen, "Next");
        if address.is_empty() {
            break seen;
        }
    };
    let mut seen = last;
    for page in pages.iter().rev().skip(1) {
        seen = browser.get(&link(&seen, "Previous")).await;
        assert_eq!(&seen.texts(selector), page, "the same on the way back");
    }
    assert_eq!(link(&seen, "Previous"), "");
    pages
}

#[sqlx::test(migrations = "../migrations")]
async fn every_row_is_met_once_on_the_way_and_again_on_the_way_back(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let (_api, mut browser) = start(&database).await;
    let songs = "insert into music (song, singer)
                 select repeat('x', i % 3 * 150) || ' song ' || i % 7, 'singer ' || i % 5 from generate_series(1, 120) i";
    sqlx::query(songs).execute(&pool).await.unwrap();
    for ordering in ["", "id", "song", "-singer", "last_modify_date"] {
        let first = format!("/admin/music/?ordering={ordering}");
        let pages = leaf_through(&mut browser, &first, "td.long a").await;
        let lengths: Vec<_> = pages.iter().map(Vec::len).collect();
        assert_eq!(lengths, [50, 50, 20], "{ordering}");
    }
    let first = "/admin/music/?search=%22singer+1%22&ordering=-id";
    let found = leaf_through(&mut browser, first, "td.long a").await;
    assert_eq!(found.concat().len(), 24);
    let mut ids = Vec::new();
    let mut address = "/admin/music/".to_owned();
    while !address.is_empty() {
        let seen = browser.get(&address).await;
        ids.extend(seen.attributes("td input", "value"));
        address = link(&seen, "Next");
    }
    let expected: Vec<_> = (1..=120).rev().map(|id| id.to_string()).collect();
    assert_eq!(ids, expected);
    // A cursor of another order, or one that was made up, leads nowhere.
    for odd in ["x", "W10", "%00"] {
        let address = format!("/admin/music/?cursor={odd}");
        assert_eq!(browser.get(&address).await.status(), 404, "{odd}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn users_are_leafed_through_by_their_names(pool: PgPoolOptions, database: PgConnectOptions) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let (_api, mut browser) = start(&database).await;
    let users = "insert into account (name, password) select 'user' || i % 10 || '-' || i, '' from generate_series(1, 104) i";
    sqlx::query(users).execute(&pool).await.unwrap();
    let pages = leaf_through(&mut browser, "/admin/users/", "td a").await;
    let lengths: Vec<_> = pages.iter().map(Vec::len).collect();
    assert_eq!(lengths, [50, 50, 5]);
    let (all, mut sorted) = (pages.concat(), pages.concat());
    sorted.sort();
    sorted.dedup();
    assert_eq!(all.len(), sorted.len(), "everybody once");
    let found = leaf_through(&mut browser, "/admin/users/?search=USER1", "td a").await;
    assert_eq!(found.concat().len(), 11);
    let odd = browser.get("/admin/users/?after=%00&before=").await;
    assert_eq!(odd.status(), 200);
}

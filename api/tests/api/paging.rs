//! Parts of the list: pages by number and by cursor, search, order, one singer, and all of them together.

use http::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Api, request};

const LIST: &str = "/api/music/";

/// Seven rows whose songs, singers and dates are in other orders than their ids.
async fn filled(pool: PgPoolOptions, database: &PgConnectOptions) -> (PgPool, Api) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    sqlx::query(
        "insert into music (song, singer, created) values
             ('Moon river', 'Andy', '2020-01-07'), ('blue moon', 'Ella', '2020-01-01'),
             ('Garden', 'Leo', '2020-01-05'), ('moonlight', 'ella', '2020-01-01'),
             ('100% you', 'Ella', '2020-01-03'), ('月亮代表我的心', '鄧麗君', '2020-01-02'),
             ('Garden', 'Moon under water', '2020-01-06')",
    )
    .execute(&pool)
    .await
    .unwrap();
    let api = Api::start(database).await;
    (pool, api)
}

fn ids(rows: &Value) -> Vec<i64> {
    let rows = rows.as_array().unwrap();
    rows.iter()
        .map(|music| music["id"].as_i64().unwrap())
        .collect()
}

async fn get(api: &Api, query: &str) -> Value {
    let answer = api.get(&format!("{LIST}{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer.json()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_numbered_page_knows_its_neighbours(pool: PgPoolOptions, database: PgConnectOptions) {
    let (_pool, api) = filled(pool, &database).await;
    let at = |query: &str| json!(format!("http://music.test{LIST}{query}"));
    for (query, expected, next, previous) in [
        (
            "?limit=3",
            vec![1, 2, 3],
            at("?limit=3&offset=3"),
            Value::Null,
        ),
        (
            "?offset=3&limit=3",
            vec![4, 5, 6],
            at("?limit=3&offset=6"),
            at("?limit=3"),
        ),
        (
            "?limit=3&offset=6",
            vec![7],
            Value::Null,
            at("?limit=3&offset=3"),
        ),
        (
            "?limit=3&offset=4",
            vec![5, 6, 7],
            Value::Null,
            at("?limit=3&offset=1"),
        ),
        (
            "?limit=3&offset=7",
            vec![],
            Value::Null,
            at("?limit=3&offset=4"),
        ),
        (
            "?limit=3&offset=2",
            vec![3, 4, 5],
            at("?limit=3&offset=5"),
            at("?limit=3"),
        ),
        (
            "?limit=7&offset=x",
            vec![1, 2, 3, 4, 5, 6, 7],
            Value::Null,
            Value::Null,
        ),
        (
            "?limit=2&x=%E6%9C%88&ordering=-id",
            vec![7, 6],
            at("?limit=2&offset=2&ordering=-id&x=%E6%9C%88"),
            Value::Null,
        ),
    ] {
        let page = get(&api, query).await;
        assert_eq!(ids(&page["results"]), expected, "{query}");
        assert_eq!(
            (&page["next"], &page["previous"]),
            (&next, &previous),
            "{query}"
        );
        assert_eq!(page["count"], 7, "{query}");
        let names: Vec<_> = page.as_object().unwrap().keys().collect();
        assert_eq!(names, ["count", "next", "previous", "results"]);
    }
    for query in [
        "",
        "?limit=0",
        "?limit=-1",
        "?limit=abc",
        "?limit=",
        "?offset=3",
    ] {
        assert_eq!(ids(&get(&api, query).await).len(), 7, "{query}");
    }
    let suffix = api.get("/api/music.json?limit=6").await.json();
    let next = "http://music.test/api/music.json?limit=6&offset=6";
    assert_eq!(suffix["next"], next);
    let headers = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "m.example"),
    ];
    let forwarded = api
        .send(request(Method::GET, "/api/music/?limit=6", &headers, ""))
        .await;
    let next = "https://m.example/api/music/?limit=6&offset=6";
    assert_eq!(forwarded.json()["next"], next);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_list_is_searched_narrowed_and_ordered(pool: PgPoolOptions, database: PgConnectOptions) {
    let (_pool, api) = filled(pool, &database).await;
    for (query, expected) in [
        ("?search=MOON", vec![1, 2, 4, 7]),
        ("?search=moon+ella", vec![2, 4]),
        ("?search=ella,moon", vec![2, 4]),
        ("?search=%22moon+river%22", vec![1]),
        ("?search=river+garden", vec![]),
        ("?search=%25", vec![5]),
        ("?search=_", vec![]),
        ("?search=%5C", vec![]),
        ("?search=%E6%9C%88%E4%BA%AE", vec![6]),
        ("?search=+&singer=", vec![1, 2, 3, 4, 5, 6, 7]),
        ("?singer=Ella", vec![2, 5]),
        ("?singer=ella", vec![4]),
        ("?singer=%E9%84%A7%E9%BA%97%E5%90%9B", vec![6]),
        ("?singer=nobody", vec![]),
        ("?singer=Ella&search=you", vec![5]),
        ("?ordering=song", vec![5, 3, 7, 1, 2, 4, 6]),
        ("?ordering=-song", vec![6, 4, 2, 1, 7, 3, 5]),
        ("?ordering=-created", vec![1, 7, 3, 5, 6, 4, 2]),
        ("?ordering=created", vec![2, 4, 6, 5, 3, 7, 1]),
        ("?ordering=song,-created", vec![5, 7, 3, 1, 2, 4, 6]),
        ("?ordering=singer,-song", vec![1, 2, 5, 3, 7, 4, 6]),
        ("?ordering=nonsense,-id", vec![7, 6, 5, 4, 3, 2, 1]),
        ("?ordering=nonsense", vec![1, 2, 3, 4, 5, 6, 7]),
        ("?search=moon&ordering=-song", vec![4, 2, 1, 7]),
        ("?singer=Ella&ordering=-created", vec![5, 2]),
    ] {
        assert_eq!(ids(&get(&api, query).await), expected, "{query}");
        let and = if query.contains("?search=+") {
            "limit=9"
        } else {
            "&limit=9"
        };
        let page = get(&api, &format!("{query}&{and}")).await;
        assert_eq!(ids(&page["results"]), expected, "{query}, numbered");
        assert_eq!(page["count"], expected.len(), "{query}");
        let page = get(&api, &format!("{query}&cursor=")).await;
        assert_eq!(ids(&page["results"]), expected, "{query}, by cursor");
        for offset in 1..=expected.len() {
            let tail = get(&api, &format!("{query}&limit=2&offset={offset}")).await;
            let rows: Vec<_> = expected.iter().copied().skip(offset).take(2).collect();
            assert_eq!(ids(&tail["results"]), rows, "{query}, after {offset}");
        }
    }
}

/// Follows a link of a page to its end, and returns the ids on the way.
async fn follow(api: &Api, mut page: Value, link: &str) -> Vec<Vec<i64>> {
    let mut pages = vec![ids(&page["results"])];
    while let Some(address) = page[link].as_str() {
        let path = address.strip_prefix("http://music.test").unwrap();
        page = api.get(path).await.json();
        pages.push(ids(&page["results"]));
    }
    pages
}

#[sqlx::test(migrations = "../migrations")]
async fn cursors_lead_through_the_list_and_back(pool: PgPoolOptions, database: PgConnectOptions) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    sqlx::query(
        "insert into music (song, singer, created)
         select 'song ' || i % 5, 'singer ' || i % 3, timestamptz '2020-01-01' + i % 7 * interval '1 day'
         from generate_series(1, 200) i",
    )
    .execute(&pool)
    .await
    .unwrap();
    let api = Api::start(&database).await;
    for query in [
        "",
        "&ordering=-id",
        "&ordering=song",
        "&ordering=-song,created",
        "&ordering=singer,-song,created,-id",
        "&search=song+1",
        "&singer=singer+2&ordering=-created",
        "&search=SINGER+0&ordering=song",
    ] {
        let whole = ids(&get(&api, &format!("?x={query}")).await);
        let first = get(&api, &format!("?cursor=&limit=7{query}")).await;
        assert_eq!(first["previous"], Value::Null);
        let names: Vec<_> = first.as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, ["next", "previous", "results"]);
        let mut pages = follow(&api, first, "next").await;
        assert_eq!(pages.concat(), whole, "{query}");
        assert!(
            pages.iter().rev().skip(1).all(|page| page.len() == 7),
            "{query}"
        );

        let path = format!("?cursor=&limit=7{query}");
        let mut page = get(&api, &path).await;
        while let Some(next) = page["next"].as_str() {
            page = api
                .get(next.strip_prefix("http://music.test").unwrap())
                .await
                .json();
        }
        let mut back = follow(&api, page, "previous").await;
        back.reverse();
        pages.sort();
        back.sort();
        assert_eq!(back, pages, "{query}, backwards");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_walk_by_cursor_sees_each_row_once_while_others_come_and_go(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let insert = "insert into music (song, singer) select 'song ' || i % 10, 'stays' from generate_series(1, 100) i";
    sqlx::query(insert).execute(&pool).await.unwrap();
    let api = Api::start(&database).await;
    let mut page = get(&api, "?cursor=&limit=9&ordering=-song").await;
    let mut seen = Vec::new();
    let mut turn = 0;
    loop {
        let results = page["results"].as_array().unwrap();
        let stays = results.iter().filter(|music| music["singer"] == "stays");
        seen.extend(stays.map(|music| music["id"].as_i64().unwrap()));
        // One comes before the place, one after it, and one on it goes.
        turn += 1;
        for song in ["song 9", "song 0"] {
            api.add(&format!("{song}{turn}"), "comes").await;
        }
        sqlx::query(
            "delete from music where id = (select min(id) from music where singer = 'comes')",
        )
        .execute(&pool)
        .await
        .unwrap();
        let Some(next) = page["next"].as_str() else {
            break;
        };
        page = api
            .get(next.strip_prefix("http://music.test").unwrap())
            .await
            .json();
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=100).collect::<Vec<_>>());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cursor_that_was_not_given_out_is_not_found(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let (_pool, api) = filled(pool, &database).await;
    let page = get(&api, "?cursor=&limit=2&ordering=song").await;
    let next = page["next"].as_str().unwrap().to_owned();
    let cursor = next
        .split("cursor=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    let other = if cursor.starts_with('W') { "X" } else { "W" };
    for query in [
        format!("?cursor={cursor}"),
        format!("?ordering=-song&cursor={cursor}"),
        format!("?ordering=song&cursor={other}{}", &cursor[1..]),
        format!("?ordering=song&cursor={}", &cursor[..cursor.len() - 1]),
        "?cursor=cD0y".to_owned(),
        "?cursor=%00".to_owned(),
        "?cursor=null".to_owned(),
    ] {
        let answer = api.get(&format!("{LIST}{query}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text()),
            (404, r#"{"detail":"Invalid cursor"}"#),
            "{query}"
        );
    }
}

/// Longer than what one statement looks at, with hits far apart and at the edges of what the statements look at.
#[sqlx::test(migrations = "../migrations")]
async fn a_search_goes_through_the_whole_table(pool: PgPoolOptions, database: PgConnectOptions) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    sqlx::query(
        "insert into music (song, singer)
         select case when i in (1, 250, 251, 1250, 1251, 5000, 5001, 5250, 5251, 12000, 17000) then 'needle ' else 'hay ' end || i, 'x'
         from generate_series(1, 17000) i",
    )
    .execute(&pool)
    .await
    .unwrap();
    let api = Api::start(&database).await;
    let all = [
        1, 250, 251, 1250, 1251, 5000, 5001, 5250, 5251, 12000, 17000,
    ];
    let mut back = all;
    back.reverse();
    for (query, expected) in [
        ("?search=needle", &all[..]),
        ("?search=needle&ordering=-id", &back),
        ("?search=nothing", &[]),
    ] {
        assert_eq!(ids(&get(&api, query).await), expected, "{query}");
        let page = get(&api, &format!("{query}&limit=3&offset=2")).await;
        let part: Vec<_> = expected.iter().copied().skip(2).take(3).collect();
        assert_eq!(ids(&page["results"]), part, "{query}");
        assert_eq!(page["count"], expected.len(), "{query}");
        let first = get(&api, &format!("{query}&cursor=&limit=2")).await;
        assert_eq!(
            follow(&api, first, "next").await.concat(),
            expected,
            "{query}"
        );
    }
    // More hits than a window returns, and a place deep among them.
    let page = get(&api, "?search=hay&limit=1000&offset=15500").await;
    assert_eq!(page["count"], 16_989);
    assert_eq!(ids(&page["results"]).len(), 1000);
    assert_eq!(ids(&page["results"])[0], 15_511);
    assert_eq!(ids(&get(&api, "?search=hay").await).len(), 16_989);
}

/// A page holds what is asked for even if it is long; a page by cursor may end early, and leads on.
#[sqlx::test(migrations = "../migrations")]
async fn rows_of_megabytes_come_in_any_order(pool: PgPoolOptions, database: PgConnectOptions) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    sqlx::query("insert into music (song, singer) select i || repeat('x', 700000), 'x' from generate_series(10, 21) i")
        .execute(&pool)
        .await
        .unwrap();
    let api = Api::start(&database).await;
    let back: Vec<i64> = (1..=12).rev().collect();
    assert_eq!(ids(&get(&api, "?ordering=-song").await), back);
    let page = get(&api, "?ordering=-song&limit=11&offset=1").await;
    assert_eq!(ids(&page["results"]), back[1..]);
    let page = get(&api, "?search=xx&ordering=-id&limit=12").await;
    assert_eq!(ids(&page["results"]), back);
    let first = get(&api, "?ordering=-song&cursor=&limit=12").await;
    assert!(
        ids(&first["results"]).len() < 5,
        "it was not held in memory"
    );
    assert_eq!(follow(&api, first, "next").await.concat(), back);
}

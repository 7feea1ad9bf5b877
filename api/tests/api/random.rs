//! Random methods, paths, queries, headers and bodies: no fault of the server in any answer, and no panic.
//!
//! `API_RANDOM_REQUESTS` says how many, 3000 by default; `API_RANDOM_SEED` repeats a run.

use axum::body::Body;
use futures_util::future::join_all;
use http::header::{HOST, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::running::Running;
use crate::support::{Answer, within};

const CLIENTS: u64 = 4;
/// So many rows of what the requests have written are left: a list of all of them would be sent again and again.
const ROWS_KEPT: i64 = 20;
/// So many requests of one client come between two looks at that.
const TIDY_EVERY: u64 = 100;

/// Numbers that look random (`SplitMix64`).
struct Random(u64);

impl Random {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.number() % limit as u64).unwrap()
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn bytes(&mut self, longest: usize) -> Vec<u8> {
        (0..self.below(longest + 1))
            .map(|_| self.number().to_le_bytes()[0])
            .collect()
    }
}

#[rustfmt::skip]
const SEGMENTS: &[&str] = &[
    "api", "music", "all_singer", "detail", "1", "2", "3", "+1", "-1", "0", "007", "1.json",
    "9223372036854775807", "9223372036854775808", "99999999999999999999", "music.json", "music.api",
    "music.xml", "all_singer.json", "", ".", "..", "%2e%2e", "%00", "%ff", "%2F", "1%20", "api-auth", "login",
    "healthz", "readyz", "歌", "%E6%AD%8C", "1e0", "0x1", "null", "{id}", "*", "~", "a;b", "1,2", "'",
    "%27%20or%201%3D1",
];
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "format", "limit", "offset", "cursor", "search", "ordering", "singer", "page", "next", "x", "",
];
#[rustfmt::skip]
const VALUES: &[&str] = &[
    "json", "api", "xml", "1", "0", "-1", "2", "1000", "99999999999999999999", "song", "-created", "song,-id",
    "", "%00", "%ff%fe", "%F0%9F%8E%B5", "a+b", "1.5", "null", "*", "%25", "_", "\"", "bD0x", "eyJpZCI6MX0=",
];
#[rustfmt::skip]
const HEADERS: &[&str] = &[
    "accept", "content-type", "idempotency-key", "if-match", "if-none-match", "x-request-deadline",
    "x-request-id", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "authorization",
    "cookie", "origin", "sec-fetch-site", "x-csrftoken", "content-encoding", "range", "expect",
    "accept-language", "if-modified-since", "referer", "host",
];
#[rustfmt::skip]
const HEADER_VALUES: &[&str] = &[
    "application/json", "text/html", "*/*", "application/json; charset=utf-16", "text/*;q=0.5,*/*;q=0",
    "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "*", "\"1-2-3\"",
    "W/\"x\", \"y\"", "\"", "0", "1", "99999999999999999999", "-1", "key", "lb-key", "Basic YTpi", "Basic !",
    "Token x", "Bearer x", "sessionid=x; csrftoken=y", "https", "ftp", "1.2.3.4, 5.6.7.8",
    "for=\"[::1]\";proto=https", "null", "same-origin", "cross-site", "http://evil.example", "gzip",
    "bytes=0-1", "100-continue", "a b", "music.test:8080", "[::1]", "a@b",
];
#[rustfmt::skip]
const TEXTS: &[&str] = &[
    "s", "", " ", "\\u0000", "\\ud800", "\\ud83c\\udfb5", "\\u2028", "歌", "\\n", "\\\"", "' or 1=1 --",
    "<script>", "\\u202e", "null", "1e999",
];
#[rustfmt::skip]
const JSON: &[&str] = &[
    "null", "true", "0", "-0", "1e400", "1E-7", "123456789012345678901234567890", "[]", "{}", "[[[[[]]]]]",
    "\"x\"", "{\"song\":1}", "\"\\u0000\"", "nul", "-", "\"", "{\"a\"", "\u{feff}",
];
#[rustfmt::skip]
const METHODS: &[&str] = &[
    "GET", "GET", "HEAD", "POST", "POST", "POST", "PUT", "PUT", "PATCH", "PATCH", "DELETE", "OPTIONS", "TRACE",
    "FOO", "get", "PROPFIND",
];

fn target(random: &mut Random) -> String {
    let mut target = match random.below(10) {
        0..=3 => "/api/music/".to_owned(),
        4..=7 => format!("/api/music/{}/", random.below(8)),
        8 => "/api/music/".to_owned() + random.pick(SEGMENTS),
        _ => {
            let segments = (0..random.below(6)).map(|_| random.pick(SEGMENTS));
            segments.fold("/".to_owned(), |target, segment| target + segment + "/")
        }
    };
    if random.one_in(9) {
        let odd = random.bytes(12);
        target.extend(odd.iter().map(|byte| format!("%{byte:02X}")));
    }
    let parameters = if random.one_in(2) { random.below(4) } else { 0 };
    for at in 0..parameters {
        target.push(if at == 0 { '?' } else { '&' });
        let (name, value) = (random.pick(NAMES), random.pick(VALUES));
        target = target + name + if random.one_in(9) { "" } else { "=" } + value;
    }
    target
}

fn json(random: &mut Random, depth: usize) -> String {
    match random.below(6) {
        0 => random.pick(JSON).to_owned(),
        1 if depth > 0 => format!("[{}]", json(random, depth - 1)),
        _ => format!("\"{}{}\"", random.pick(TEXTS), random.pick(TEXTS)),
    }
}

fn body(random: &mut Random) -> Vec<u8> {
    match random.below(8) {
        0 => Vec::new(),
        1 => random.bytes(300),
        2 => random.pick(JSON).into(),
        3 => "[".repeat(random.below(100_000)).into(),
        4 => format!(
            r#"{{"song":"{}","singer":"x"}}"#,
            "long ".repeat(random.below(60_000))
        )
        .into(),
        _ => {
            let (song, singer) = (json(random, 3), json(random, 3));
            let mut body = format!(
                r#"{{"song":{song},"singer":{singer},"{}":1}}"#,
                random.pick(TEXTS)
            );
            if random.one_in(4) {
                let cut = (0..=random.below(body.len()))
                    .rev()
                    .find(|at| body.is_char_boundary(*at));
                body.truncate(cut.unwrap_or(0));
            }
            body.into()
        }
    }
}

/// Makes a request, or `None` if it came out as nothing that HTTP has words for.
fn make(random: &mut Random) -> Option<Request<Body>> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::try_from(target(random)).ok()?;
    *request.method_mut() = Method::from_bytes(random.pick(METHODS).as_bytes()).ok()?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_static("music.test"));
    if !random.one_in(8) {
        headers.insert("content-type", HeaderValue::from_static("application/json"));
    }
    for _ in 0..random.below(4) {
        let name = HeaderName::from_static(random.pick(HEADERS));
        let value = if random.one_in(5) {
            HeaderValue::from_bytes(&random.bytes(60)).ok()?
        } else {
            HeaderValue::from_str(random.pick(HEADER_VALUES)).ok()?
        };
        if random.one_in(6) {
            headers.append(name, value);
        } else {
            headers.insert(name, value);
        }
    }
    *request.body_mut() = Body::from(body(random));
    Some(request)
}

/// Says what is wrong with an answer.
fn fault(answer: &Answer) -> Option<&'static str> {
    let text = String::from_utf8_lossy(&answer.body);
    let stated =
        text.contains("The deadline had passed") || answer.header("x-lb-cause") == "database";
    match answer.status.as_u16() {
        503 if stated || answer.body.is_empty() => None,
        500..=599 => Some("a fault of the server"),
        400..=499
            if ["panick", "sqlx", "postgres", "src/", "RUST"]
                .iter()
                .any(|word| text.contains(word)) =>
        {
            Some("something internal in the text")
        }
        _ if answer.header("x-instance") != "api_8" => Some("no name of an instance"),
        _ => None,
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no command line")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[sqlx::test(migrations = "../migrations")]
async fn whatever_is_asked_is_no_fault_of_the_server(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let rows = "insert into music (song, singer) select 's', 'x' from generate_series(1, 5)";
    sqlx::query(rows).execute(&pool).await.unwrap();
    let program = Running::start(&database).await;
    let requests = setting("API_RANDOM_REQUESTS").unwrap_or(3000);
    // The same for everybody, so that who breaks something sees it.
    let seed = setting("API_RANDOM_SEED").unwrap_or(635_403_997);
    eprintln!("API_RANDOM_SEED={seed}");
    let client = |number: u64| {
        let (program, pool) = (&program, &pool);
        async move {
            let (mut sent, mut kinds) = (0, std::collections::BTreeMap::new());
            for at in (number..requests).step_by(CLIENTS as usize) {
                if number == 0 && (at / CLIENTS).is_multiple_of(TIDY_EVERY) {
                    let tidy = "delete from music where id > 5 and id not in
                                (select id from music order by id desc limit $1)";
                    // It waits for no lock for long, and can be done later as well.
                    let _ = sqlx::query(tidy).bind(ROWS_KEPT).execute(pool).await;
                }
                let mut random = Random(seed.wrapping_add(at.wrapping_mul(0x1234_5678_9abc_def1)));
                let Some(request) = make(&mut random) else {
                    continue;
                };
                sent += 1;
                let line = format!(
                    "{} {} {:?}",
                    request.method(),
                    request.uri(),
                    request.headers()
                );
                // A server may close the connection on a body that it does not want.
                let Ok(answer) = program.try_send(request).await else {
                    continue;
                };
                *kinds.entry(answer.status.as_u16()).or_insert(0) += 1;
                if let Some(fault) = fault(&answer) {
                    panic!("seed {seed}, request {at}: {fault}: {line}\n{answer:?}");
                }
            }
            (sent, kinds)
        }
    };
    let begun = tokio::time::Instant::now();
    let mut all = std::collections::BTreeMap::new();
    let mut sent = 0;
    for (of_client, kinds) in join_all((0..CLIENTS).map(client)).await {
        sent += of_client;
        for (status, count) in kinds {
            *all.entry(status).or_insert(0_u64) += count;
        }
    }
    eprintln!("{sent} requests in {:?}: {all:?}", begun.elapsed());
    assert!(sent > requests / 2, "most are requests");
    assert!(
        all.values().sum::<u64>() > sent * 9 / 10,
        "most are answered: {all:?}"
    );
    assert!(all.len() > 5, "they reach many places: {all:?}");
    let log = program.log().await;
    assert!(!log.contains("panicked"), "{log}");
    within(std::time::Duration::from_secs(20), "health", || async {
        let health = Request::get("/healthz")
            .header(HOST, "x")
            .body(Body::empty());
        program.try_send(health.unwrap()).await.is_ok()
    })
    .await;
}

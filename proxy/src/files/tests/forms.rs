//! Encoded forms of a file, what caches are told, files that stand in, and changes on disk.

use std::fs;
use std::time::{Duration, Instant};

use http::Method;
use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, IF_NONE_MATCH};

use super::super::{CacheRule, Root, Rules};
use super::{File, Outcome, Site, read};

const SONG: &str = "la la la, said the song, and again: la la la\n";

fn accept(codings: &str) -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_str(codings).unwrap())])
}

async fn found(site: &Site, path: &str, headers: HeaderMap) -> File {
    match site.ask(Method::GET, path, headers).await {
        Outcome::Found(file) => file,
        other => panic!("{path}: {other:?}"),
    }
}

fn site_with_song() -> (Site, String) {
    let site = Site::new();
    let song = SONG.repeat(100);
    fs::write(site.path("song.txt"), &song).unwrap();
    (site, song)
}

#[tokio::test]
async fn the_form_that_the_client_likes_best_is_sent() {
    let (site, song) = site_with_song();
    let plain = site.found("/song.txt").await;
    assert!(plain.content_encoding.is_none() && plain.version.varies);
    assert_eq!(read(plain.body).await.unwrap(), song.as_bytes());
    for (codings, expected) in [
        ("gzip, br", "br"),
        ("zstd, gzip;q=0.9", "zstd"),
        ("gzip", "gzip"),
    ] {
        let file = found(&site, "/song.txt", accept(codings)).await;
        assert_eq!(file.content_encoding.unwrap(), expected);
        assert!(file.length < song.len() as u64 / 5, "{codings}");
        assert_eq!(file.content_type, "text/plain; charset=utf-8");
        assert_eq!(read(file.body).await.unwrap().len() as u64, file.length);
        assert_ne!(file.version.validators.etag, plain.version.validators.etag);
    }
}

#[tokio::test]
async fn each_form_is_known_by_its_own_tag() {
    let (site, _) = site_with_song();
    let tag = found(&site, "/song.txt", accept("br"))
        .await
        .version
        .validators
        .etag;
    let with_tag = |codings: &str| {
        let mut headers = accept(codings);
        headers.insert(IF_NONE_MATCH, tag.clone());
        headers
    };
    match site.ask(Method::GET, "/song.txt", with_tag("br")).await {
        Outcome::NotModified(version) => assert!(version.varies),
        other => panic!("{other:?}"),
    }
    assert!(
        found(&site, "/song.txt", with_tag("gzip"))
            .await
            .content_encoding
            .unwrap()
            == "gzip"
    );
}

#[tokio::test]
async fn what_does_not_shrink_has_one_form() {
    let site = Site::new();
    fs::write(site.path("noise.png"), vec![7; 5000]).unwrap();
    fs::write(site.path("short.css"), "a{}").unwrap();
    for path in ["/noise.png", "/short.css"] {
        let file = found(&site, path, accept("br, gzip")).await;
        assert!(
            file.content_encoding.is_none() && !file.version.varies,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_change_is_seen_and_so_is_a_file_that_went() {
    let (site, _) = site_with_song();
    let before = site.found("/song.txt").await.version.validators.etag;
    fs::write(site.path("song.txt"), "short").unwrap();
    site.until_etag_is_not("/song.txt", &before).await;
    assert_eq!(
        read(site.found("/song.txt").await.body).await.unwrap(),
        b"short"
    );
    fs::remove_file(site.path("song.txt")).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while !matches!(site.get("/song.txt").await, Outcome::NotFound) {
        assert!(Instant::now() < end, "the file is still served");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_file_stands_in_for_what_is_missing_but_not_for_what_is_never_served() {
    let site = Site::new();
    let rules = Rules {
        fallback: Some("index.html".to_owned()),
        cache_control: vec![CacheRule::new("*.html", "no-cache").unwrap()],
        ..Rules::default()
    };
    let root = Root::open(&site.path(""), rules).unwrap();
    let site = Site { root, ..site };
    for path in ["/songs/7", "/static/none.js", "/album/cover/none"] {
        let file = site.found(path).await;
        assert_eq!(file.content_type, "text/html; charset=utf-8");
        assert_eq!(file.version.cache_control.unwrap(), "no-cache");
        assert_eq!(read(file.body).await.unwrap(), b"<p>home</p>", "{path}");
    }
    for path in ["/.env", "/../secret.txt", "/a//b"] {
        site.check_not_found(path).await;
    }
    fs::remove_file(site.path("index.html")).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while !matches!(site.get("/songs/7").await, Outcome::NotFound) {
        assert!(Instant::now() < end, "a file that went still stands in");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

//! Parts of a file, small and large.

use std::fs;

use http::Method;
use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, IF_NONE_MATCH, IF_RANGE, RANGE};

use super::{File, Outcome, Site, read};

fn range(range: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(RANGE, HeaderValue::from_static(range))])
}

/// A site with a file that is held and one that is read while it is sent.
fn site() -> (Site, Vec<u8>) {
    let site = Site::new();
    let content: Vec<u8> = (0..3_000_000_u32)
        .map(|index| (index % 251) as u8)
        .collect();
    fs::write(site.path("large.bin"), &content).unwrap();
    fs::write(site.path("small.bin"), &content[..300_000]).unwrap();
    (site, content)
}

async fn found(site: &Site, path: &str, headers: HeaderMap) -> File {
    match site.ask(Method::GET, path, headers).await {
        Outcome::Found(file) => file,
        other => panic!("{path}: {other:?}"),
    }
}

#[tokio::test]
async fn one_part_is_sent_of_files_of_every_size() {
    let (site, content) = site();
    for (path, length) in [("/small.bin", 300_000), ("/large.bin", 3_000_000)] {
        for (asked, from, to) in [
            ("bytes=0-0", 0, 1),
            ("bytes=65530-131080", 65_530, 131_081),
            ("bytes=-70000", length - 70_000, length),
            ("bytes=299999-", 299_999, length),
        ] {
            let file = found(&site, path, range(asked)).await;
            let told = format!("bytes {from}-{}/{length}", to - 1);
            assert_eq!(file.content_range.unwrap(), told.as_str());
            assert_eq!(file.length, (to - from) as u64);
            assert!(
                read(file.body).await.unwrap() == content[from..to],
                "{path} {asked}"
            );
        }
        let whole = found(&site, path, range("bytes=0-1,5-6")).await;
        assert!(whole.content_range.is_none() && whole.length == length as u64);
    }
}

#[tokio::test]
async fn what_lies_behind_the_end_is_not_satisfiable() {
    let (site, _) = site();
    for (path, told) in [
        ("/small.bin", "bytes */300000"),
        ("/large.bin", "bytes */3000000"),
    ] {
        match site.ask(Method::GET, path, range("bytes=3000000-")).await {
            Outcome::RangeNotSatisfiable { content_range } => assert_eq!(content_range, told),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn ranges_are_for_get_and_conditions_come_first() {
    let (site, _) = site();
    match site
        .ask(Method::HEAD, "/small.bin", range("bytes=0-1"))
        .await
    {
        Outcome::Found(file) => assert!(file.content_range.is_none() && file.length == 300_000),
        other => panic!("{other:?}"),
    }
    let tag = site.found("/small.bin").await.version.validators.etag;
    let mut headers = range("bytes=0-1");
    headers.insert(IF_NONE_MATCH, tag.clone());
    let outcome = site.ask(Method::GET, "/small.bin", headers).await;
    assert!(matches!(outcome, Outcome::NotModified(_)), "{outcome:?}");
    let mut headers = range("bytes=0-1");
    headers.insert(IF_RANGE, tag);
    assert!(
        found(&site, "/small.bin", headers.clone())
            .await
            .content_range
            .is_some()
    );
    headers.insert(IF_RANGE, HeaderValue::from_static("\"other\""));
    assert!(
        found(&site, "/small.bin", headers)
            .await
            .content_range
            .is_none()
    );
}

#[tokio::test]
async fn a_part_is_of_the_file_as_it_is() {
    let site = Site::new();
    fs::write(site.path("song.txt"), "la ".repeat(1000)).unwrap();
    let mut headers = range("bytes=3-7");
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("br, gzip"));
    let file = found(&site, "/song.txt", headers).await;
    assert!(file.content_encoding.is_none());
    assert_eq!(read(file.body).await.unwrap(), b"la la");
}

//! Files served by the proxy itself.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use crate::support::{Answer, Proxy, eventually, read_to_end};

async fn proxy() -> (Proxy, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("static");
    std::fs::create_dir_all(root.join("sub")).unwrap();
    std::fs::write(root.join("index.html"), "<h1>hello</h1>").unwrap();
    std::fs::write(root.join("app.js"), "1;").unwrap();
    std::fs::write(root.join("large.bin"), vec![b'x'; 300_000]).unwrap();
    std::fs::write(root.join("sub/index.html"), "sub").unwrap();
    std::fs::write(folder.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", root.join("out")).unwrap();
    let root = root.display();
    let proxy = Proxy::start(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        admin = "127.0.0.1:0"
        [log]
        access = "off"
        [[routes]]
        path = "/static"
        files = "{root}"
        [[routes]]
        path = "/"
        files = "{root}"
        "#
    ))
    .await;
    (proxy, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_have_types_lengths_and_validators() {
    let (proxy, _folder) = proxy().await;
    for (path, kind, body) in [
        ("/", "text/html; charset=utf-8", "<h1>hello</h1>"),
        ("/static/app.js", "text/javascript; charset=utf-8", "1;"),
        ("/sub/", "text/html; charset=utf-8", "sub"),
    ] {
        let answer = proxy.get(path).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
        assert_eq!(answer.field("content-type"), Some(kind), "{path}");
        assert_eq!(
            answer.field("content-length"),
            Some(body.len().to_string().as_str())
        );
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.instance(), "proxy");
        assert!(answer.field("etag").is_some() && answer.field("last-modified").is_some());
    }
    assert_eq!(proxy.get("/static/large.bin").await.body.len(), 300_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_has_is_not_sent_again() {
    let (proxy, _folder) = proxy().await;
    let etag = proxy.get("/app.js").await.field("etag").unwrap().to_owned();
    let with = |field: &str| {
        let request =
            format!("GET /app.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{field}\r\n\r\n");
        let proxy = &proxy;
        async move { proxy.raw(&request).await }
    };
    let same = with(&format!("If-None-Match: {etag}")).await;
    assert_eq!((same.status, same.body.as_str()), (304, ""));
    assert_eq!(same.field("etag"), Some(etag.as_str()));
    let other = with("If-None-Match: \"other\"").await;
    assert_eq!((other.status, other.body.as_str()), (200, "1;"));
}

#[tokio::test(flavor = "multi_thread")]
async fn head_has_no_body_and_the_connection_is_kept() {
    let (proxy, _folder) = proxy().await;
    let answer = proxy
        .raw("HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET /app.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(answer.field("content-length"), Some("14"));
    assert!(answer.body.starts_with("HTTP/1.1 200"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_the_root_is_served() {
    let (proxy, _folder) = proxy().await;
    for path in [
        "/../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/static/../../secret",
        "/out",
        "/static/out",
        "/sub/%2e%2e/%2e%2e/secret",
        "/.hidden",
        "//etc/passwd",
        "/static//etc/passwd",
        "/app.js/",
        "/none",
    ] {
        let answer: Answer = proxy.get(path).await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
        assert!(!answer.body.contains("secret"), "{path}: {answer:?}");
        assert_eq!(answer.instance(), "proxy", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_redirect_and_other_methods_are_refused() {
    let (proxy, _folder) = proxy().await;
    let answer = proxy.get("/sub?x=1").await;
    assert_eq!(
        (answer.status, answer.field("location")),
        (301, Some("/sub/?x=1"))
    );
    let answer = proxy.post("/app.js", "x").await;
    assert_eq!(
        (answer.status, answer.field("allow")),
        (405, Some("GET, HEAD"))
    );
}

/// A proxy whose files have rules.
async fn proxy_with_rules() -> (Proxy, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "<p>la</p>".repeat(200)).unwrap();
    std::fs::write(folder.path().join("song.bin"), "0123456789").unwrap();
    let root = folder.path().display();
    let proxy = Proxy::start(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        admin = "127.0.0.1:0"
        [log]
        access = "off"
        [[routes]]
        path = "/"
        files = "{root}"
        fallback = "index.html"
        cache_control = [
          {{ match = "*.html", value = "no-cache" }},
          {{ match = "*", value = "public, max-age=3600" }},
        ]
        "#
    ))
    .await;
    (proxy, folder)
}

async fn get_with(proxy: &Proxy, path: &str, fields: &str) -> Answer {
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n\r\n");
    proxy.raw(&head).await
}

#[tokio::test(flavor = "multi_thread")]
async fn caches_are_told_what_they_need() {
    let (proxy, _folder) = proxy_with_rules().await;
    let page = get_with(&proxy, "/", "accept-encoding: gzip, br").await;
    assert_eq!(page.field("content-encoding"), Some("br"));
    assert_eq!(page.field("vary"), Some("Accept-Encoding"));
    assert_eq!(page.field("cache-control"), Some("no-cache"));
    let etag = page.field("etag").unwrap().to_owned();
    let same = format!("accept-encoding: br\r\nif-none-match: {etag}");
    let unchanged = get_with(&proxy, "/", &same).await;
    assert_eq!(unchanged.status, 304);
    for (field, value) in [
        ("etag", etag.as_str()),
        ("vary", "Accept-Encoding"),
        ("cache-control", "no-cache"),
    ] {
        assert_eq!(unchanged.field(field), Some(value));
    }
    let song = proxy.get("/song.bin").await;
    assert_eq!(song.field("cache-control"), Some("public, max-age=3600"));
    assert_eq!(song.field("accept-ranges"), Some("bytes"));
    assert_eq!(song.field("vary"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_files() {
    let (proxy, _folder) = proxy_with_rules().await;
    let part = get_with(&proxy, "/song.bin", "range: bytes=2-4").await;
    assert_eq!((part.status, part.body.as_str()), (206, "234"));
    assert_eq!(part.field("content-range"), Some("bytes 2-4/10"));
    assert_eq!(part.field("content-length"), Some("3"));
    let behind = get_with(&proxy, "/song.bin", "range: bytes=10-").await;
    assert_eq!((behind.status, behind.body.as_str()), (416, ""));
    assert_eq!(behind.field("content-range"), Some("bytes */10"));
    let several = get_with(&proxy, "/song.bin", "range: bytes=0-1,3-4").await;
    assert_eq!((several.status, several.body.as_str()), (200, "0123456789"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_of_one_page_is_served_at_every_address() {
    let (proxy, _folder) = proxy_with_rules().await;
    let page = proxy.get("/songs/7").await;
    assert_eq!((page.status, page.body.len()), (200, 1800));
    assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(proxy.get("/.env").await.status, 404);
}

/// Text of which no two places look alike, long enough to be sent by the system itself.
fn long_text() -> String {
    (0..100_000).map(|number| format!("{number:07} ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn long_files_are_whole_whatever_part_is_asked_for_and_however_late_they_are_read() {
    let (proxy, folder) = proxy().await;
    let text = long_text();
    let path = folder.path().join("static/long.bin");
    std::fs::write(&path, &text).unwrap();
    let of = |field: &str| format!("GET /long.bin HTTP/1.1\r\nHost: x\r\n{field}\r\n");
    let requests = [
        of(""),
        of("Range: bytes=100000-399999\r\n"),
        of(""),
        of("Connection: close\r\n"),
    ];
    let mut stream = proxy.connect().await;
    stream
        .write_all(requests.concat().as_bytes())
        .await
        .unwrap();
    let began = Instant::now();
    eventually("every buffer on the way is full", || async {
        began.elapsed() > Duration::from_millis(200)
    })
    .await;
    let answer = read_to_end(&mut stream).await;
    let mut rest = answer.body.as_str();
    for (index, expected) in [&text, &text[100_000..400_000], &text, &text]
        .iter()
        .enumerate()
    {
        let body = match index {
            0 => rest,
            _ => rest.split_once("\r\n\r\n").unwrap().1,
        };
        assert!(body.starts_with(*expected), "answer {index}");
        rest = &body[expected.len()..];
    }
    assert_eq!(rest, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_file_that_is_replaced_is_sent_as_it_is_then() {
    let (proxy, folder) = proxy().await;
    let text = long_text();
    let path = folder.path().join("static/long.bin");
    std::fs::write(&path, &text).unwrap();
    assert!(proxy.get("/long.bin").await.body == text);
    let other = text.replace('7', "8");
    std::fs::write(&path, &other).unwrap();
    eventually("the other one is seen", || async {
        let body = proxy.get("/long.bin").await.body;
        assert!(body == text || body == other, "a mixture");
        body == other
    })
    .await;
}

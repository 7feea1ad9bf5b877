//! What the proxy says of pages: what they may do, and nothing of itself or of the request.

use std::path::{Path, PathBuf};

use crate::answer::Answer;
use crate::raw::{RawOrigin, Reply};
use crate::support::Proxy;

const GUARDS: [&str; 3] = [
    "content-security-policy",
    "referrer-policy",
    "x-frame-options",
];

/// A proxy before a server and a folder with pages, by three policies.
async fn proxy(origin: &RawOrigin) -> (Proxy, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "<p>home</p>").unwrap();
    std::fs::write(folder.path().join("style.css"), "p {}").unwrap();
    let root = folder.path().display();
    let proxy = Proxy::start(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        admin = "127.0.0.1:0"
        log.access = "off"
        [[routes]]
        path = "/files"
        files = "{root}"
        [[routes]]
        path = "/own"
        files = "{root}"
        content_security_policy = "default-src https:"
        [[routes]]
        path = "/open"
        files = "{root}"
        content_security_policy = ""
        [[routes]]
        path = "/api"
        upstream = "u"
        [upstreams.u]
        servers = [{{ address = "{}" }}]
        health = {{ path = "/healthz", every = "100ms" }}
        "#,
        origin.address
    ))
    .await;
    proxy.until_up(1).await;
    (proxy, folder)
}

async fn page(proxy: &Proxy, path: &str) -> Answer {
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nConnection: close\r\n\r\n");
    proxy.raw(&head).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_guarded_and_those_of_a_server_left_alone() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nServer: secret/1.2\r\n\
        X-Powered-By: secret\r\nContent-Security-Policy: default-src x\r\nContent-Length: 2\r\n\r\nok";
    let origin = RawOrigin::start(Reply::Keep(answer)).await;
    let (proxy, _folder) = proxy(&origin).await;
    let strict = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";
    let nothing = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let own = "default-src https:";
    for (path, expected) in [
        ("/files/", [Some(strict), Some("same-origin"), Some("DENY")]),
        (
            "/files/index.html",
            [Some(strict), Some("same-origin"), Some("DENY")],
        ),
        ("/files/style.css", [None, None, None]),
        ("/own/", [Some(own), Some("same-origin"), None]),
        ("/open/", [None, Some("same-origin"), None]),
        (
            "/files/none",
            [Some(nothing), Some("same-origin"), Some("DENY")],
        ),
        ("/none", [Some(nothing), Some("same-origin"), Some("DENY")]),
        ("/api/", [Some("default-src x"), None, None]),
    ] {
        let answer = page(&proxy, path).await;
        assert_eq!(GUARDS.map(|name| answer.field(name)), expected, "{path}");
        let is_ours = path != "/api/";
        let sniffing = answer.field("x-content-type-options");
        assert_eq!(sniffing, is_ours.then_some("nosniff"), "{path}");
    }
    let json = proxy.get("/none").await;
    assert_eq!(json.field("x-content-type-options"), Some("nosniff"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_what_serves_them_nor_their_own_words() {
    let answer = "HTTP/1.1 200 OK\r\nServer: secret/1.2\r\nX-Powered-By: secret\r\nContent-Length: 0\r\n\r\n";
    let origin = RawOrigin::start(Reply::Keep(answer)).await;
    let (proxy, _folder) = proxy(&origin).await;
    let word = "canary";
    let mut asked = 0;
    for line in [
        "GET /none/canary?canary=canary HTTP/1.1",
        "GET /files/canary HTTP/1.1",
        "POST /files/canary HTTP/1.1",
        "GET /files/%00canary HTTP/1.1",
        "GET /files/canary/../x HTTP/1.1",
        "GET canary HTTP/1.1",
        "CANARY /canary HTTP/1.1",
        "GET /canary HTTP/3.7",
        "OPTIONS * HTTP/1.1",
        "GET /api/ HTTP/1.1",
        "GET /files/ HTTP/1.1",
    ] {
        for more in [
            "",
            "canary: \u{1}canary\r\n",
            "Expect: canary\r\n",
            "Content-Length: canary\r\n",
        ] {
            let head = format!(
                "{line}\r\nHost: canary.example\r\nConnection: close\r\nAccept: text/html;canary\r\n\
                 X-Request-Id: <canary>\r\nCookie: canary\r\n{more}\r\n"
            );
            let answer = proxy.raw(&head).await;
            let told = format!("{}\n{}", answer.head, answer.body).to_lowercase();
            assert!(answer.status > 0 && !told.contains(word), "{head}{told}");
            for field in ["server", "x-powered-by"] {
                assert_eq!(answer.field(field), None, "{head}");
            }
            assert!(
                !told.contains("pingora") && !told.contains(env!("CARGO_PKG_VERSION")),
                "{told}"
            );
            asked += 1;
        }
    }
    assert_eq!(asked, 44);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_says_itself_what_it_can() {
    let options = "HTTP/1.1 200 OK\r\nAllow: GET\r\nContent-Length: 0\r\n\r\n";
    let origin = RawOrigin::start(Reply::Keep(options)).await;
    let (proxy, _folder) = proxy(&origin).await;
    for request in [
        "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "OPTIONS http://x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "OPTIONS /api/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nMax-Forwards: 0\r\n\r\n",
    ] {
        let answer = proxy.raw(request).await;
        assert_eq!(
            (answer.status, answer.instance()),
            (200, "proxy"),
            "{request}"
        );
        let all = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
        assert_eq!(answer.field("allow"), Some(all));
        assert_eq!(
            (answer.field("content-length"), &*answer.body),
            (Some("0"), "")
        );
    }
    assert!(origin.is_idle(), "nothing of it goes to a server");
    for (given, passed) in [("3", "2"), ("1", "0")] {
        let request = format!(
            "OPTIONS /api/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nMax-Forwards: {given}\r\n\r\n"
        );
        assert_eq!(proxy.raw(&request).await.field("allow"), Some("GET"));
        assert_eq!(origin.take_seen()[0].field("max-forwards"), [passed]);
    }
}

/// The policy for pages among files lets no code or style in the page itself through, and nothing
/// from other hosts: the product's own pages have none.
#[test]
#[expect(clippy::disallowed_methods, reason = "there is no worker to block")]
fn the_pages_of_the_product_pass_the_policy() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../static");
    let files = std::fs::read_dir(folder).unwrap();
    let names: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    let mut pages = 0;
    for name in names {
        let bytes = std::fs::read(&name).unwrap();
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        let is_page = name.extension().is_some_and(|kind| kind == "html");
        pages += usize::from(is_page);
        let page = [
            "<style",
            " style=",
            "<base",
            "<object",
            "<embed",
            "javascript:",
            "http-equiv",
        ];
        let code = [
            "eval(",
            "new function",
            "settimeout(\"",
            "setattribute(\"style\"",
            "<style",
        ];
        for forbidden in if is_page { &page[..] } else { &code[..] } {
            assert!(
                !text.contains(forbidden),
                "{forbidden} in {}",
                name.display()
            );
        }
        for script in text.split("<script").skip(1) {
            let tag = script.split('>').next().unwrap();
            assert!(tag.contains(" src=\"/"), "a script in the page: {tag}");
        }
        for handler in text.split(" on").skip(1).filter(|_| is_page) {
            let word: String = handler
                .chars()
                .take_while(char::is_ascii_alphabetic)
                .collect();
            let is_handler = handler[word.len()..].starts_with('=');
            assert!(!is_handler, "on{word} in {}", name.display());
        }
        for source in text.split(" src=\"").skip(1).filter(|_| is_page) {
            assert!(source.starts_with('/'), "from elsewhere: {}", &source[..20]);
        }
    }
    assert!(pages > 0, "there is no page");
}

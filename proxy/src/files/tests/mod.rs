//! Files against a real folder: which outcome a request has.

mod forms;
mod links;
mod parts;
mod reading;

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant, SystemTime};

use http::Method;
use http::header::{HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use tempfile::TempDir;

use super::{Body, File, Outcome, Request, Root, Rules};

/// A folder with a served root in it and a secret beside it.
struct Site {
    folder: TempDir,
    root: Root,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let served = folder.path().join("root");
        fs::create_dir_all(served.join("album/cover")).unwrap();
        fs::write(served.join("index.html"), "<p>home</p>").unwrap();
        fs::write(served.join("a b.txt"), "hello").unwrap();
        fs::write(served.join("album/index.html"), "<p>album</p>").unwrap();
        fs::write(served.join(".env"), "SECRET").unwrap();
        fs::write(folder.path().join("secret.txt"), "SECRET").unwrap();
        let root = Root::open(&served, Rules::default()).unwrap();
        Self { folder, root }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("root").join(name)
    }

    async fn ask(&self, method: Method, path: &str, headers: HeaderMap) -> Outcome {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let request = Request {
            method: &method,
            path,
            below: path.strip_prefix("/static").unwrap_or(path),
            query,
            headers: &headers,
        };
        self.root.find(&request).await
    }

    async fn get(&self, path: &str) -> Outcome {
        self.ask(Method::GET, path, HeaderMap::new()).await
    }

    async fn found(&self, path: &str) -> File {
        match self.get(path).await {
            Outcome::Found(file) => file,
            other => panic!("{path}: {other:?}"),
        }
    }

    /// Waits until a change on disk is seen: within a second, with room.
    async fn until_etag_is_not(&self, path: &str, etag: &HeaderValue) {
        let end = Instant::now() + Duration::from_secs(20);
        while self.found(path).await.version.validators.etag == *etag {
            assert!(Instant::now() < end, "the change of {path} is not seen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn check_not_found(&self, path: &str) {
        let outcome = self.get(path).await;
        assert!(matches!(outcome, Outcome::NotFound), "{path}: {outcome:?}");
    }
}

async fn read(mut body: Body) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    while let Some(chunk) = body.chunk().await? {
        assert!(!chunk.is_empty() && chunk.len() <= 1 << 20);
        content.extend_from_slice(&chunk);
    }
    Ok(content)
}

#[tokio::test]
async fn files_and_indexes_are_found() {
    let site = Site::new();
    for (path, content_type, content) in [
        ("/", "text/html; charset=utf-8", "<p>home</p>"),
        ("/static/", "text/html; charset=utf-8", "<p>home</p>"),
        ("/index.html", "text/html; charset=utf-8", "<p>home</p>"),
        ("/static/a%20b.txt", "text/plain; charset=utf-8", "hello"),
        ("/static/album/", "text/html; charset=utf-8", "<p>album</p>"),
    ] {
        let file = site.found(path).await;
        assert_eq!(file.content_type, content_type, "{path}");
        assert_eq!(file.length, content.len() as u64, "{path}");
        assert!(file.version.validators.last_modified.is_some(), "{path}");
        assert_eq!(read(file.body).await.unwrap(), content.as_bytes(), "{path}");
    }
}

#[tokio::test]
async fn a_folder_without_its_slash_is_redirected() {
    let site = Site::new();
    for (path, expected) in [
        ("/static/album", "/static/album/"),
        ("/static/album?a=b&c=//d", "/static/album/?a=b&c=//d"),
        ("/static/album/cover", "/static/album/cover/"),
        ("/static/alb%75m", "/static/alb%75m/"),
        ("/album?", "/album/?"),
        ("/static", "/static/"),
    ] {
        match site.get(path).await {
            Outcome::Redirect { location } => assert_eq!(location, expected),
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let site = Site::new();
    fs::write(site.path("locked"), "x").unwrap();
    fs::create_dir(site.path("index-is-a-folder")).unwrap();
    fs::create_dir(site.path("index-is-a-folder/index.html")).unwrap();
    symlink("loop", site.path("loop")).unwrap();
    let long_name = format!("/{}", "n".repeat(300));
    let long_path = "/album".repeat(1300);
    for path in [
        "/none",
        "/none/",
        "/album/none",
        "/album/cover/",
        "/a%20b.txt/",
        "/a%20b.txt/x",
        "/.env",
        "/../secret.txt",
        "/loop",
        "/loop/",
        "/loop/x",
        "/index-is-a-folder/",
        "//",
        "//album",
        "/album//",
        long_name.as_str(),
        long_path.as_str(),
    ] {
        site.check_not_found(path).await;
    }
    for path in ["/%zz", "/a%00", "/%ff"] {
        let outcome = site.get(path).await;
        assert!(
            matches!(outcome, Outcome::BadRequest),
            "{path}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn an_unreadable_file_is_not_found() {
    let site = Site::new();
    fs::write(site.path("locked"), "x").unwrap();
    fs::set_permissions(site.path("locked"), PermissionsExt::from_mode(0o0)).unwrap();
    // Root may read everything, and then this test has nothing to show.
    if fs::OpenOptions::new()
        .read(true)
        .open(site.path("locked"))
        .is_err()
    {
        site.check_not_found("/locked").await;
    }
}

#[tokio::test]
async fn only_get_and_head() {
    let site = Site::new();
    for method in [
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
    ] {
        for path in ["/", "/none", "/%zz"] {
            let outcome = site.ask(method.clone(), path, HeaderMap::new()).await;
            assert!(
                matches!(outcome, Outcome::MethodNotAllowed),
                "{method} {path}: {outcome:?}"
            );
        }
    }
    match site.ask(Method::HEAD, "/", HeaderMap::new()).await {
        Outcome::Found(file) => assert_eq!(file.length, 11),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn conditions_are_weighed_for_what_is_found() {
    let site = Site::new();
    let etag = site.found("/").await.version.validators.etag;
    let with = |name, value: &HeaderValue| HeaderMap::from_iter([(name, value.clone())]);
    match site.ask(Method::GET, "/", with(IF_NONE_MATCH, &etag)).await {
        Outcome::NotModified(version) => assert_eq!(version.validators.etag, etag),
        other => panic!("{other:?}"),
    }
    fs::write(site.path("index.html"), "<p>HOME</p>").unwrap();
    site.until_etag_is_not("/", &etag).await;
    let outcome = site.ask(Method::GET, "/", with(IF_NONE_MATCH, &etag)).await;
    assert!(matches!(outcome, Outcome::Found(_)), "{outcome:?}");
    let outcome = site.ask(Method::GET, "/", with(IF_MATCH, &etag)).await;
    assert!(
        matches!(outcome, Outcome::PreconditionFailed),
        "{outcome:?}"
    );
    let any = HeaderValue::from_static("*");
    let outcome = site.ask(Method::GET, "/none", with(IF_MATCH, &any)).await;
    assert!(matches!(outcome, Outcome::NotFound), "{outcome:?}");
}

#[tokio::test]
async fn odd_dates_of_a_file_do_no_harm() {
    let site = Site::new();
    let day = Duration::from_secs(86_400);
    for (name, modified, has_date) in [
        ("early.html", SystemTime::UNIX_EPOCH - day, false),
        ("first.html", SystemTime::UNIX_EPOCH, true),
        ("late.html", SystemTime::now() + day * 36_500, true),
    ] {
        let file = fs::File::create(site.path(name)).unwrap();
        file.set_modified(modified).unwrap();
        let found = site.found(&format!("/{name}")).await;
        let validators = found.version.validators;
        assert_eq!(validators.last_modified.is_some(), has_date, "{modified:?}");
    }
}

#[test]
fn a_root_must_be_a_folder() {
    let site = Site::new();
    assert!(Root::open(&site.path("none"), Rules::default()).is_err());
    assert!(Root::open(&site.path("index.html"), Rules::default()).is_err());
}

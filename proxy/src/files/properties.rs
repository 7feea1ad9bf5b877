//! Property: whatever the path, nothing outside the root is returned, and no trouble is blamed on us.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU32, Ordering};

use http::{HeaderMap, Method};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tempfile::TempDir;

use super::{Outcome, Request, Root, Rules};

const SECRET: &str = "SECRET";

/// Plants secrets around the root and in its dot-files, and links of every kind in it.
fn plant() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    for path in ["root/a/b", "root/.git", "outside", "root-beside"] {
        fs::create_dir_all(folder.path().join(path)).unwrap();
    }
    for path in [
        "secret",
        "index.html",
        "outside/secret",
        "outside/index.html",
        "root-beside/secret",
        "root/.secret",
        "root/.git/secret",
        "root/a/.secret",
    ] {
        fs::write(folder.path().join(path), SECRET).unwrap();
    }
    for path in [
        "root/file",
        "root/index.html",
        "root/a/file",
        "root/a/b/file",
        "root/%2e%2e",
    ] {
        fs::write(folder.path().join(path), "open").unwrap();
    }
    for (target, link) in [
        ("a/b", "in"),
        ("../file", "a/in"),
        ("..", "a/up"),
        ("..", "up"),
        ("../outside", "out"),
        ("../../outside/secret", "a/out"),
        ("../root-beside", "beside"),
        ("/", "slash"),
        ("a/../../secret", "sly"),
        ("up/up/up", "chain"),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
    symlink(folder.path().join("secret"), root.join("absolute")).unwrap();
    folder
}

/// Segments that mean something here, their disguises, and noise.
fn segment() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "",
        ".",
        "..",
        "...",
        "%2e",
        "%2e%2e",
        ".%2E",
        "%252e%252e",
        "%2f",
        "..%2f",
        "%5c",
        "\\",
        "..\\",
        "%00",
        "file",
        "f%69le",
        "a",
        "b",
        "in",
        "up",
        "out",
        "beside",
        "slash",
        "sly",
        "chain",
        "absolute",
        "secret",
        ".secret",
        "%2esecret",
        ".git",
        "outside",
        "root",
        "root-beside",
        "index.html",
        "etc",
        "passwd",
        "%",
        "%c0%ae%c0%ae",
        "tmp",
        "proc",
        "self",
        "%2fetc%2fpasswd",
        "file%00.html",
        "file.",
        "file ",
        "~",
    ]);
    prop_oneof![
        8 => known.prop_map(str::to_owned),
        1 => "[ -~]{0,8}",
        1 => "(%[0-9a-fA-F]{2}){0,6}",
        1 => "\\PC{0,6}",
    ]
}

/// Paths of such segments, some with a character put in, cut out or repeated somewhere.
fn path() -> impl Strategy<Value = String> {
    let joined = prop::collection::vec(segment(), 0..7).prop_map(|segments| segments.join("/"));
    (
        joined,
        any::<prop::sample::Index>(),
        prop::option::weighted(0.3, "[/.%\\\\\0a2e]?"),
    )
        .prop_map(|(mut path, at, mutation)| {
            if let Some(mutation) = mutation {
                let mut end = at.index(path.len() + 1);
                while !path.is_char_boundary(end) {
                    end -= 1;
                }
                path.insert_str(end, &mutation);
            }
            path
        })
}

async fn check(root: &Root, rest: &str, found: &AtomicU32) -> Result<(), TestCaseError> {
    for (prefix, below) in [
        ("/", rest.to_owned()),
        ("/static/", rest.to_owned()),
        ("/static", format!("/{rest}")),
    ] {
        let whole = match prefix {
            "/static" => format!("/static/{rest}"),
            other => format!("{other}{rest}"),
        };
        let headers = HeaderMap::new();
        let request = Request {
            method: &Method::GET,
            path: &whole,
            below: &below,
            query: None,
            headers: &headers,
        };
        match root.find(&request).await {
            Outcome::Found(mut file) => {
                found.fetch_add(1, Ordering::Relaxed);
                while let Some(chunk) = file.body.chunk().await? {
                    prop_assert_eq!(&chunk[..], b"open", "{}", whole);
                }
            }
            Outcome::Redirect { location } => {
                let location = location.as_bytes();
                prop_assert!(
                    location.starts_with(b"/") && !location.starts_with(b"//"),
                    "{}",
                    whole
                );
            }
            Outcome::NotFound | Outcome::BadRequest => {}
            other => return Err(TestCaseError::fail(format!("{whole:?}: {other:?}"))),
        }
    }
    Ok(())
}

#[test]
fn nothing_outside_the_root_is_returned() {
    let folder = plant();
    let root = Root::open(&folder.path().join("root"), Rules::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let found = AtomicU32::new(0);
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(10_000)
    });
    let outcome = runner.run(&path(), |path| {
        runtime.block_on(check(&root, &path, &found))
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let found = found.into_inner();
    assert!(
        found > 100,
        "the paths are too odd to show anything: {found} found"
    );
}

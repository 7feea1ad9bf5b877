//! What is fuzzed, one function for each target: any bytes in, and a panic if a promise is broken.
//!
//! Two use them: the test beside it, which replays the corpora, and the fuzzer in `fuzz/`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::OnceLock;

use http::{HeaderMap, HeaderValue, Method};
use proxy::config::Config;
use proxy::files::{Outcome, Request, Root, Rules};
use proxy::front::body::BodyEnd;
use proxy::head::{Framing, Limits, Reader, Verdict};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// One target.
pub(crate) type Target = fn(&[u8]);

/// Every target by the name of its corpus.
pub(crate) const TARGETS: [(&str, Target); 5] = [
    ("body", body),
    ("config", config),
    ("head", head),
    ("path", path),
    ("range", range),
];

/// A head is judged the same in whatever pieces it comes; what passes is read the same by another
/// parser; and what is passed on in its stead passes as well, unchanged.
pub(crate) fn head(bytes: &[u8]) {
    let whole = Reader::new(Limits::default()).read(bytes);
    let mut reader = Reader::new(Limits::default());
    let mut dripped = Verdict::Incomplete;
    for end in 1..=bytes.len() {
        dripped = reader.read(&bytes[..end]);
        if dripped != Verdict::Incomplete {
            break;
        }
    }
    assert_eq!(dripped, whole, "whole and byte by byte");
    let Verdict::Accepted(accepted) = whole else {
        return;
    };
    agrees(&bytes[..accepted.len], accepted.body);
    if let Some(rewritten) = accepted.rewritten {
        agrees(&rewritten, accepted.body);
        match Reader::new(Limits::default()).read(&rewritten) {
            Verdict::Accepted(again) => {
                assert_eq!((again.len, again.body), (rewritten.len(), accepted.body));
                assert_eq!(again.rewritten, None, "rewritten for good");
            }
            // It may have grown over the limit by the host of its target.
            Verdict::Refused(refused) => assert_eq!(refused.status, 431, "{refused:?}"),
            Verdict::Incomplete => panic!("rewritten without an end"),
        }
    }
}

/// Another parser reads the same framing, and to the same end.
fn agrees(head: &[u8], body: Framing) {
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut other = httparse::Request::new(&mut fields);
    let parsed = other.parse(head);
    assert_eq!(parsed, Ok(httparse::Status::Complete(head.len())));
    let of = |name: &str| -> Vec<&[u8]> {
        let fields = other.headers.iter();
        let named = fields.filter(|field| field.name.eq_ignore_ascii_case(name));
        named.map(|field| field.value).collect()
    };
    let (lengths, codings) = (of("content-length"), of("transfer-encoding"));
    match body {
        Framing::Chunked => {
            assert!(lengths.is_empty() && codings.len() == 1);
            assert!(codings[0].eq_ignore_ascii_case(b"chunked"));
        }
        Framing::None | Framing::Length(_) => {
            assert!(codings.is_empty());
            let numbers = lengths.iter().flat_map(|value| value.split(|&b| b == b','));
            for number in numbers {
                let number: u64 = std::str::from_utf8(number).unwrap().trim().parse().unwrap();
                let expected = if number == 0 {
                    Framing::None
                } else {
                    Framing::Length(number)
                };
                assert_eq!(body, expected);
            }
        }
    }
}

/// A chunked body ends at the same place in whatever pieces it comes, and a reader that knows
/// nothing of ours finds the same end. The first byte says how long the pieces are.
pub(crate) fn body(bytes: &[u8]) {
    let Some((&piece, bytes)) = bytes.split_first() else {
        return;
    };
    let whole = admitted(bytes, bytes.len().max(1));
    assert_eq!(admitted(bytes, usize::from(piece).max(1)), whole);
    assert_eq!(admitted(bytes, 1), whole);
    if let Some((end, true)) = whole {
        assert_eq!(end_of_chunks(bytes), Some(end), "another reader");
    }
}

/// How far a body is let through and whether its end is reached; nothing if it is malformed.
fn admitted(bytes: &[u8], piece: usize) -> Option<(usize, bool)> {
    let mut end = BodyEnd::CHUNKED;
    let mut passed = 0;
    while passed < bytes.len() && !end.is_reached() {
        let until = bytes.len().min(passed + piece);
        passed += end.admit(&bytes[passed..until]).ok()?;
    }
    Some((passed, end.is_reached()))
}

/// Where a whole chunked body ends, by the grammar of RFC 9112, 7.1, read line by line.
fn end_of_chunks(bytes: &[u8]) -> Option<usize> {
    let line = |at: usize| -> Option<(&[u8], usize)> {
        let rest = &bytes[at..];
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        Some((&rest[..end], at + end + 2))
    };
    let mut at = 0;
    loop {
        let (size, next) = line(at)?;
        let digits = size.split(|&byte| byte == b';').next()?;
        let size = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        at = next;
        if size == 0 {
            break;
        }
        at = at.checked_add(size)?;
        if bytes.get(at..at + 2)? != b"\r\n" {
            return None;
        }
        at += 2;
    }
    loop {
        let (trailer, next) = line(at)?;
        at = next;
        if trailer.is_empty() {
            return Some(at);
        }
        trailer.iter().position(|&byte| byte == b':')?;
    }
}

/// A folder with open files, secrets beside it and links of every kind.
struct Site {
    root: Root,
    runtime: Runtime,
    _folder: TempDir,
}

impl Site {
    fn get() -> &'static Self {
        static SITE: OnceLock<Site> = OnceLock::new();
        SITE.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            plant(folder.path());
            let root = Root::open(&folder.path().join("root"), Rules::default()).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            Self {
                root,
                runtime,
                _folder: folder,
            }
        })
    }

    fn find(&self, path: &str, headers: &HeaderMap) -> (Outcome, Vec<u8>) {
        let below = path.strip_prefix('/').unwrap_or(path);
        let request = Request {
            method: &Method::GET,
            path,
            below,
            query: None,
            headers,
        };
        self.runtime.block_on(async {
            let mut outcome = self.root.find(&request).await;
            let mut body = Vec::new();
            if let Outcome::Found(file) = &mut outcome {
                while let Some(piece) = file.body.chunk().await.unwrap() {
                    body.extend_from_slice(&piece);
                }
                assert_eq!(body.len() as u64, file.length);
            }
            (outcome, body)
        })
    }
}

/// Plants a folder `root` that is served, and around it what must never be.
pub(crate) fn plant(folder: &Path) {
    for path in [
        "root/a/b",
        "root/.git",
        "root/%2e%2e",
        "outside",
        "root-beside",
    ] {
        fs::create_dir_all(folder.join(path)).unwrap();
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
        fs::write(folder.join(path), "SECRET").unwrap();
    }
    for path in [
        "root/file",
        "root/index.html",
        "root/a/file",
        "root/a/b/file",
        "root/a/b/index.html",
        "root/a/b/é",
        "root/%2e%2e/file",
    ] {
        fs::write(folder.join(path), "0123456789").unwrap();
    }
    let root = folder.join("root");
    for (target, link) in [
        ("a/b", "in"),
        ("../file", "a/in"),
        ("..", "a/up"),
        ("..", "up"),
        ("../outside", "out"),
        ("../outside/secret", "out-file"),
        ("../../outside/secret", "a/out"),
        ("../root-beside", "beside"),
        ("/", "slash"),
        ("a/../../secret", "sly"),
        ("up/up/up", "chain"),
        ("loop", "loop"),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
    symlink(folder.join("secret"), root.join("absolute")).unwrap();
}

/// Whatever the path, what is found is one of the open files, and no trouble is blamed on us.
pub(crate) fn path(bytes: &[u8]) {
    let path = format!("/{}", String::from_utf8_lossy(bytes));
    match Site::get().find(&path, &HeaderMap::new()) {
        (Outcome::Found(_), body) => assert_eq!(body, b"0123456789", "{path:?}"),
        (Outcome::Redirect { location }, _) => {
            let location = location.as_bytes();
            assert!(location.starts_with(b"/") && !location.starts_with(b"//"));
        }
        (Outcome::NotFound | Outcome::BadRequest, _) => {}
        (other, _) => panic!("{path:?}: {other:?}"),
    }
}

/// Whatever the range, what comes is the part that `Content-Range` says it is.
pub(crate) fn range(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let headers = HeaderMap::from_iter([(http::header::RANGE, value)]);
    match Site::get().find("/file", &headers) {
        (Outcome::Found(file), body) => {
            let expected: &[u8] = match &file.content_range {
                None => b"0123456789",
                Some(range) => {
                    let range = range.to_str().unwrap();
                    let range = range.strip_prefix("bytes ").unwrap();
                    let range = range.strip_suffix("/10").unwrap();
                    let (first, last) = range.split_once('-').unwrap();
                    let (first, last): (usize, usize) =
                        (first.parse().unwrap(), last.parse().unwrap());
                    &b"0123456789"[first..=last]
                }
            };
            assert_eq!(body, expected);
        }
        (Outcome::RangeNotSatisfiable { content_range }, _) => {
            assert_eq!(content_range, "bytes */10");
        }
        (other, _) => panic!("{other:?}"),
    }
}

/// Whatever stands in the file, it is taken or refused with a place and a reason.
pub(crate) fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let file = Path::new("proxy.toml");
    let Err(refused) = Config::parse(&text, file) else {
        return;
    };
    let said = refused.to_string();
    assert!(said.lines().count() > 0, "refused without a word");
    let lines = text.split('\n').count();
    let places = said
        .lines()
        .filter_map(|line| line.strip_prefix("proxy.toml:"));
    for place in places.filter(|place| place.starts_with(|c: char| c.is_ascii_digit())) {
        let number = place.split(':').next().unwrap_or_default();
        let number = number.parse::<usize>();
        assert!(number.is_ok_and(|n| n >= 1 && n <= lines), "{place}");
    }
}

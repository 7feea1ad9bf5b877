//! Random paths against the file server: nothing outside the folder is opened, and no answer is 5xx.
//!
//! `FUZZ_PATHS` sets how many paths are resolved in this process and `FUZZ_PATHS_OVER_SOCKETS` how many
//! go over sockets; `FUZZ_SEED` which.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use http::{HeaderMap, Method};
use proxy::files::{Outcome, Request, Root, Rules};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use super::number;
use super::targets::plant;
use crate::support::Proxy;
use crate::table::client::{Client, Got};

const OVER_SOCKETS: u64 = 20_000;
const IN_PROCESS: u64 = 200_000;
/// How many work at a time.
const WORKERS: u64 = 4;
/// How many requests are sent one behind the other.
const AT_ONCE: usize = 16;

/// Names that are there, inside and outside, and what disguises them.
const PARTS: [&str; 58] = [
    "",
    ".",
    "..",
    "...",
    "%2e",
    "%2e%2e",
    ".%2E",
    "%252e%252e",
    "%25%32%65",
    "%2f",
    "%2F..",
    "..%2f",
    "%5c",
    "..%5c",
    "%00",
    "%0a",
    "%20",
    "file",
    "f%69le",
    "%66%69%6c%65",
    "a",
    "b",
    "in",
    "up",
    "out",
    "out-file",
    "beside",
    "slash",
    "sly",
    "chain",
    "loop",
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
    "proc",
    "self",
    "%2fetc%2fpasswd",
    "file%00.html",
    "%c0%ae%c0%ae",
    "%c0%af",
    "%e0%80%ae",
    "%ef%bc%8e",
    "%u002e",
    "%",
    "%2",
    "%zz",
    "%C3%A9",
    "a;b",
    "~",
    "file.",
];
/// What is put somewhere.
const NOISE: [&str; 16] = [
    "/", "//", ".", "..", "%", "%2f", "\\", "%5c", "%00", "?", ";", ":", "%ff", "%2e", "é",
    "\u{202e}",
];

/// A path of such parts, with or without noise, sometimes very long.
fn path(random: &mut fastrand::Rng) -> String {
    let mut path = String::new();
    for _ in 0..random.usize(0..7) {
        path.push('/');
        if random.u8(..10) == 0 {
            for _ in 0..random.usize(1..6) {
                match random.u8(..3) {
                    0 => path.push(random.char('!'..='~')),
                    1 => path.push_str(&format!("%{:02x}", random.u8(..))),
                    _ => path.push(random.char('\u{80}'..'\u{3000}')),
                }
            }
        } else {
            path.push_str(PARTS[random.usize(..PARTS.len())]);
        }
    }
    if random.u8(..4) == 0 {
        let mut at = random.usize(..=path.len());
        while !path.is_char_boundary(at) {
            at -= 1;
        }
        path.insert_str(at, NOISE[random.usize(..NOISE.len())]);
    }
    if random.u16(..500) == 0 {
        path = path.repeat(random.usize(1..200));
    }
    if path.starts_with('/') {
        path
    } else {
        format!("/{path}")
    }
}

/// Starts a proxy that serves the folder `root` of what is planted there.
pub(super) async fn serve(folder: &Path) -> Proxy {
    Proxy::start(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        admin = "127.0.0.1:0"
        [log]
        access = "off"
        [[routes]]
        path = "/"
        files = "{root}"
        [[routes]]
        path = "/static"
        files = "{root}"
        "#,
        root = folder.join("root").display()
    ))
    .await
}

/// Watches everything that is planted outside the folder; whoever opens it is seen.
pub(super) struct Watch(OwnedFd);

impl Watch {
    pub(super) fn outside(folder: &Path) -> Self {
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        for path in [
            "secret",
            "index.html",
            "outside",
            "outside/secret",
            "outside/index.html",
            "root-beside",
            "root-beside/secret",
            "root/.secret",
            "root/.git",
            "root/.git/secret",
            "root/a/.secret",
        ] {
            let flags = WatchFlags::OPEN | WatchFlags::ACCESS;
            inotify::add_watch(&watch, folder.join(path), flags).unwrap();
        }
        Self(watch)
    }

    /// How often something was opened or read since it was last asked.
    pub(super) fn opened(&self) -> usize {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.0, &mut buffer);
        let mut opened = 0;
        while let Ok(event) = reader.next() {
            let looked = ReadFlags::OPEN | ReadFlags::ACCESS;
            opened += usize::from(event.events().intersects(looked));
        }
        opened
    }
}

#[test]
fn whoever_opens_a_secret_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path());
    let watch = Watch::outside(folder.path());
    assert_eq!(watch.opened(), 0);
    std::fs::File::open(folder.path().join("root/out/secret")).unwrap();
    assert!(watch.opened() > 0);
    std::fs::read_dir(folder.path().join("root/out")).unwrap();
    assert!(watch.opened() > 0);
}

#[test]
fn no_path_leads_out_in_process() {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path());
    let root = Root::open(&folder.path().join("root"), Rules::default()).unwrap();
    let watch = Watch::outside(folder.path());
    let count = number("FUZZ_PATHS", IN_PROCESS);
    let mut random = fastrand::Rng::with_seed(number("FUZZ_SEED", 1));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let mut found = 0;
    runtime.block_on(async {
        for _ in 0..count {
            let path = path(&mut random);
            found += u64::from(find(&root, &path).await);
        }
    });
    assert_eq!(watch.opened(), 0, "something outside was opened");
    assert!(found * 50 > count, "{found} of {count} paths found a file");
}

/// Whether a path leads to a file, which must be an open one.
async fn find(root: &Root, path: &str) -> bool {
    let headers = HeaderMap::new();
    let request = Request {
        method: &Method::GET,
        path,
        below: &path[1..],
        query: None,
        headers: &headers,
    };
    match root.find(&request).await {
        Outcome::Found(mut file) => {
            let piece = file.body.chunk().await.unwrap();
            assert_eq!(piece.as_deref(), Some(&b"0123456789"[..]), "{path:?}");
            true
        }
        Outcome::Redirect { .. } | Outcome::NotFound | Outcome::BadRequest => false,
        other => panic!("{path:?}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leads_out_over_sockets() {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path());
    let watch = Watch::outside(folder.path());
    let proxy = serve(folder.path()).await;
    let proxy = Arc::new(proxy);
    let (count, seed) = (
        number("FUZZ_PATHS_OVER_SOCKETS", OVER_SOCKETS),
        number("FUZZ_SEED", 1),
    );
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let random = fastrand::Rng::with_seed(seed * WORKERS + worker);
        workers.spawn(ask(Arc::clone(&proxy), random, count / WORKERS));
    }
    let mut statuses = BTreeMap::<u16, u64>::new();
    while let Some(counts) = workers.join_next().await {
        for (status, count) in counts.unwrap() {
            *statuses.entry(status).or_default() += count;
        }
    }
    assert_eq!(watch.opened(), 0, "something outside was opened");
    let known = [200, 301, 400, 404, 414];
    assert!(
        statuses.keys().all(|status| known.contains(status)),
        "{statuses:?}"
    );
    assert!(statuses[&200] * 50 > count, "too odd: {statuses:?}");
}

/// A target that reaches the files: what would be refused before it is escaped.
fn target(random: &mut fastrand::Rng) -> String {
    let mut target = if random.bool() { "/static" } else { "" }.to_owned();
    let path = path(random);
    for (index, byte) in path.bytes().enumerate() {
        let escaped = match byte {
            b'%' => !path.as_bytes()[index + 1..]
                .get(..2)
                .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit)),
            b'"' | b'#' | b'<' | b'>' | b'\\' | b'`' => true,
            other => !other.is_ascii_graphic(),
        };
        if escaped {
            target.push_str(&format!("%{byte:02X}"));
        } else {
            target.push(char::from(byte));
        }
    }
    target
}

/// Asks for so many paths and counts the statuses; a file that comes must be an open one.
async fn ask(proxy: Arc<Proxy>, mut random: fastrand::Rng, count: u64) -> BTreeMap<u16, u64> {
    let mut statuses = BTreeMap::new();
    let mut asked = 0;
    let mut stream = proxy.connect().await;
    while asked < count {
        let mut targets: Vec<String> = (1..AT_ONCE).map(|_| target(&mut random)).collect();
        // The last one as it is: it may well end the connection.
        targets.push(path(&mut random));
        let heads: String = targets
            .iter()
            .map(|target| format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .collect();
        stream.write_all(heads.as_bytes()).await.unwrap();
        let mut client = Client::new(&mut stream);
        let mut closes = false;
        for target in &targets {
            let got = client.answer(false).await.unwrap();
            let got = got.unwrap_or_else(|| panic!("{target:?}"));
            closes = got.has_value("connection", "close");
            check(target, &got);
            *statuses.entry(got.statuses[0]).or_default() += 1;
            asked += 1;
            if closes {
                break;
            }
        }
        if closes {
            stream = proxy.connect().await;
        }
    }
    statuses
}

fn check(target: &str, got: &Got) {
    let secret = got.body.windows(6).any(|six| six == b"SECRET");
    let open = got.statuses != [200] || got.body == b"0123456789";
    assert!(open && !secret, "{target:?}: {got:?}");
}

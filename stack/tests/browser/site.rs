//! The stack before which the browser sits, in clear and over TLS, and what the test does to it behind its back.

use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use stack::ask::{Address, Answer, ask, request};
use stack::probe::Authorization;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::webdriver::Chromedriver;

const STACK: &str = env!("CARGO_BIN_EXE_stack");
/// The password of `admin` in this stack.
pub(crate) const PASSWORD: &str = "browsers-are-real-1";
/// How long a condition may take before the test fails.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// One stack in a folder of its own, and the driver of all browsers before it.
pub(crate) struct Site {
    /// Where it listens in clear.
    pub(crate) address: SocketAddr,
    /// Where it listens over TLS.
    pub(crate) tls: SocketAddr,
    /// Starts the browsers.
    pub(crate) chromedriver: Chromedriver,
    folder: TempDir,
    running: Mutex<Option<Child>>,
    runtime: Runtime,
}

impl Site {
    pub(crate) fn new() -> Self {
        programs_are_built();
        // Postgres's user must be able to enter it.
        let open = Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().permissions(open).tempdir();
        let folder = folder.unwrap();
        let password = folder.path().join("password");
        write(&password, PASSWORD);
        let tls = folder.path().join("tls");
        must(Command::new(root().join("scripts/certificate")).arg(tls));
        Self {
            address: free_address(),
            tls: free_address(),
            chromedriver: Chromedriver::start(),
            folder,
            running: Mutex::new(None),
            runtime: Runtime::new().unwrap(),
        }
    }

    pub(crate) fn up(&self) {
        let log = File::create(self.log()).unwrap();
        let mut command = self.command(&["up"]);
        command.arg("--listen").arg(self.address.to_string());
        command.arg("--admin").arg(free_address().to_string());
        command.arg("--tls").arg(self.tls.to_string());
        command
            .arg("--tls-folder")
            .arg(self.folder.path().join("tls"));
        command
            .arg("--admin-password-file")
            .arg(self.folder.path().join("password"));
        let mut child = command
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        eventually(Duration::from_secs(120), "stack up is ready", || {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "stack up ended");
            read(&self.log()).contains("\nready: ")
        });
        *self.running.lock().unwrap() = Some(child);
    }

    pub(crate) fn down(&self) {
        self.chromedriver.end();
        if let Some(mut child) = self.running.lock().unwrap().take() {
            must(&mut self.command(&["down"]));
            child.wait().unwrap();
        }
    }

    /// Does `stop`, `start` or `kill` to a service or an instance.
    pub(crate) fn verb(&self, verb: &str, target: &str) {
        must(&mut self.command(&[verb, target]));
    }

    /// Starts what an earlier scenario left down, and waits until both instances take turns.
    pub(crate) fn settle(&self) {
        let both = || BTreeSet::from(["api2_1".to_owned(), "api_1".to_owned()]);
        let names = || -> BTreeSet<_> {
            let answers = (0..20).map(|_| self.send(Method::GET, "/api/music/?limit=1", None));
            answers.map(|answer| answer.instance().to_owned()).collect()
        };
        if names() != both() {
            let status = must(&mut self.command(&["status", "--json"]));
            let status: Value = serde_json::from_str(&status).unwrap();
            for instance in status.as_array().unwrap() {
                if instance["state"] == "down" {
                    self.verb("start", instance["instance"].as_str().unwrap());
                }
            }
            eventually(BOUND, "both instances take turns", || names() == both());
        }
    }

    /// Adds a song as a client of the API does; returns its number.
    pub(crate) fn add(&self, song: &str, singer: &str) -> u64 {
        let body = json!({ "song": song, "singer": singer });
        let answer = self.send(Method::POST, "/api/music/", Some(&body));
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["id"].as_u64().unwrap()
    }

    /// Sends a request as the administrator.
    pub(crate) fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let address = Address::Tcp(self.address);
        let body = body.map(ToString::to_string).unwrap_or_default();
        let mut request = request(method, &address, path, body.into()).unwrap();
        let authorization = Authorization::basic("admin", PASSWORD).unwrap().header();
        request.headers_mut().insert("authorization", authorization);
        self.exchange(request)
    }

    fn exchange(&self, mut request: Request<Full<Bytes>>) -> Answer {
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert("accept", json);
        let address = Address::Tcp(self.address);
        let exchange = ask(&address, request, BOUND);
        self.runtime.block_on(exchange).unwrap()
    }

    /// The end of what the stack said.
    pub(crate) fn last_lines(&self) -> String {
        let log = read(&self.log());
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(STACK);
        command.args(arguments).arg("--dir");
        command.arg(self.folder.path().join("stack"));
        command
    }
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap().to_owned()
}

/// Waits until a condition holds; panics when it does not within the bound.
pub(crate) fn eventually(bound: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < bound, "not within {bound:?}: {what}");
        pause(Duration::from_millis(30));
    }
}

/// Waits between two looks at a condition.
#[expect(clippy::disallowed_methods, reason = "no worker runs here")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Fails where the programs that `stack` starts are not built: cargo does not do that for a test of one package.
fn programs_are_built() {
    for program in ["api", "proxy"] {
        let file = Path::new(STACK).with_file_name(program);
        assert!(file.is_file(), "cargo build -p api -p proxy -p stack first");
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn must(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}{errors}");
    text
}

#[expect(clippy::disallowed_methods, reason = "no worker runs here")]
pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// Writes a file.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::write(path, content).unwrap();
}

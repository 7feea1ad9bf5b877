//! The binary itself: exit codes, sentences, signals, the access log.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;

use crate::support::eventually;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_proxy");

pub(crate) fn config(lines: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(lines.as_bytes()).unwrap();
    file
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY)
        .args(arguments)
        .env("LOG_FORMAT", "json")
        .output()
        .unwrap()
}

pub(crate) fn check_failure(output: &Output, code: i32, words: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    for word in words {
        assert!(error.contains(word), "{word} in {error}");
    }
    assert_eq!(error.trim().lines().count(), 1, "one sentence: {error}");
}

#[test]
fn a_port_in_use_is_said_in_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let file = config(&format!(
        "listen = [\"{address}\"]\n[[routes]]\npath = \"/\"\nfiles = \"/tmp\"\n"
    ));
    let output = run(&["serve", "--config", file.path().to_str().unwrap()]);
    check_failure(
        &output,
        1,
        &[&address, "another program is using this port"],
    );
}

#[test]
fn a_bad_configuration_is_refused_with_file_line_and_key() {
    let file = config(
        "listen = [\"127.0.0.1:0\"]\nthread = 1\n[[routes]]\npath = \"/\"\nfiles = \"/tmp\"\n",
    );
    let output = run(&["serve", "--config", file.path().to_str().unwrap()]);
    check_failure(&output, 78, &[".toml:2", "thread"]);
}

#[test]
fn a_bad_log_filter_is_refused() {
    let output = run(&["--log", "x=y=z", "check", "/nonexistent.toml"]);
    check_failure(&output, 78, &["RUST_LOG"]);
}

#[test]
fn a_missing_file_and_a_missing_folder_are_refused() {
    check_failure(
        &run(&["serve", "--config", "/nonexistent.toml"]),
        78,
        &["/nonexistent.toml"],
    );
    let file =
        config("listen = [\"127.0.0.1:0\"]\n[[routes]]\npath = \"/\"\nfiles = \"/nonexistent\"\n");
    let output = run(&["serve", "--config", file.path().to_str().unwrap()]);
    check_failure(&output, 78, &["/nonexistent"]);
}

#[test]
fn check_says_fine_or_what_is_wrong() {
    let good = config("listen = [\"127.0.0.1:0\"]\n[[routes]]\npath = \"/\"\nfiles = \"/tmp\"\n");
    let output = run(&["check", good.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let bad = config("listen = 5\n");
    let output = run(&["check", bad.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("listen"),
        "{output:?}"
    );
}

#[test]
fn health_of_nobody_is_bad() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let file = config(&format!(
        "listen = [\"127.0.0.1:0\"]\nadmin = \"{free}\"\n[[routes]]\npath = \"/\"\nfiles = \"/tmp\"\n"
    ));
    let output = run(&["healthcheck", "--config", file.path().to_str().unwrap()]);
    check_failure(&output, 1, &[&free.to_string()]);
}

/// A proxy in a process of its own, killed at the end whatever happens.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    /// Its admin listener, if it has one.
    pub(crate) admin: Option<SocketAddr>,
    /// What it says of itself after it has begun to serve.
    log: Option<JoinHandle<Vec<String>>>,
}

impl Running {
    pub(crate) fn start(file: &tempfile::NamedTempFile) -> Self {
        Self::wait_for(Self::spawn(file.path()))
    }

    /// Starts the process and waits for nothing.
    pub(crate) fn spawn(file: &Path) -> Child {
        Command::new(BINARY)
            .args(["serve", "--config", file.to_str().unwrap()])
            .env("LOG_FORMAT", "json")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Waits until a process serves.
    pub(crate) fn wait_for(mut child: Child) -> Self {
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let serving = log
            .find(|line| line.as_ref().unwrap().contains("\"serving\""))
            .unwrap()
            .unwrap();
        let serving: serde_json::Value = serde_json::from_str(&serving).unwrap();
        let admin = serving["admin"].as_str().unwrap().parse().ok();
        let log = std::thread::spawn(move || log.map_while(Result::ok).collect());
        let address = serving["listen"].as_str().unwrap().parse().unwrap();
        Self {
            child,
            address,
            admin,
            log: Some(log),
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// The memory that it holds beyond the text of its program, in KiB.
    async fn anonymous_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = tokio::fs::read_to_string(path).await.unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:"));
        let figure = line.unwrap().split_whitespace().nth(1);
        figure.unwrap().parse().unwrap()
    }

    /// Stops it and returns what it has said since it began to serve.
    pub(crate) fn log(&mut self) -> String {
        self.signal("TERM");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.log.take().unwrap().join().unwrap().join("\n")
    }

    /// Stops it and returns its access log.
    pub(crate) fn lines(&mut self) -> Vec<serde_json::Value> {
        self.signal("TERM");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let mut log = String::new();
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut log).unwrap();
        let line = |line| serde_json::from_str(line).unwrap();
        log.lines().map(line).collect()
    }

    pub(crate) fn get(&self, path: &str) -> String {
        self.raw(&format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        ))
    }

    /// Sends bytes as they are and reads until the proxy closes.
    pub(crate) fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn serving_config() -> tempfile::NamedTempFile {
    config(
        "listen = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\n[[routes]]\npath = \"/api\"\nupstream = \"u\"\n[upstreams.u]\nservers = [{ address = \"127.0.0.1:1\" }]\n",
    )
}

#[test]
fn every_request_leaves_one_line_that_can_be_parsed() {
    let file = serving_config();
    let mut running = Running::start(&file);
    assert!(running.get("/api/x?secret=1").starts_with("HTTP/1.1 503 "));
    assert!(running.get("/else\\where").starts_with("HTTP/1.1 400 "));
    let lines = running.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let page = include_str!("../../../docs/running.md");
    for key in lines[0].as_object().unwrap().keys() {
        assert!(
            page.contains(&format!("`{key}`")),
            "{key} is not documented"
        );
    }
    assert_eq!(lines[0]["host"], "x");
    assert_eq!(lines[0]["path"], "/api/x");
    assert_eq!(lines[0]["status"], 503);
    assert_eq!(lines[0]["upstream"], "u");
    assert_eq!(lines[1]["status"], 400);
    assert_eq!(lines[1]["instance"], "proxy");
    let log = format!("{lines:?}");
    assert!(!log.contains("secret"), "queries may hold secrets: {log}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let file = serving_config();
    let mut running = Running::start(&file);
    running.signal("TERM");
    running.signal("INT");
    assert_eq!(running.child.wait().unwrap().code(), Some(130));
}

#[tokio::test]
async fn at_rest_it_holds_little_more_than_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..2000).map(|number| format!("{number} ")).collect();
    for number in 0..12 {
        let path = folder.path().join(format!("{number}.css"));
        std::fs::write(path, &text).unwrap();
    }
    let file = config(&format!(
        "listen = [\"127.0.0.1:0\"]\n[[routes]]\npath = \"/\"\nfiles = {:?}\n",
        folder.path()
    ));
    let running = Running::start(&file);
    // Encoding the files has taken several times as much.
    eventually("it holds less than 32 MiB", || async {
        running.anonymous_memory().await < 32 * 1024
    })
    .await;
}

//! The access log in a file: where it is opened, how it is rotated, and what becomes of a full disk.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::binary::{Running, check_failure, run};
use crate::support::eventually;

/// A configuration whose access log goes there; nobody answers what it serves.
fn config(access: &str) -> String {
    format!(
        "listen = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\nlog.access = \"{access}\"\n\
         [[routes]]\npath = \"/api\"\nupstream = \"u\"\n\
         [upstreams.u]\nservers = [{{ address = \"127.0.0.1:1\" }}]\n"
    )
}

/// A proxy with a configuration in a folder of its own.
struct Logged {
    running: Running,
    folder: tempfile::TempDir,
}

impl Logged {
    fn start(access: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("proxy.toml");
        fs::write(&file, config(access)).unwrap();
        let running = Running::wait_for(Running::spawn(&file));
        Self { running, folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts another configuration in place of the file and has it read at once; returns the answer.
    fn reload(&self, text: &str) -> String {
        fs::write(self.at("proxy.toml"), text).unwrap();
        self.admin("POST", "/reload")
    }

    fn admin(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(self.running.admin.unwrap()).unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn dropped(&self) -> u64 {
        let page = self.admin("GET", "/metrics");
        let mut lines = page.lines();
        let figure = lines.find_map(|line| line.strip_prefix("proxy_access_log_dropped_total "));
        figure.unwrap().parse().unwrap()
    }
}

/// The paths of the requests that a log has; every line must be whole.
fn paths(file: &Path) -> Vec<String> {
    let text = fs::File::open(file).map_or(String::new(), |mut file| {
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    });
    let path = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["path"].as_str().unwrap().to_owned()
    };
    text.lines().map(path).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_moved_away_under_load_loses_no_line() {
    let mut logged = Logged::start("./access.log");
    let mode = fs::metadata(logged.at("access.log")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o137, 0, "no more than 0640");
    let over = AtomicBool::new(false);
    let client = async || {
        let mut sent = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let path = format!("/api/{}", sent.len());
            let answer = tokio::task::block_in_place(|| logged.running.get(&path));
            assert!(answer.starts_with("HTTP/1.1 503 "));
            sent.push(path);
            tokio::task::yield_now().await;
        }
        sent
    };
    let rotate = async || {
        for round in 0..5 {
            fs::rename(logged.at("access.log"), logged.at(&round.to_string())).unwrap();
            logged.running.signal("HUP");
            eventually("it is written", || async {
                fs::metadata(logged.at("access.log")).is_ok_and(|file| file.len() > 0)
            })
            .await;
        }
        over.store(true, Ordering::Relaxed);
    };
    let (sent, ()) = tokio::join!(client(), rotate());
    assert!(logged.running.lines().is_empty(), "nothing on stdout");
    let names = (0..5).map(|round| round.to_string());
    let files = names.chain(["access.log".to_owned()]);
    let found: Vec<_> = files.flat_map(|name| paths(&logged.at(&name))).collect();
    assert_eq!(found, sent);
}

#[test]
fn a_file_that_cannot_be_is_refused_before_anything_listens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.toml");
    fs::write(&file, config("logs/access.log")).unwrap();
    let file = file.to_str().unwrap();
    let told = [
        "proxy.toml:3: log.access: there is no such folder: ",
        "/logs",
    ];
    check_failure(&run(&["serve", "--config", file]), 78, &told);
    let checked = run(&["check", file]);
    assert_eq!(checked.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&checked.stdout).contains(told[0]));
    fs::create_dir(folder.path().join("logs")).unwrap();
    assert_eq!(run(&["check", file]).status.code(), Some(0));
    let made = folder.path().join("logs/access.log").exists();
    assert!(!made, "a check makes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_once_and_lines_are_counted() {
    let mut logged = Logged::start("/dev/full");
    for request in 1..=3 {
        assert!(logged.running.get("/api/").starts_with("HTTP/1.1 503 "));
        // Each in a write of its own.
        eventually("the line is counted", || async {
            logged.dropped() == request
        })
        .await;
    }
    let log = logged.running.log();
    let told = log.matches("the access log cannot be written").count();
    assert_eq!(told, 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_place_of_the_log_changes_in_place() {
    let mut logged = Logged::start("stdout");
    logged.running.get("/api/stdout");
    let taken = logged.reload(&config("./one.log"));
    assert!(taken.contains("\"log\""), "{taken}");
    logged.running.get("/api/one");
    let refused = logged.reload(&config("no/two.log"));
    assert!(
        refused.starts_with("HTTP/1.1 422 ")
            && refused.contains(":3: log.access: there is no such folder: "),
        "{refused}"
    );
    logged.running.get("/api/still-one");
    // The signal means the file, whatever is wrong with the settings.
    eventually("it is written", || async {
        paths(&logged.at("one.log")).len() == 2
    })
    .await;
    fs::rename(logged.at("one.log"), logged.at("one.log.1")).unwrap();
    logged.running.signal("HUP");
    eventually("it is made anew", || async {
        logged.at("one.log").exists()
    })
    .await;
    logged.running.get("/api/one-again");
    assert!(logged.reload(&config("off")).contains("\"log\""));
    logged.running.get("/api/off");
    let stdout = logged.running.lines();
    assert_eq!(stdout.len(), 1, "{stdout:?}");
    assert_eq!(stdout[0]["path"], "/api/stdout");
    assert_eq!(
        paths(&logged.at("one.log.1")),
        ["/api/one", "/api/still-one"]
    );
    assert_eq!(paths(&logged.at("one.log")), ["/api/one-again"]);
}

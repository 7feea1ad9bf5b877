//! The access log of the binary: one line per request that says what really happened.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::binary::{Running, config, serving_config};
use crate::raw::{RawOrigin, Reply};
use crate::support::eventually;

/// Starts a proxy before a server, and waits until it is up.
async fn before(origin: &RawOrigin) -> (Running, tempfile::NamedTempFile) {
    let file = config(&format!(
        "listen = [\"127.0.0.1:0\"]\n[[routes]]\npath = \"/api\"\nupstream = \"u\"\n[upstreams.u]\nservers = [{{ address = \"{}\" }}]\n",
        origin.address
    ));
    let running = Running::start(&file);
    eventually("the server is up", || async {
        !running.get("/api/waiting").starts_with("HTTP/1.1 503 ")
    })
    .await;
    (running, file)
}

/// The lines of requests for this path.
fn of<'a>(lines: &'a [serde_json::Value], path: &str) -> Vec<&'a serde_json::Value> {
    lines.iter().filter(|line| line["path"] == path).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_broke_off_is_said_to_have_broken_off() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    let origin = RawOrigin::start(Reply::Close(half)).await;
    let (mut running, _file) = before(&origin).await;
    running.get("/api/cut");
    origin.reply(Reply::Close("nonsense\r\n\r\n"));
    running.get("/api/nonsense");
    origin.reply(Reply::Early(""));
    let mut leaving = TcpStream::connect(running.address).unwrap();
    leaving
        .write_all(b"GET /api/leaves HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    drop(leaving);
    let lines = running.lines();
    let cut = of(&lines, "/api/cut");
    assert_eq!(cut.len(), 1);
    assert_eq!(
        (&cut[0]["status"], &cut[0]["bytes"]),
        (&200.into(), &4.into())
    );
    assert!(
        cut[0]["cause"].as_str().unwrap().contains("broke off"),
        "{cut:?}"
    );
    let nonsense = of(&lines, "/api/nonsense");
    assert_eq!(nonsense[0]["status"], 502);
    assert_eq!(nonsense[0]["tries"][0]["outcome"], "broken off");
    let leaves = of(&lines, "/api/leaves");
    assert_eq!(leaves.len(), 1, "{lines:?}");
    assert_eq!(leaves[0]["status"], 499);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_end_of_the_process_cuts_leaves_a_line_too() {
    let origin = RawOrigin::start(Reply::Close("")).await;
    let (mut running, _file) = before(&origin).await;
    origin.reply(Reply::Early(""));
    let mut waiting = TcpStream::connect(running.address).unwrap();
    waiting
        .write_all(b"GET /api/waits HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let lines = running.lines();
    let waits = of(&lines, "/api/waits");
    assert_eq!(waits.len(), 1, "{lines:?}");
    assert_eq!(waits[0]["status"], 503);
    assert!(waits[0]["cause"].as_str().unwrap().contains("stopped"));
}

#[test]
fn hostile_paths_stay_on_their_line() {
    let mut running = Running::start(&serving_config());
    let paths = [
        "/api/%0d%0a{\"status\":200}",
        "/api/'%22}]",
        "/api/\u{1b}[2J",
        "/api/\u{e9}\n{}",
    ];
    for path in paths {
        running.get(path);
    }
    let lines = running.lines();
    assert_eq!(lines.len(), paths.len(), "{lines:?}");
    for line in &lines {
        assert_ne!(line["status"], 200);
        let path = line["path"].as_str().unwrap_or("");
        assert!(!path.contains('\n'), "{line}");
    }
}

#[test]
fn a_closed_standard_output_stops_nothing() {
    let mut running = Running::start(&serving_config());
    drop(running.child.stdout.take());
    for _ in 0..20 {
        assert!(running.get("/api/").starts_with("HTTP/1.1 503 "));
    }
    running.signal("TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_standard_output_that_nobody_reads_holds_up_nothing() {
    let mut running = Running::start(&serving_config());
    let path = format!("/api/{}", "x".repeat(4000));
    let mut kept = TcpStream::connect(running.address).unwrap();
    // More than the pipe and the writer's buffer hold.
    for _ in 0..60 {
        write!(kept, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut byte = [0];
        while byte != *b"}" {
            kept.read_exact(&mut byte).unwrap();
        }
    }
    let began = Instant::now();
    running.signal("TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}

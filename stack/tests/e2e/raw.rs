//! Requests as bytes: what must be answered, and what must be refused before any server sees it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::Scenario;
use crate::world::{SECOND, World};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("http_1_0_is_answered_at_once", http_1_0_is_answered_at_once),
    (
        "ambiguous_requests_are_refused",
        ambiguous_requests_are_refused,
    ),
    (
        "a_refusal_is_logged_and_goes_nowhere",
        a_refusal_is_logged_and_goes_nowhere,
    ),
    ("a_dripped_head_gets_408", a_dripped_head_gets_408),
];

fn http_1_0_is_answered_at_once(world: &World) {
    let begin = Instant::now();
    let answer = talk(world, b"GET / HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1."), "{answer}");
    assert!(has_instance(&answer), "{answer}");
    assert!(begin.elapsed() < SECOND, "{:?}", begin.elapsed());
}

fn ambiguous_requests_are_refused(world: &World) {
    let requests: [(&str, &[u8]); 6] = [
        ("two Hosts", b"GET /api/music/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        ("no Host", b"GET /api/music/ HTTP/1.1\r\n\r\n"),
        (
            "TE and CL",
            b"POST /api/music/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("a space in the target", b"GET /api/mu sic/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a bare CR", b"GET /api/music/ HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n"),
        ("two lengths", b"POST /api/music/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    ];
    for (what, request) in requests {
        let answer = talk(world, request);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{what}: {answer}");
        let lower = answer.to_lowercase();
        assert!(
            lower.contains("\r\nx-instance: proxy\r\n"),
            "{what}: {answer}"
        );
        assert!(
            lower.contains("\r\nconnection: close\r\n"),
            "{what}: {answer}"
        );
    }
}

fn a_refusal_is_logged_and_goes_nowhere(world: &World) {
    let path = format!("/api/refused-{}/", std::process::id());
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    talk(world, request.as_bytes());
    // An answer that passed the API afterwards: whatever it had to log before is in the log.
    let after = format!("/api/accepted-{}/", std::process::id());
    world.get(&after);
    let mut lines = Vec::new();
    world.eventually(10 * SECOND, "both requests are logged", || {
        let log = world.log();
        lines = log.lines().map(str::to_owned).collect();
        let of = |name: &str, path: &str| {
            let mut lines = lines.iter();
            lines.any(|line| line.starts_with(name) && line.contains(path))
        };
        of("proxy", &path) && of("api", &after)
    });
    let upstream = lines
        .iter()
        .find(|line| line.starts_with("api") && line.contains(&path));
    assert_eq!(upstream, None);
}

fn a_dripped_head_gets_408(world: &World) {
    let begin = Instant::now();
    let mut stream = TcpStream::connect(world.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX-Drip: ")
        .unwrap();
    let mut answer = Vec::new();
    world.eventually(20 * SECOND, "the proxy has had enough", || {
        // Both ends may be closing by now.
        let _ = stream.write_all(b"x");
        let mut piece = [0; 1024];
        match stream.read(&mut piece) {
            Ok(0) => return true,
            Ok(length) => answer.extend_from_slice(&piece[..length]),
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {}
            Err(error) => panic!("{error} after {}", String::from_utf8_lossy(&answer)),
        }
        answer.windows(4).any(|end| end == b"\r\n\r\n")
    });
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(has_instance(&answer), "{answer}");
    assert!(begin.elapsed() > 8 * SECOND, "{:?}", begin.elapsed());
}

fn has_instance(answer: &str) -> bool {
    answer.to_lowercase().contains("\r\nx-instance: proxy\r\n")
}

/// Sends bytes and reads until the other side closes.
fn talk(world: &World, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(world.address).unwrap();
    stream.set_read_timeout(Some(5 * SECOND)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(
        end.is_ok(),
        "the connection stays open: {end:?} after {answer}"
    );
    answer
}

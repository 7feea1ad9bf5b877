//! How much is read before there is a verdict, and what a refusal tells the log.

use super::super::Verdict;
use super::{check, get, read};

#[test]
fn sizes() {
    let target =
        |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(bytes - 1));
    check(&target(8192), 200);
    check(&target(8193), 414);
    check(&format!("GET /{}", "a".repeat(9000)), 414);
    check(&format!("GET / {}", "a".repeat(9000)), 400);
    check(&"A".repeat(33), 400);
    check(&format!("{} / HTTP/1.1\r\n", "A".repeat(33)), 400);
    check(&get(&"A: b\r\n".repeat(99)), 200);
    check(&get(&"A: b\r\n".repeat(100)), 431);
    check(&get(&format!("A: {}\r\n", "b".repeat(32_000))), 200);
    check(&get(&format!("A: {}\r\n", "b".repeat(33_000))), 431);
    check(&format!("GET / HTTP/1.1\r\nA: {}", "b".repeat(33_000)), 431);
    check(
        &format!("GET / HTTP/1.1\r\nA: {}\n", "b".repeat(33_000)),
        431,
    );
    let filled = |bytes: usize| {
        let rest = get("A: \r\n").len();
        get(&format!("A: {}\r\n", "b".repeat(bytes - rest)))
    };
    check(&filled(32 * 1024), 200);
    check(&filled(32 * 1024 + 1), 431);
}

#[test]
fn garbage_is_refused_at_its_first_byte() {
    for bytes in [
        "\x16\x03\x01",
        " ",
        "\0",
        "\u{e9}",
        "\n",
        "\r\r",
        "\r\n\r\n",
        "\r\n ",
    ] {
        check(bytes, 400);
    }
    for bytes in [
        "",
        "\r",
        "\r\n",
        "G",
        "GET /",
        "GET / HTTP/1.1\r\nHost: x\r\n",
    ] {
        check(bytes, 0);
    }
    check("\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 200);
}

#[test]
fn what_follows_a_head_is_not_part_of_it() {
    let head = get("");
    let Verdict::Accepted(accepted) = read(format!("{head}GET / HTTP/1.1\r\n").as_bytes()) else {
        panic!("it must pass");
    };
    assert_eq!((accepted.len, accepted.rewritten), (head.len(), None));
}

#[test]
fn a_refusal_tells_the_log_what_was_asked_for() {
    for (bytes, method, path) in [
        ("GET /a?secret HTTP/1.1\r\n\r\n", Some("GET"), Some("/a")),
        ("GET http://h/a?b HTTP/1.1\r\n\r\n", Some("GET"), Some("/a")),
        ("TRACE /a?b HTTP/1.1\r\n", Some("TRACE"), Some("/a")),
        ("GET /a b HTTP/1.1\r\n", Some("GET"), Some("/a")),
        ("GET /a#b HTTP/1.1\r\n", Some("GET"), Some("/a")),
        ("\r\nGET /a\n", Some("GET"), Some("/a")),
        ("GET http://u:secret@h/ HTTP/1.1\r\n", Some("GET"), None),
        ("CONNECT h:1 HTTP/1.1\r\n", Some("CONNECT"), None),
        ("G,T /a HTTP/1.1\r\n", None, None),
        ("\x16\x03", None, None),
    ] {
        let Verdict::Refused(refused) = read(bytes.as_bytes()) else {
            panic!("{bytes:?} must be refused");
        };
        let told = (refused.method.as_deref(), refused.path.as_deref());
        assert_eq!(told, (method, path), "{bytes:?}");
    }
    let Verdict::Refused(refused) = read(format!("GET /{}", "a".repeat(9000)).as_bytes()) else {
        panic!("it must be refused");
    };
    assert_eq!(refused.path.map(|path| path.len()), Some(1024));
}

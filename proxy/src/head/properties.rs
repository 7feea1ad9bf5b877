//! What holds for every head: it is read in one way only, and in the same way however it arrives.

use http::uri::{Authority, PathAndQuery};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::tests::{read, read_in_pieces, status};
use super::*;

/// Heads that are nearly right: pieces that matter, joined at random.
fn nearly_a_head() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "GET ",
        "POST ",
        "OPTIONS ",
        "/",
        "/a?b",
        "http://h/",
        "http://h",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n",
        "Host: x\r\n",
        "Host: y\r\n",
        "Content-Length: 3\r\n",
        "Content-Length: 3, 3\r\n",
        "Content-Length: 03\r\n",
        "Content-Length: 4\r\n",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "A: b\r\n",
        "A : b\r\n",
        " c\r\n",
        "\r\n",
        "\n",
        "\r",
        " ",
        "\t",
        ":",
        "\0",
        "Connection: close\r\n",
        "Connection: a,b,c,d,e,f\r\n",
        "Expect: 100-continue\r\n",
        "%41",
        "#",
    ]);
    let begin = prop::sample::select(vec![
        "GET / HTTP/1.1\r\nHost: x\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n",
        "POST http://h/ HTTP/1.1\r\nHost: x\r\n",
        "OPTIONS http://h HTTP/1.0\r\n",
        "\r\n",
        "",
    ]);
    (begin, prop::collection::vec(piece, 0..12), any::<bool>()).prop_map(|(begin, pieces, end)| {
        let end = if end { "\r\n\r\n" } else { "" };
        format!("{begin}{}{end}", pieces.concat()).into_bytes()
    })
}

/// Heads of browsers and tools, in which some bytes were changed, put in or taken out.
fn mutated_head() -> impl Strategy<Value = Vec<u8>> {
    let head = prop::sample::select(vec![
        "GET /api/music/?page=2&q=%20 HTTP/1.1\r\nHost: localhost:8080\r\nAccept: */*\r\n\r\n",
        "POST /api/music/ HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 12\r\nConnection: close\r\n\r\n",
        "PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
        "GET http://a.example/b HTTP/1.0\r\nUser-Agent: c\r\n\r\n",
    ]);
    let telling = b"\r\n\t\0 :;,#%?/\\@[]\"`\x7f\xff0a".to_vec();
    let byte = prop_oneof![prop::sample::select(telling), any::<u8>()];
    let change = (any::<prop::sample::Index>(), 0..3, byte);
    (head, prop::collection::vec(change, 0..4)).prop_map(|(head, changes)| {
        let mut head = head.as_bytes().to_vec();
        for (at, kind, byte) in changes {
            let at = at.index(head.len());
            match kind {
                0 => head[at] = byte,
                1 => head.insert(at, byte),
                _ => drop(head.remove(at)),
            }
        }
        head
    })
}

fn any_head() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![nearly_a_head(), mutated_head()]
}

/// What is passed on is read the same by parsers of another hand: same length, one host, one way
/// to delimit the body; and by this one.
fn check_passed_on(bytes: &[u8], accepted: &Accepted) -> Result<(), TestCaseError> {
    let head = accepted
        .rewritten
        .as_deref()
        .unwrap_or(&bytes[..accepted.len]);
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut fields);
    prop_assert_eq!(
        request.parse(head),
        Ok(httparse::Status::Complete(head.len()))
    );
    let target = request.path.unwrap();
    prop_assert!(target.starts_with('/') || (target, request.method) == ("*", Some("OPTIONS")));
    let parsed = PathAndQuery::try_from(target);
    prop_assert_eq!(parsed.as_ref().map(PathAndQuery::as_str).ok(), Some(target));

    let values = |name: &str| -> Vec<&[u8]> {
        let named = request
            .headers
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name));
        named.map(|field| field.value).collect()
    };
    let hosts = values("host");
    prop_assert!(hosts.len() == 1 || hosts.is_empty() && request.version == Some(0));
    for host in hosts {
        prop_assert!(Authority::try_from(host).is_ok(), "{:?}", host);
    }
    let lengths = values("content-length");
    let encodings = values("transfer-encoding");
    let digits = |length: u64| length.to_string().into_bytes();
    match (accepted.body, lengths[..].first()) {
        (Framing::Chunked, None) => prop_assert!(encodings.len() == 1),
        (Framing::None, None) => prop_assert!(encodings.is_empty()),
        (Framing::None, Some(length)) => {
            prop_assert!(encodings.is_empty() && lengths.len() == 1 && *length == b"0");
        }
        (Framing::Length(expected), Some(length)) => {
            prop_assert!(encodings.is_empty() && lengths.len() == 1);
            prop_assert_eq!(*length, digits(expected));
        }
        other => prop_assert!(false, "{:?}", other),
    }
    let again = Accepted {
        len: head.len(),
        rewritten: None,
        body: accepted.body,
    };
    prop_assert_eq!(read(head), Verdict::Accepted(again));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read(&bytes);
    }

    #[test]
    fn any_split_gives_the_same_verdict(bytes in any_head(), piece in 1..20usize) {
        prop_assert_eq!(read_in_pieces(&bytes, piece), read(&bytes));
    }

    #[test]
    fn another_parser_reads_the_same(bytes in any_head()) {
        if let Verdict::Accepted(accepted) = read(&bytes) {
            check_passed_on(&bytes, &accepted)?;
        }
    }
}

/// A test of what holds for accepted heads says nothing unless many are.
#[test]
fn the_strategies_make_heads_that_pass_and_heads_that_do_not() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut passed = 0;
    for _ in 0..1000 {
        let tree = any_head().new_tree(&mut runner).unwrap();
        passed += usize::from(status(&read(&tree.current())) == 200);
    }
    assert!((150..850).contains(&passed), "{passed} of 1000 pass");
}

#[test]
fn no_byte_in_a_target_is_read_in_two_ways() {
    for byte in 0..=u8::MAX {
        for begin in ["/", "/?"] {
            let target = [begin.as_bytes(), &[byte]].concat();
            let bytes = [b"GET ", &target[..], b" HTTP/1.1\r\nHost: x\r\n\r\n"].concat();
            let Verdict::Accepted(accepted) = read(&bytes) else {
                continue;
            };
            check_passed_on(&bytes, &accepted).unwrap();
        }
    }
}

//! The head that is passed on where the client's own leaves something to be read in two ways.

use super::field::Fields;
use super::line::RequestLine;

/// Returns what to pass on in the stead of a head that passes, if that is not the head itself.
pub(super) fn rewrite(head: &[u8], line: &RequestLine, fields: &Fields) -> Option<Vec<u8>> {
    let length = fields.corrected_length();
    let begins_at_once = line.method.start == 0;
    if line.authority.is_none() && length.is_none() && begins_at_once {
        return None;
    }
    let mut rewritten = Vec::with_capacity(head.len() + 32);
    write_line(&mut rewritten, head, line);
    // The authority of the target replaces the host field (RFC 9112, 3.2.2).
    if let Some(authority) = &line.authority {
        write_field(&mut rewritten, b"Host", &head[authority.clone()]);
    }
    let is_dropped = |name: &[u8]| {
        line.authority.is_some() && name.eq_ignore_ascii_case(b"host")
            || length.is_some() && name.eq_ignore_ascii_case(b"content-length")
    };
    // Each line is known to end in CR and LF, and neither stands anywhere else.
    for field in head[line.end..head.len() - 2].split_inclusive(|&byte| byte == b'\n') {
        let name = field.split(|&byte| byte == b':').next();
        if !is_dropped(name.unwrap_or_default()) {
            rewritten.extend_from_slice(field);
        }
    }
    if let Some(length) = length {
        write_field(
            &mut rewritten,
            b"Content-Length",
            length.to_string().as_bytes(),
        );
    }
    rewritten.extend_from_slice(b"\r\n");
    Some(rewritten)
}

/// Writes the request line with its target in origin form, or in asterisk form where the client
/// asked a server as a whole for its options (RFC 9112, 3.2.4).
fn write_line(rewritten: &mut Vec<u8>, head: &[u8], line: &RequestLine) {
    let (method, target) = (&head[line.method.clone()], &head[line.target.clone()]);
    let missing: &[u8] = match target.first() {
        None if method == b"OPTIONS" => b"*",
        None | Some(b'?') => b"/",
        Some(_) => b"",
    };
    let version: &[u8] = if line.is_http_1_0 {
        b" HTTP/1.0\r\n"
    } else {
        b" HTTP/1.1\r\n"
    };
    for part in [method, b" ", missing, target, version] {
        rewritten.extend_from_slice(part);
    }
}

fn write_field(rewritten: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        rewritten.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::tests::{get, post, read};

    fn check_rewritten(head: &str, expected: &str) {
        let Verdict::Accepted(accepted) = read(head.as_bytes()) else {
            panic!("{head:?} must pass");
        };
        assert_eq!(accepted.len, head.len());
        let rewritten = accepted.rewritten.unwrap();
        assert_eq!(String::from_utf8(rewritten).unwrap(), expected);
    }

    #[test]
    fn absolute_form_is_rewritten() {
        for (head, expected) in [
            (
                "GET http://real:1/a?b HTTP/1.1\r\nA: b\r\nHost: other\r\nC: d\r\n\r\n",
                "GET /a?b HTTP/1.1\r\nHost: real:1\r\nA: b\r\nC: d\r\n\r\n",
            ),
            (
                "GET http://real HTTP/1.1\r\nHost: other\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: real\r\n\r\n",
            ),
            (
                "GET http://real?a HTTP/1.0\r\n\r\n",
                "GET /?a HTTP/1.0\r\nHost: real\r\n\r\n",
            ),
            (
                "OPTIONS http://real HTTP/1.1\r\nHost: other\r\n\r\n",
                "OPTIONS * HTTP/1.1\r\nHost: real\r\n\r\n",
            ),
            (
                "OPTIONS http://real?a HTTP/1.1\r\nHost: other\r\n\r\n",
                "OPTIONS /?a HTTP/1.1\r\nHost: real\r\n\r\n",
            ),
        ] {
            check_rewritten(head, expected);
        }
    }

    #[test]
    fn a_length_is_passed_on_once_and_plain() {
        for lines in [
            "Content-Length: 5, 5\r\n",
            "Content-Length: 5\r\ncontent-length:5 \r\n",
            "Content-Length: 005\r\n",
            "Content-Length: 5,5\r\nContent-Length: 05\r\n",
        ] {
            check_rewritten(
                &post(&format!("A: b\r\n{lines}C: d\r\n")),
                &post("A: b\r\nC: d\r\nContent-Length: 5\r\n"),
            );
        }
        check_rewritten(
            &post("Content-Length: 00\r\n"),
            &post("Content-Length: 0\r\n"),
        );
        for lines in ["Content-Length: 0\r\n", "content-length:50\r\n"] {
            let Verdict::Accepted(accepted) = read(post(lines).as_bytes()) else {
                panic!("{lines:?} must pass");
            };
            assert_eq!(accepted.rewritten, None, "{lines:?}");
        }
    }

    #[test]
    fn an_empty_line_before_a_head_is_not_passed_on() {
        check_rewritten(&format!("\r\n{}", get("")), &get(""));
    }
}

//! The fields of a header, in hand.
//!
//! Pingora has a header's fields changed one by one, each by a name that it parses anew, and keeps
//! beside them in what case every name was written: all of it is done twice. Names mean the same in
//! any case (RFC 9110, 5.1), and are passed on in lower case, as over HTTP/2.

use std::mem;

use http::request::Parts as RequestParts;
use http::response::Parts as ResponseParts;
use http::{HeaderMap, Request, Response};
use pingora_http::{RequestHeader, ResponseHeader};

/// Lets `change` work on the fields of a request.
///
/// Its target must be one that stands whole in its URI, as the rules of [`crate::head`] have it.
pub(super) fn of_request<T>(
    header: &mut RequestHeader,
    change: impl FnOnce(&mut HeaderMap) -> T,
) -> T {
    let nothing = RequestHeader::from(Request::new(()).into_parts().0);
    let mut parts = RequestParts::from(mem::replace(header, nothing));
    let result = change(&mut parts.headers);
    *header = RequestHeader::from(parts);
    result
}

/// Lets `change` work on the fields of an answer.
pub(super) fn of_answer<T>(
    header: &mut ResponseHeader,
    change: impl FnOnce(&mut HeaderMap) -> T,
) -> T {
    let usual = header.status.canonical_reason();
    let reason = header
        .get_reason_phrase()
        .filter(|_| usual != header.get_reason_phrase());
    let reason = reason.map(str::to_owned);
    let nothing = ResponseHeader::from(Response::new(()).into_parts().0);
    let mut parts = ResponseParts::from(mem::replace(header, nothing));
    let result = change(&mut parts.headers);
    *header = ResponseHeader::from(parts);
    if let Some(reason) = reason {
        // It was taken from such a header: it cannot be refused.
        let _ = header.set_reason_phrase(Some(&reason));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, header};

    #[test]
    fn a_request_keeps_everything_but_the_case_of_its_names() {
        let mut request = RequestHeader::build("GET", b"/a?b", None).unwrap();
        request.append_header("X-One", "1").unwrap();
        of_request(&mut request, |fields| {
            fields.insert(header::VIA, HeaderValue::from_static("1.1 x"))
        });
        let mut wire = Vec::new();
        request.header_to_h1_wire(&mut wire);
        assert_eq!(wire, b"x-one: 1\r\nvia: 1.1 x\r\n");
        assert_eq!(
            (request.raw_path(), &request.method),
            (&b"/a?b"[..], &http::Method::GET)
        );
    }

    #[test]
    fn an_answer_keeps_its_reason() {
        for (status, reason) in [(200, "Fine"), (200, ""), (404, "Not Found"), (599, "Odd")] {
            let mut answer = ResponseHeader::build(status, None).unwrap();
            answer.set_reason_phrase(Some(reason)).unwrap();
            answer.append_header("X-One", "1").unwrap();
            of_answer(&mut answer, HeaderMap::clear);
            assert_eq!(answer.get_reason_phrase(), Some(reason), "{status}");
            assert_eq!((answer.status.as_u16(), answer.headers.len()), (status, 0));
        }
    }
}

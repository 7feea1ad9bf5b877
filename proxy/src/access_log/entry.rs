//! What is logged of one request, and its line.
//!
//! The line is written by hand: what makes JSON of any value would take longer over it than the
//! rest of a small request's log takes together.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::moment;

/// What most lines have room in.
const USUAL_LINE: usize = 512;

/// What is logged of one request.
#[derive(Debug)]
pub struct Entry<'a> {
    /// When the request had arrived.
    pub time: SystemTime,
    /// The id that the client and the API saw.
    pub request_id: &'a str,
    /// The client's address.
    pub client: IpAddr,
    /// The protocol of the request: `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`; not of a head over HTTP/1
    /// that was refused.
    pub protocol: Option<&'static str>,
    /// The method, when it could be read.
    pub method: Option<&'a str>,
    /// The host that routes go by, as it was written, without its port.
    pub host: Option<&'a str>,
    /// The path without its query, when it could be read.
    pub path: Option<&'a str>,
    /// The status; 499 when the client left before it got one.
    pub status: u16,
    /// Bytes of the body that were sent.
    pub bytes: usize,
    /// The route that matched.
    pub route: Option<&'a str>,
    /// The upstream that the route names.
    pub upstream: Option<&'a str>,
    /// Who answered.
    pub instance: &'a str,
    /// Every try: where, what came of it, and how long it took.
    pub tries: &'a [TryEntry],
    /// From the arrival to the first byte of a server's answer.
    pub first_byte: Option<Duration>,
    /// From the arrival to the end of the answer.
    pub total: Duration,
    /// Why the proxy refused the request or failed.
    pub cause: Option<&'a str>,
}

/// One try of a request.
#[derive(Debug, Clone)]
pub struct TryEntry {
    /// The server's endpoint.
    pub server: Arc<str>,
    /// What came of it.
    pub outcome: &'static str,
    /// What the server answered, if it did.
    pub status: Option<u16>,
    /// From the arrival of the request to the beginning of the try.
    pub began: Duration,
    /// How long it took until that was known.
    pub took: Duration,
}

impl Entry<'_> {
    /// The line, as JSON, without its end.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(USUAL_LINE);
        out.extend_from_slice(b"{\"time\":\"");
        moment::write(&mut out, self.time);
        out.extend_from_slice(b"\",\"request_id\":");
        string(&mut out, self.request_id);
        out.extend_from_slice(b",\"client\":\"");
        address(&mut out, self.client);
        out.extend_from_slice(b"\",\"protocol\":");
        optional(&mut out, self.protocol);
        out.extend_from_slice(b",\"method\":");
        optional(&mut out, self.method);
        out.extend_from_slice(b",\"host\":");
        optional(&mut out, self.host);
        out.extend_from_slice(b",\"path\":");
        optional(&mut out, self.path);
        out.extend_from_slice(b",\"status\":");
        number(&mut out, self.status.into());
        out.extend_from_slice(b",\"bytes\":");
        number(&mut out, self.bytes as u64);
        out.extend_from_slice(b",\"route\":");
        optional(&mut out, self.route);
        out.extend_from_slice(b",\"upstream\":");
        optional(&mut out, self.upstream);
        out.extend_from_slice(b",\"instance\":");
        string(&mut out, self.instance);
        out.extend_from_slice(b",\"tries\":[");
        for (index, tried) in self.tries.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            tried.write(&mut out);
        }
        out.extend_from_slice(b"],\"first_byte_ms\":");
        match self.first_byte {
            Some(time) => milliseconds(&mut out, time),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"total_ms\":");
        milliseconds(&mut out, self.total);
        out.extend_from_slice(b",\"cause\":");
        optional(&mut out, self.cause);
        out.push(b'}');
        out
    }
}

impl TryEntry {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"server\":");
        string(out, &self.server);
        out.extend_from_slice(b",\"outcome\":");
        string(out, self.outcome);
        out.extend_from_slice(b",\"status\":");
        match self.status {
            Some(status) => number(out, status.into()),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"began_ms\":");
        milliseconds(out, self.began);
        out.extend_from_slice(b",\"ms\":");
        milliseconds(out, self.took);
        out.push(b'}');
    }
}

fn optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    let is_escaped = |byte: u8| byte < b' ' || matches!(byte, b'"' | b'\\');
    // All bytes are looked at, many at once: mostly none of them is found.
    if text
        .bytes()
        .fold(false, |found, byte| found | is_escaped(byte))
    {
        // Writing a string into memory cannot fail.
        let _ = serde_json::to_writer(out, text);
        return;
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (index, part) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                number(out, part.into());
            }
        }
        IpAddr::V6(address) => out.extend_from_slice(address.to_string().as_bytes()),
    }
}

fn number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes a time in milliseconds, to the microsecond.
fn milliseconds(out: &mut Vec<u8>, time: Duration) {
    let micros = (time.as_secs()) * 1_000_000 + u64::from((time.subsec_nanos() + 500) / 1000);
    number(out, micros / 1000);
    let rest = (micros % 1000) as u32;
    let digit = |unit: u32| b'0' + (rest / unit % 10) as u8;
    out.extend_from_slice(&[b'.', digit(100)]);
    if !rest.is_multiple_of(100) {
        out.push(digit(10));
    }
    if !rest.is_multiple_of(10) {
        out.push(digit(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read(entry: &Entry<'_>) -> Value {
        serde_json::from_slice(&entry.to_json()).unwrap()
    }

    fn bare() -> Entry<'static> {
        Entry {
            time: SystemTime::UNIX_EPOCH,
            request_id: "id",
            client: "10.0.0.255".parse().unwrap(),
            protocol: None,
            method: None,
            host: None,
            path: None,
            status: 400,
            bytes: 0,
            route: None,
            upstream: None,
            instance: "proxy",
            tries: &[],
            first_byte: None,
            total: Duration::from_micros(1500),
            cause: None,
        }
    }

    #[test]
    fn every_field_stands_in_the_line_in_its_order() {
        let attempt = TryEntry {
            server: "10.0.0.1:80".into(),
            outcome: "answered",
            status: Some(200),
            began: Duration::from_nanos(12_345_600),
            took: Duration::from_secs(3),
        };
        let line = Entry {
            protocol: Some("HTTP/1.1"),
            method: Some("GET"),
            host: Some("example.com"),
            path: Some("/a"),
            bytes: 1024,
            route: Some("/"),
            upstream: Some("u"),
            tries: &[
                attempt.clone(),
                TryEntry {
                    status: None,
                    ..attempt
                },
            ],
            first_byte: Some(Duration::from_millis(7)),
            cause: Some("why"),
            ..bare()
        };
        let line = String::from_utf8(line.to_json()).unwrap();
        assert_eq!(
            line,
            "{\"time\":\"1970-01-01T00:00:00.000Z\",\"request_id\":\"id\",\"client\":\"10.0.0.255\",\
             \"protocol\":\"HTTP/1.1\",\"method\":\"GET\",\"host\":\"example.com\",\
             \"path\":\"/a\",\"status\":400,\"bytes\":1024,\
             \"route\":\"/\",\"upstream\":\"u\",\"instance\":\"proxy\",\"tries\":[\
             {\"server\":\"10.0.0.1:80\",\"outcome\":\"answered\",\"status\":200,\"began_ms\":12.346,\"ms\":3000.0},\
             {\"server\":\"10.0.0.1:80\",\"outcome\":\"answered\",\"status\":null,\"began_ms\":12.346,\"ms\":3000.0}],\
             \"first_byte_ms\":7.0,\"total_ms\":1.5,\"cause\":\"why\"}"
        );
    }

    #[test]
    fn what_is_not_known_is_null() {
        let line = read(&bare());
        for name in [
            "protocol",
            "method",
            "path",
            "route",
            "upstream",
            "first_byte_ms",
            "cause",
        ] {
            assert_eq!(line[name], Value::Null, "{name}");
        }
        assert_eq!(line["tries"], json!([]));
    }

    proptest! {
        #[test]
        fn any_text_and_any_number_is_read_back(
            text: String,
            address: IpAddr,
            bytes: usize,
            micros in 0..u64::from(u32::MAX) * 1000,
        ) {
            let line = read(&Entry {
                path: Some(&text),
                instance: &text,
                client: address,
                bytes,
                total: Duration::from_micros(micros),
                ..bare()
            });
            prop_assert_eq!(&line["path"], &json!(text));
            prop_assert_eq!(&line["instance"], &json!(text));
            prop_assert_eq!(&line["client"], &json!(address.to_string()));
            prop_assert_eq!(&line["bytes"], &json!(bytes));
            prop_assert_eq!(line["total_ms"].as_f64(), Some(micros as f64 / 1e3));
        }
    }
}

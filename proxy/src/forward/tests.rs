//! Headers in, headers out.

use super::*;

/// Who sends a request, and how it is passed on.
#[derive(Clone, Copy)]
pub(super) struct Sender {
    pub(super) address: &'static str,
    pub(super) real: &'static str,
    pub(super) is_trusted_proxy: bool,
    pub(super) version: Version,
}

pub(super) const STRANGER: Sender = Sender {
    address: "9.9.9.9",
    real: "9.9.9.9",
    is_trusted_proxy: false,
    version: Version::HTTP_11,
};

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, value.parse().unwrap());
    }
    headers
}

fn pass_on(sent: &HeaderMap, sender: &Sender, deadline: Option<u64>) -> HeaderMap {
    let mut headers = sent.clone();
    let address = sender.address.parse().unwrap();
    let client = Client {
        address,
        written: &written(address),
        real: sender.real.parse().unwrap(),
        is_trusted_proxy: sender.is_trusted_proxy,
        scheme: "http",
        version: sender.version,
    };
    let id = HeaderValue::from_static("id");
    to_server(&mut headers, sent, &client, &id, deadline);
    headers
}

pub(super) fn request(fields: &[(&str, &str)], sender: &Sender) -> HeaderMap {
    pass_on(&headers(fields), sender, None)
}

pub(super) fn response(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = headers(fields);
    to_client(&mut headers, "1.2.3.4:80", &HeaderValue::from_static("id"));
    headers
}

fn check(headers: &HeaderMap, expected: &[(&str, Option<&str>)]) {
    for (name, value) in expected {
        let found = headers.get(*name).map(|v| v.to_str().unwrap());
        assert_eq!(found, *value, "{name} in {headers:?}");
    }
}

#[test]
fn a_stranger_s_word_on_addresses_is_replaced() {
    let sent = [
        ("host", "shop:8080"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil"),
        ("x-real-ip", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("x-request-deadline", "1"),
    ];
    check(
        &request(&sent, &STRANGER),
        &[
            ("x-forwarded-for", Some("9.9.9.9")),
            ("x-forwarded-proto", Some("http")),
            ("x-forwarded-host", Some("shop:8080")),
            ("x-real-ip", Some("9.9.9.9")),
            (
                "forwarded",
                Some("for=9.9.9.9;proto=http;host=\"shop:8080\""),
            ),
            ("x-request-deadline", None),
            ("via", Some("1.1 proxy")),
        ],
    );
}

#[test]
fn a_trusted_proxy_s_word_is_kept_and_its_address_appended() {
    let proxy = Sender {
        address: "::1",
        real: "2.2.2.2",
        is_trusted_proxy: true,
        version: Version::HTTP_10,
    };
    let sent = [
        ("host", "shop"),
        ("x-forwarded-for", "1.1.1.1, 2.2.2.2"),
        ("x-forwarded-proto", "https"),
        ("x-real-ip", "1.1.1.1"),
        ("forwarded", "for=1.1.1.1"),
        ("via", "1.1 edge"),
    ];
    check(
        &request(&sent, &proxy),
        &[
            ("x-forwarded-for", Some("1.1.1.1, 2.2.2.2, ::1")),
            ("x-forwarded-proto", Some("https")),
            // Not the word of its client, which it may have passed on.
            ("x-real-ip", Some("2.2.2.2")),
            (
                "forwarded",
                Some("for=1.1.1.1, for=\"[::1]\";proto=http;host=\"shop\""),
            ),
            ("via", Some("1.1 edge, 1.0 proxy")),
        ],
    );
}

#[test]
fn a_trusted_proxy_may_name_its_client_in_one_field() {
    let proxy = Sender {
        is_trusted_proxy: true,
        ..STRANGER
    };
    let told = request(&[("x-real-ip", "1.1.1.1")], &proxy);
    check(&told, &[("x-real-ip", Some("1.1.1.1"))]);
    let told = request(&[("x-real-ip", "1.1.1.1")], &STRANGER);
    check(&told, &[("x-real-ip", Some("9.9.9.9"))]);
}

#[test]
fn a_trusted_proxy_s_silence_is_no_word() {
    let proxy = Sender {
        is_trusted_proxy: true,
        ..STRANGER
    };
    let sent = [
        ("host", "shop"),
        ("x-forwarded-for", ""),
        ("x-forwarded-proto", ""),
        ("x-forwarded-host", ""),
        ("x-real-ip", " "),
    ];
    check(
        &request(&sent, &proxy),
        &[
            ("x-forwarded-for", Some("9.9.9.9")),
            ("x-forwarded-proto", Some("http")),
            ("x-forwarded-host", Some("shop")),
            ("x-real-ip", Some("9.9.9.9")),
        ],
    );
}

#[test]
fn a_request_carries_its_id_and_the_given_deadline() {
    let sent = headers(&[("x-request-deadline", "1"), ("x-request-id", "theirs")]);
    check(
        &pass_on(&sent, &STRANGER, Some(1_700_000_000_000)),
        &[
            ("x-request-deadline", Some("1700000000000")),
            ("x-request-id", Some("id")),
        ],
    );
}

#[test]
fn addresses_are_written_as_each_field_asks() {
    for (address, plain, node) in [
        ("10.0.0.1", "10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::1", "\"[2001:db8::1]\""),
    ] {
        let client = Sender {
            address,
            real: address,
            ..STRANGER
        };
        let element = format!("for={node};proto=http");
        check(
            &request(&[], &client),
            &[
                ("x-forwarded-for", Some(plain)),
                ("x-real-ip", Some(plain)),
                ("forwarded", Some(&element)),
                ("x-forwarded-host", None),
            ],
        );
    }
}

#[test]
fn what_concerns_one_connection_stays_behind() {
    let sent = [
        ("host", "shop"),
        ("connection", "close, X-Mine, Host, content-length"),
        ("connection", "x-also"),
        ("content-length", "3"),
        ("x-mine", "1"),
        ("x-also", "1"),
        ("keep-alive", "1"),
        ("te", "trailers"),
        ("upgrade", "h2c"),
        ("proxy-authorization", "secret"),
        ("x_under", "1"),
        ("x-lb-drain", "1"),
        ("cookie", "a=b"),
    ];
    check(
        &request(&sent, &STRANGER),
        &[
            ("connection", None),
            ("x-mine", None),
            ("x-also", None),
            ("keep-alive", None),
            ("te", None),
            ("upgrade", None),
            ("proxy-authorization", None),
            ("x_under", None),
            ("x-lb-drain", None),
            ("host", Some("shop")),
            ("content-length", Some("3")),
            ("cookie", Some("a=b")),
        ],
    );
}

#[test]
fn answers_are_cleaned_and_signed() {
    let sent = [
        ("server", "x"),
        ("x-powered-by", "x"),
        ("connection", "x-mine, x-instance"),
        ("x-mine", "1"),
        ("trailer", "x"),
        ("x-lb-cause", "database"),
        ("x-instance", "api_1"),
        ("x-request-id", "other"),
        ("transfer-encoding", "chunked"),
    ];
    check(
        &response(&sent),
        &[
            ("server", None),
            ("x-powered-by", None),
            ("x-mine", None),
            ("trailer", None),
            ("x-lb-cause", None),
            ("x-instance", Some("api_1")),
            ("x-request-id", Some("id")),
            ("transfer-encoding", Some("chunked")),
        ],
    );
    check(&response(&[]), &[("x-instance", Some("1.2.3.4:80"))]);
    check(
        &response(&[("x-instance", "")]),
        &[("x-instance", Some("1.2.3.4:80"))],
    );
    let two = [("x-instance", "a"), ("x-instance", "b")];
    check(&response(&two), &[("x-instance", Some("1.2.3.4:80"))]);
}

#[test]
fn a_length_given_several_times_is_passed_on_once() {
    let once = response(&[("content-length", "2"), ("content-length", "2")]);
    let lengths: Vec<_> = once.get_all("content-length").iter().collect();
    assert_eq!(lengths, ["2"]);
    let list = response(&[("content-length", "2, 2")]);
    check(&list, &[("content-length", Some("2"))]);
    check(
        &response(&[("content-length", "2")]),
        &[("content-length", Some("2"))],
    );
}

#[test]
fn only_an_authority_is_told_as_the_host() {
    for (host, told) in [
        ("shop", true),
        ("shop.example:8080", true),
        ("[::1]:80", true),
        ("a_b", true),
        ("shop:", true),
        ("", false),
        ("a b", false),
        ("a\"b", false),
        ("a/b", false),
        ("shop:80:80", false),
    ] {
        assert_eq!(is_authority(host), told, "{host:?}");
        let by_the_parser = host
            .parse::<Uri>()
            .is_ok_and(|uri| uri.authority().is_some());
        let by_the_parser = by_the_parser && !host.contains('"');
        assert_eq!(is_authority(host), by_the_parser, "{host:?}");
    }
}

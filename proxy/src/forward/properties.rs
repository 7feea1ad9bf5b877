//! Whatever fields come in, only what is meant for the other side goes out.

use proptest::prelude::*;

use super::tests::{STRANGER, Sender, request, response};
use super::*;

/// Fields as another hand would sort them, by name only: not by what is nominated.
const END_TO_END: [&str; 6] = [
    "accept",
    "accept-encoding",
    "cookie",
    "idempotency-key",
    "x-a",
    "x-b",
];
const NOT_FOR_SERVERS: [&str; 12] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "x-lb-cause",
    "x-lb-drain",
    "a_b",
    "x-request-deadline",
];

fn any_fields() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let names = [&END_TO_END[..], &NOT_FOR_SERVERS[..], &["host"]].concat();
    let field = (prop::sample::select(names), "[a-z0-9, ]{0,8}");
    let nominated = prop::collection::vec(
        prop::sample::select(vec![
            "close",
            "X-A",
            "x-b",
            "Accept",
            "host",
            "te",
            "not there",
        ]),
        0..4,
    );
    let connection = nominated.prop_map(|names| ("connection", names.join(" ,")));
    prop::collection::vec(
        prop_oneof![
            4 => field.prop_map(|(name, value)| (name, value.trim().to_owned())),
            1 => connection,
        ],
        0..20,
    )
}

/// Whether one of these fields nominates this name, told by another hand.
fn is_nominated(fields: &[(&str, String)], name: &str) -> bool {
    let mut lists = fields.iter().filter(|(field, _)| *field == "connection");
    lists.any(|(_, list)| {
        list.to_lowercase()
            .split(',')
            .any(|item| item.trim() == name)
    })
}

fn check_survivors(fields: &[(&str, String)], after: &HeaderMap) -> Result<(), TestCaseError> {
    for name in END_TO_END.into_iter().chain(["host"]) {
        let kept = name == "host" || !is_nominated(fields, name);
        let before = fields.iter().filter(|(field, _)| kept && *field == name);
        let expected: Vec<&[u8]> = before.map(|(_, value)| value.as_bytes()).collect();
        let values: Vec<&[u8]> = after
            .get_all(name)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        prop_assert_eq!(values, expected, "{}", name);
    }
    Ok(())
}

proptest! {
    #[test]
    fn only_what_is_meant_for_a_server_reaches_it(fields in any_fields(), trusted: bool) {
        let sent: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let client = Sender { is_trusted_proxy: trusted, ..STRANGER };
        let after = request(&sent, &client);
        for name in NOT_FOR_SERVERS {
            prop_assert!(!after.contains_key(name), "{}", name);
        }
        check_survivors(&fields, &after)?;
        for name in ["x-forwarded-for", "x-forwarded-proto", "x-real-ip", "forwarded", "via", "x-request-id"] {
            prop_assert_eq!(after.get_all(name).iter().count(), 1, "{}", name);
        }
    }

    #[test]
    fn only_what_is_meant_for_a_client_reaches_it(fields in any_fields()) {
        let sent: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let after = response(&sent);
        // These mean something on requests only.
        let on_requests_only = ["proxy-authorization", "a_b", "x-request-deadline"];
        for name in NOT_FOR_SERVERS.into_iter().filter(|name| !on_requests_only.contains(name)) {
            prop_assert!(!after.contains_key(name), "{}", name);
        }
        check_survivors(&fields, &after)?;
        for name in ["x-instance", "x-request-id"] {
            prop_assert_eq!(after.get_all(name).iter().count(), 1, "{}", name);
        }
    }
}

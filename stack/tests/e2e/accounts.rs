//! Who is signed in, seen through the proxy.

use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;
use stack::ask::{Address, Answer, ask, request};

use crate::Scenario;
use crate::driver::Verb;
use crate::world::{SECOND, World, name_of};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("nobody_writes_unknown", nobody_writes_unknown),
    (
        "a_session_outlives_its_instance",
        a_session_outlives_its_instance,
    ),
];

pub(crate) const SONG: &str = r#"{"song":"signed in","singer":"e2e"}"#;

pub(crate) fn post(
    world: &World,
    path: &str,
    headers: &[(&'static str, &str)],
    body: &str,
) -> Answer {
    let address = Address::Tcp(world.address);
    let body = body.to_owned().into();
    let mut request = request(Method::POST, &address, path, body).unwrap();
    let given = headers.iter().map(|(name, value)| {
        (
            (*name).parse().unwrap(),
            HeaderValue::from_str(value).unwrap(),
        )
    });
    request.headers_mut().extend(given.collect::<HeaderMap>());
    let answer = ask(&address, request, 35 * SECOND);
    world.clock.block_on(answer).unwrap()
}

fn nobody_writes_unknown(world: &World) {
    for _ in 0..4 {
        let answer = post(world, "/api/music/", &[], SONG);
        assert_eq!(answer.status, 403, "{}", answer.text());
        let expected = "Authentication credentials were not provided.";
        assert_eq!(answer.json()["detail"], expected);
    }
}

fn a_session_outlives_its_instance(world: &World) {
    let pair = world.admin();
    let (name, password) = pair.split_once(':').unwrap();
    let origin = format!("http://{}", world.address);
    let form = format!("username={name}&password={password}&next=/");
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", origin.as_str()),
    ];
    let begun = post(world, "/api-auth/login/", &headers, &form);
    assert_eq!(begun.status, 302, "{}", begun.text());
    assert_eq!(begun.header("location"), "/");
    let cookies = begun.headers.get_all("set-cookie").iter();
    let mut cookies = cookies.map(|cookie| cookie.to_str().unwrap());
    let session = cookies
        .find(|cookie| cookie.starts_with("sessionid="))
        .unwrap();
    let session = session.split(';').next().unwrap();

    let began = name_of(&begun);
    let service = began.trim_end_matches("_1");
    world.verb(Verb::Kill, service);
    world.leaves_rotation(&began);
    let headers = [("cookie", session), ("origin", origin.as_str())];
    let added = post(world, "/api/music/", &headers, SONG);
    assert_eq!(added.status, 201, "{}", added.text());
    assert_ne!(name_of(&added), began);
    let forged = [("cookie", session), ("origin", "http://evil.example")];
    assert_eq!(post(world, "/api/music/", &forged, SONG).status, 403);
    let path = format!("/api/music/{}/", added.json()["id"]);
    world.send(Method::DELETE, &path, &Value::Null);
    world.start(service);
    world.returns(&began);
}

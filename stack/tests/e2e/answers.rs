//! Every answer says who made it.

use http::Method;
use serde_json::{Value, json};

use crate::Scenario;
use crate::world::{World, name_of};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    (
        "files_and_refusals_are_the_proxys",
        files_and_refusals_are_the_proxys,
    ),
    ("the_rest_is_the_apis", the_rest_is_the_apis),
    ("the_page_is_served", the_page_is_served),
    ("health_is_not_reachable", health_is_not_reachable),
];

fn files_and_refusals_are_the_proxys(world: &World) {
    for (method, path, status) in [
        (Method::GET, "/", 200),
        (Method::HEAD, "/", 200),
        (Method::GET, "/static/style.css", 200),
        (Method::GET, "/static/nothing.css", 404),
        (Method::GET, "/nothing", 404),
        (Method::GET, "/static/../Cargo.toml", 404),
        (Method::POST, "/static/style.css", 405),
        (Method::TRACE, "/api/music/", 405),
    ] {
        let answer = world.send(method.clone(), path, &Value::Null);
        let seen = (answer.status.as_u16(), answer.instance());
        // A path that leaves the root may be called malformed as well as missing.
        let status = if answer.status == 400 && path.contains("..") {
            400
        } else {
            status
        };
        assert_eq!(seen, (status, "proxy"), "{method} {path}");
    }
}

fn the_rest_is_the_apis(world: &World) {
    let added = world.add_song("answers");
    let id = added.json()["id"].as_i64().unwrap();
    let row = format!("/api/music/{id}/");
    let song = json!({ "song": "answers", "singer": "somebody else" });
    let wrong = json!({ "song": "" });
    for (method, path, body, status) in [
        (Method::GET, "/api/", &Value::Null, 200),
        (Method::GET, "/api/music/", &Value::Null, 200),
        (Method::GET, &row, &Value::Null, 200),
        (Method::PUT, &row, &song, 200),
        (Method::PATCH, &row, &song, 200),
        (Method::POST, "/api/music/", &wrong, 400),
        (Method::GET, "/api/music/0/", &Value::Null, 404),
        (Method::GET, "/api/nothing/", &Value::Null, 404),
        (Method::DELETE, "/api/music/", &Value::Null, 405),
        (Method::DELETE, &row, &Value::Null, 204),
        (Method::DELETE, &row, &Value::Null, 404),
    ] {
        let answer = world.send(method.clone(), path, body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        let name = name_of(&answer);
        assert!(
            ["api_1", "api2_1"].contains(&name.as_str()),
            "{method} {path}: {name}"
        );
    }
    assert_eq!(added.status, 201);
}

fn the_page_is_served(world: &World) {
    let page = world.get("/");
    assert!(
        page.header("content-type").starts_with("text/html"),
        "{page:?}"
    );
    assert!(page.text().contains("<html"), "{}", page.text());
}

fn health_is_not_reachable(world: &World) {
    for path in ["/healthz", "/readyz", "/status"] {
        assert_eq!(world.get(path).status, 404, "{path}");
    }
}

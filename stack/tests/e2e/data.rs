//! What was acknowledged is there, for every instance, and after everything was started again.

use std::collections::BTreeSet;

use http::Method;
use serde_json::Value;

use crate::Scenario;
use crate::world::{World, name_of};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    (
        "is_the_same_for_both_instances",
        is_the_same_for_both_instances,
    ),
    ("survives_down_and_up", survives_down_and_up),
    (
        "a_search_knows_the_letters_of_all_languages",
        a_search_knows_the_letters_of_all_languages,
    ),
];

fn is_the_same_for_both_instances(world: &World) {
    let added = world.add_song("shared").json();
    let path = format!("/api/music/{}/", added["id"]);
    let mut readers = BTreeSet::new();
    for _ in 0..10 {
        let answer = world.get(&path);
        assert_eq!(answer.json()["song"], "shared", "{}", answer.text());
        readers.insert(name_of(&answer));
    }
    assert_eq!(readers.len(), 2, "{readers:?}");
    world.send(Method::DELETE, &path, &Value::Null);
}

fn survives_down_and_up(world: &World) {
    let added = world.add_song("kept").json();
    let path = format!("/api/music/{}/", added["id"]);
    world.down_and_up();
    let kept = world.get(&path);
    assert_eq!(kept.status, 200, "{}", kept.text());
    assert_eq!(kept.json()["song"], "kept");
    assert_eq!(kept.json()["created"], added["created"]);
    world.send(Method::DELETE, &path, &Value::Null);
}

fn a_search_knows_the_letters_of_all_languages(world: &World) {
    let added = world.add_song("ünï 6").json();
    for search in ["%C3%9CN%C3%8F", "%C3%BCn%C3%AF", "%C3%9Cn%C3%AF+6"] {
        let found = world.get(&format!("/api/music/?search={search}")).json();
        let found: Vec<_> = found.as_array().unwrap().iter().collect();
        assert_eq!(found, [&added], "{search}");
    }
    world.send(
        Method::DELETE,
        &format!("/api/music/{}/", added["id"]),
        &Value::Null,
    );
}

//! One instance goes, or both: what clients see, and how soon all is as before.

use std::time::Instant;

use http::Method;
use serde_json::Value;

use crate::Scenario;
use crate::driver::Verb;
use crate::split;
use crate::world::{BACK, SECOND, World};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("one_is_killed", |world| one(world, Verb::Kill, Verb::Start)),
    ("one_is_stopped", |world| {
        one(world, Verb::Stop, Verb::Start)
    }),
    ("one_is_paused", |world| {
        one(world, Verb::Pause, Verb::Resume)
    }),
    ("one_is_restarted", one_is_restarted),
    ("both_are_stopped", |world| {
        both(world, Verb::Stop, Verb::Start)
    }),
    ("both_are_killed", |world| {
        both(world, Verb::Kill, Verb::Start)
    }),
    ("both_are_paused", |world| {
        both(world, Verb::Pause, Verb::Resume)
    }),
    ("both_are_restarted", both_are_restarted),
];

/// One instance leaves and comes back under load: no read is lost.
fn one(world: &World, leave: Verb, come_back: Verb) {
    for new_connections in [false, true] {
        let load = world.load(new_connections);
        world.verb(leave, "api");
        world.leaves_rotation("api_1");
        load.flows_on();
        world.verb(come_back, "api");
        world.returns("api_1");
        let report = load.end();
        assert_eq!(report.lost_get, 0, "{report}");
        if leave == Verb::Stop {
            assert!(report.is_clean(), "{report}");
        }
    }
    split::check(&world.turns(100));
}

fn one_is_restarted(world: &World) {
    let load = world.load(false);
    world.verb(Verb::Restart, "api");
    world.returns("api_1");
    let report = load.end();
    assert!(report.is_clean(), "{report}");
}

/// Without any instance, clients are told at once to come again; they find all as before.
fn both(world: &World, leave: Verb, come_back: Verb) {
    world.verb(leave, "api");
    world.verb(leave, "api2");
    world.eventually(BACK, "the proxy has noticed", || {
        let answer = world.try_get_soon("/api/music/");
        answer.is_ok_and(|answer| answer.status == 503 && answer.instance() == "proxy")
    });
    refuses_at_once(world);
    // Files need no API.
    assert_eq!(world.get("/").status, 200);
    world.verb(come_back, "api");
    world.returns("api_1");
    world.verb(come_back, "api2");
    world.returns("api2_1");
    split::check(&world.turns(100));
}

fn refuses_at_once(world: &World) {
    let begin = Instant::now();
    let json = world.get_as("/api/music/", "application/json");
    // 50 ms, says the design; tests allow five times that.
    assert!(begin.elapsed() < SECOND / 4, "{:?}", begin.elapsed());
    let html = world.get_as("/api/music/", "text/html,application/xhtml+xml,*/*;q=0.8");
    let post = world.send(Method::POST, "/api/music/", &Value::Bool(true));
    for (answer, kind) in [
        (&json, "application/json"),
        (&html, "text/html"),
        (&post, ""),
    ] {
        assert_eq!(answer.status, 503);
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(answer.instance(), "proxy");
        let seen = answer.header("content-type");
        assert!(seen.starts_with(kind), "{seen}");
    }
    assert!(json.json().is_object(), "{}", json.text());
    assert!(html.text().contains("<html"), "{}", html.text());
}

fn both_are_restarted(world: &World) {
    for service in ["api", "api2"] {
        world.verb(Verb::Restart, service);
    }
    for instance in ["api_1", "api2_1"] {
        world.returns(instance);
    }
}

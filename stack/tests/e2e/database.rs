//! The database goes away and comes back: clients are told to come again, nothing else happens.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::Scenario;
use crate::driver::Verb;
use crate::split;
use crate::world::{BACK, SECOND, World, name_of};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("it_is_stopped", |world| {
        away(world, Verb::Stop, Verb::Start)
    }),
    ("it_is_killed", |world| away(world, Verb::Kill, Verb::Start)),
    ("it_is_paused", |world| {
        away(world, Verb::Pause, Verb::Resume)
    }),
    ("it_is_restarted", it_is_restarted),
];

fn away(world: &World, leave: Verb, come_back: Verb) {
    let services = ["api", "api2", "proxy"];
    let births = world.births(&services);
    let load = world.load(false);
    world.verb(leave, "db");
    world.eventually(BACK, "the API has noticed", || {
        world.get("/api/music/").status == 503
    });
    refused_by_both(world);
    if let Some(states) = world.server_states() {
        assert_eq!(states, ["up", "up"], "nobody is ejected");
    }
    // Files need no database.
    assert_eq!(world.get("/").status, 200);
    world.verb(come_back, "db");
    world.eventually(BACK, "the database is used again", || {
        world.names(10).len() == 2
    });
    let report = load.end();
    assert_eq!(report.lost_get + report.lost_post, 0, "{report}");
    assert_eq!(world.births(&services), births, "nothing was restarted");
    split::check(&world.turns(100));
}

/// Both instances go on answering, each time with 503 in JSON.
fn refused_by_both(world: &World) {
    let mut names = BTreeSet::new();
    for _ in 0..10 {
        let answer = world.get_as("/api/music/", "application/json");
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(!answer.header("retry-after").is_empty());
        assert!(
            answer
                .header("content-type")
                .starts_with("application/json")
        );
        assert!(answer.json()["detail"].is_string(), "{}", answer.text());
        assert_eq!(answer.header("x-lb-cause"), "", "for the proxy only");
        names.insert(name_of(&answer));
    }
    let written = world.add_song("while the database is away");
    assert_eq!(written.status, 503, "{}", written.text());
    let expected = ["api2_1", "api_1"].map(str::to_owned);
    assert_eq!(names, BTreeSet::from(expected));
}

fn it_is_restarted(world: &World) {
    let load = world.load(true);
    world.verb(Verb::Restart, "db");
    world.eventually(10 * SECOND, "the database is used again", || {
        world.names(10).len() == 2
    });
    let report = load.end();
    assert_eq!(report.lost_get + report.lost_post, 0, "{report}");
    let added = world.add_song("after the restart");
    assert_eq!(added.status, 201, "{}", added.text());
    let path = format!("/api/music/{}/", added.json()["id"]);
    world.send(http::Method::DELETE, &path, &Value::Null);
}

//! What was acknowledged is still there after everything was ended and started again.

use http::Method;
use serde_json::Value;

use crate::Scenario;
use crate::world::World;

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[("survives_down_and_up", survives_down_and_up)];

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

//! More instances, and fewer again, while clients go on.

use std::collections::BTreeSet;

use crate::Scenario;
use crate::split;
use crate::world::{SECOND, World};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[("to_three_and_back", to_three_and_back)];

fn to_three_and_back(world: &World) {
    let load = world.load(false);
    world.scale("api", 3);
    let all = BTreeSet::from(["api2_1", "api_1", "api_2", "api_3"].map(str::to_owned));
    world.eventually(30 * SECOND, "four names take turns", || {
        world.names(20) == all
    });
    load.flows_on();
    world.scale("api", 1);
    let two = BTreeSet::from(["api2_1", "api_1"].map(str::to_owned));
    world.eventually(10 * SECOND, "two names take turns", || {
        world.names(20) == two
    });
    let report = load.end();
    assert_eq!(report.lost_get, 0, "{report}");
    split::check(&world.turns(100));
}

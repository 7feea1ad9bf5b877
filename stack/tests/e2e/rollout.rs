//! Every API instance is replaced by a new one, and no client notices.

use crate::Scenario;
use crate::split;
use crate::world::World;

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[("loses_nothing", loses_nothing)];

fn loses_nothing(world: &World) {
    let services = ["api", "api2"];
    let before = world.births(&services);
    let load = world.load(true);
    world.rollout();
    for instance in ["api_1", "api2_1"] {
        world.returns(instance);
    }
    let report = load.end();
    assert!(report.is_clean() && report.refused == 0, "{report}");
    let after = world.births(&services);
    assert_eq!(after.len(), before.len());
    assert!(after.iter().all(|one| !before.contains(one)), "{after:?}");
    split::check(&world.turns(100));
}

//! 4:6 is exactly 4 and 6 in every 10, well mixed, also right after an instance returned.

use crate::Scenario;
use crate::world::World;

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("every_ten_hold_four_and_six", every_ten_hold_four_and_six),
    ("also_right_after_a_return", also_right_after_a_return),
];

fn every_ten_hold_four_and_six(world: &World) {
    check(&world.turns(100));
}

fn also_right_after_a_return(world: &World) {
    world.stop("api");
    world.leaves_rotation("api_1");
    world.start("api");
    world.returns("api_1");
    check(&world.turns(100));
}

/// Checks that every 10 hold 4 of `api_1` and 6 of `api2_1`, never three of one in a row.
pub(crate) fn check(turns: &[String]) {
    for ten in turns.chunks(10) {
        let count = |name: &str| ten.iter().filter(|turn| *turn == name).count();
        assert_eq!((count("api_1"), count("api2_1")), (4, 6), "{turns:?}");
    }
    let burst = turns
        .windows(3)
        .find(|three| three[0] == three[1] && three[1] == three[2]);
    assert_eq!(burst, None, "{turns:?}");
}

//! The compose variant in which the API listens on Unix sockets in a shared volume.

use std::collections::BTreeSet;

use crate::Scenario;
use crate::compose::Compose;
use crate::driver::{Kind, Verb, free_address};
use crate::split;
use crate::world::{BACK, MINUTE, World};

const SCENARIOS: &[(&str, Scenario)] = &[("take_the_place_of_tcp", take_the_place_of_tcp)];

/// The scenarios of this file: natively the API always listens on Unix sockets.
pub(crate) fn scenarios(kind: Kind) -> &'static [(&'static str, Scenario)] {
    match kind {
        Kind::Native => &[],
        Kind::Compose => SCENARIOS,
    }
}

fn take_the_place_of_tcp(world: &World) {
    let variant = World::of(free_address(), world.clock, |address| {
        Box::new(Compose::on_unix_sockets(address))
    });
    // Whatever happens, nothing of it stays.
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&variant)));
    if outcome.is_err() {
        eprintln!("{}", variant.log());
    }
    variant.destroy();
    outcome.unwrap();
}

fn check(variant: &World) {
    variant.up();
    let both = BTreeSet::from(["api2_1", "api_1"].map(str::to_owned));
    variant.eventually(2 * MINUTE, "both sockets are servers", || {
        variant.names(20) == both
    });
    split::check(&variant.turns(100));
    variant.verb(Verb::Stop, "api");
    variant.leaves_rotation("api_1");
    variant.verb(Verb::Start, "api");
    variant.returns("api_1");
    variant.scale("api", 2);
    variant.eventually(3 * BACK, "a third socket is a server", || {
        variant.names(20).len() == 3
    });
}

//! A short version of each row of the figures table (docs/figures.md): its counts must be right, and
//! its times may be five times what the table says.

use std::path::Path;
use std::time::Duration;

use stack::plan::Programs;
use stack::probe::scenario::measure::{Bound, Seen};
use stack::probe::scenario::{Lengths, Load, Row, Run, alone, on_stage};

use crate::Scenario;
use crate::driver::Kind;
use crate::native::STACK;
use crate::world::World;

const NATIVE: &[(&str, Scenario)] = &[
    ("kill", |world| with_either_connection(world, Row::Kill)),
    ("stop", |world| struck(world, Row::Stop, KEPT)),
    ("pause", |world| with_either_connection(world, Row::Pause)),
    ("scale", |world| struck(world, Row::Scale, KEPT)),
    ("recreate", |world| struck(world, Row::Recreate, FAST)),
    ("server_errors", |world| played(world, Row::ServerErrors)),
    ("slow", |world| played(world, Row::Slow)),
    ("database", |world| struck(world, Row::Database, KEPT)),
    ("reload", |world| struck(world, Row::Reload, FAST)),
    ("overload", |world| played(world, Row::Overload)),
    ("slow_heads", |world| played(world, Row::SlowHeads)),
    ("idle", |world| played(world, Row::Idle)),
];

const COMPOSE: &[(&str, Scenario)] = &[
    ("kill", |world| struck(world, Row::Kill, KEPT)),
    ("stop", |world| struck(world, Row::Stop, NEW)),
    ("pause", |world| struck(world, Row::Pause, NEW)),
    ("cut", |world| struck(world, Row::Cut, KEPT)),
    ("scale", |world| struck(world, Row::Scale, NEW)),
    ("recreate", |world| struck(world, Row::Recreate, FAST)),
];

const KEPT: Load = Load {
    rate: 40.0,
    post: 0.3,
    new_connections: false,
};
const NEW: Load = Load {
    new_connections: true,
    ..KEPT
};
const FAST: Load = Load { rate: 80.0, ..KEPT };

/// The rows that can be had there.
pub(crate) fn scenarios(kind: Kind) -> &'static [(&'static str, Scenario)] {
    match kind {
        Kind::Native => NATIVE,
        Kind::Compose => COMPOSE,
    }
}

fn with_either_connection(world: &World, row: Row) {
    struck(world, row, KEPT);
    struck(world, row, NEW);
}

/// A row on the stack that all scenarios share.
fn struck(world: &World, row: Row, load: Load) {
    let work = async { on_stage(&world.stage(), row, load, &Lengths::SHORT).await };
    check(world.clock.block_on(work).unwrap());
}

/// A row on servers that stand in for the API.
fn played(world: &World, row: Row) {
    let programs = Programs {
        api: Path::new(STACK).with_file_name("api"),
        proxy: Path::new(STACK).with_file_name("proxy"),
    };
    let work = async { alone(&programs, row, KEPT, &Lengths::SHORT).await };
    check(world.clock.block_on(work).unwrap());
}

/// Counts are exact; whatever a slow machine may change has five times the room.
fn check(mut run: Run) {
    for measure in &mut run.measures {
        measure.bound = match measure.bound {
            Bound::AtMost(bound) => Bound::AtMost(bound * 5.0),
            // A busy machine may not let the load through in time.
            Bound::AtLeast(bound) if run.row == Row::Overload => Bound::AtLeast(bound / 5.0),
            bound @ Bound::AtLeast(_) => bound,
        };
    }
    assert!(run.faults().is_empty(), "{:?}: {run:#?}", run.faults());
    let figure = run.figure();
    for (what, seen, limit) in [
        ("extra latency", run.extra, figure.extra),
        ("out", run.out, figure.out),
        ("back", run.back, figure.back),
    ] {
        // A new instance hashes the password of its first writer, which takes a debug build long.
        let limit = limit.map(|limit| 5 * limit.max(Duration::from_secs(1)));
        if let (Some(limit), Seen::After(time)) = (limit, seen) {
            assert!(time <= limit, "{what}: {time:?} of {limit:?}: {run:#?}");
        }
        assert_ne!(seen, Seen::Never, "{what}: {run:#?}");
    }
}

//! End-to-end tests: the same scenarios against the stack as plain processes and on docker-compose.
//!
//! `STACK_DRIVER=native cargo test -p stack --test e2e [-- FILTER]`, or `STACK_DRIVER=compose`; a
//! plain `cargo test` skips them, because they take minutes. They run one after another on one
//! stack, which each leaves as it found it; so the file has a `main` of its own, which brings that
//! stack up and, whatever happens, takes it down with its data.
#![expect(
    clippy::unwrap_used,
    reason = "what cannot be unwrapped here is a failed test"
)]

mod accounts;
mod answers;
mod commands;
mod compose;
mod data;
mod database;
mod driver;
mod failover;
mod figures;
mod in_flight;
mod load;
mod native;
mod raw;
mod recorded;
mod rollout;
mod scaling;
mod settings;
mod split;
mod supervising;
#[path = "../../../api/tests/recorded/mod.rs"]
mod transcript;
mod unix_sockets;
mod walk;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::OnceLock;

use libtest_mimic::{Arguments, Trial};
use world::World;

/// One scenario: it panics when the stack does not do what it should.
type Scenario = fn(&World);

static WORLD: OnceLock<World> = OnceLock::new();

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let Some(kind) = driver::Kind::chosen() else {
        eprintln!("e2e: skipped, because STACK_DRIVER is neither native nor compose");
        return ExitCode::SUCCESS;
    };
    let mut trials = Vec::new();
    for (subject, scenarios) in [
        ("split", split::SCENARIOS),
        ("answers", answers::SCENARIOS),
        ("accounts", accounts::SCENARIOS),
        ("raw", raw::SCENARIOS),
        ("failover", failover::SCENARIOS),
        ("in_flight", in_flight::SCENARIOS),
        ("database", database::SCENARIOS),
        ("scaling", scaling::SCENARIOS),
        ("data", data::SCENARIOS),
        ("settings", settings::SCENARIOS),
        ("rollout", rollout::SCENARIOS),
        ("figures", figures::scenarios(kind)),
        ("walk", walk::scenarios(kind)),
        ("unix_sockets", unix_sockets::scenarios(kind)),
        ("recorded", recorded::scenarios(kind)),
        ("supervising", supervising::scenarios(kind)),
        ("commands", commands::scenarios(kind)),
    ] {
        for &(name, scenario) in scenarios {
            trials.push(Trial::test(format!("{subject}::{name}"), move || {
                let world = WORLD.get().ok_or("the stack is not up")?;
                world.settle();
                scenario(world);
                Ok(())
            }));
        }
    }
    if arguments.list {
        return libtest_mimic::run(&arguments, trials).exit_code();
    }
    let world = WORLD.get_or_init(|| World::new(kind));
    let code = match catch_unwind(AssertUnwindSafe(|| world.up())) {
        Ok(()) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(_) => ExitCode::FAILURE,
    };
    if code != ExitCode::SUCCESS {
        show_last_lines(&world.log());
    }
    // The verdict stands, even if something cannot be cleared away.
    let _ = catch_unwind(AssertUnwindSafe(|| world.destroy()));
    code
}

fn show_last_lines(log: &str) {
    let lines: Vec<_> = log.lines().collect();
    let last = lines.len().saturating_sub(200);
    eprintln!(
        "the last lines of the stack's log:\n{}",
        lines[last..].join("\n")
    );
}

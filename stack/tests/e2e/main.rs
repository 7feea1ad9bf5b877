//! The whole stack from outside, as plain processes or on docker-compose: the same scenarios.
//!
//! `STACK_DRIVER` is `native` (default) or `compose`. One stack serves all scenarios, one after the
//! other; each begins by making it whole again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod data;
mod driver;
mod edge;
mod failover;
mod settings;
mod sharing;
mod support;

use std::sync::Arc;

use driver::{Driver, Kind};
use libtest_mimic::{Arguments, Trial};
use support::Stack;

fn main() -> std::process::ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let kind = Kind::wanted();
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(kind, None)).exit_code();
    }
    let runtime = Arc::new(tokio::runtime::Runtime::new().unwrap());
    let stack = Arc::new(runtime.block_on(Stack::start(Driver::new(kind))));
    let trials = trials(kind, Some((Arc::clone(&stack), Arc::clone(&runtime))));
    let conclusion = libtest_mimic::run(&arguments, trials);
    if conclusion.has_failed() {
        runtime.block_on(stack.show_logs());
    }
    runtime.block_on(stack.end());
    conclusion.exit_code()
}

type Running = (Arc<Stack>, Arc<tokio::runtime::Runtime>);

/// A trial for each scenario; without a running stack they are for listing only.
fn trials(kind: Kind, running: Option<Running>) -> Vec<Trial> {
    macro_rules! scenarios {
        ($($name:path),+ $(,)?) => {
            vec![$({
                let running = running.clone();
                let name = stringify!($name).replace("::", ": ");
                Trial::test(name, move || {
                    let (stack, runtime) = running.ok_or("listing only")?;
                    runtime.block_on(async {
                        stack.make_whole().await;
                        $name(&stack).await;
                    });
                    Ok(())
                })
            }),+]
        };
    }
    let mut trials = scenarios![
        sharing::a_hundred_requests_are_shared_exactly,
        sharing::a_returned_instance_gets_its_share_at_once,
        sharing::three_instances_come_and_go_without_a_lost_read,
        failover::an_instance_is_stopped,
        failover::an_instance_is_killed,
        failover::an_instance_is_paused,
        failover::both_instances_are_stopped,
        failover::the_database_is_stopped,
        failover::an_upload_outlives_the_stop_of_its_instance,
        failover::an_upload_outlives_the_stop_of_the_proxy,
        edge::every_answer_names_who_gave_it,
        edge::what_breaks_the_rules_is_refused,
        edge::http_1_0_is_answered_at_once,
        data::both_instances_see_the_same_songs,
        data::songs_survive_down_and_up,
    ];
    if kind == Kind::Native {
        trials.extend(scenarios![
            settings::a_taken_port_is_said_in_one_sentence,
            settings::wrong_settings_of_the_api_are_named,
            settings::the_same_folder_twice_is_refused,
        ]);
    }
    trials
}

//! A database that is away is one state of the upstream, and no fault of a server's.

use super::*;

#[test]
fn a_database_that_is_away_ejects_nobody() {
    let outcome = run(&Plan {
        writes: 0.3,
        ..plan(
            &["a:4", "b:6"],
            &["3s:all:loses-database", "8s:all:returns"],
        )
    });
    assert_eq!(turns(&outcome), Vec::<String>::new(), "nobody is out");
    let [(begin, true), (end, false)] = outcome.degraded[..] else {
        panic!("one state, begun and ended once: {:?}", outcome.degraded);
    };
    assert!(
        begin <= millis(3100),
        "as soon as both have said so: {begin:?}"
    );
    assert!((millis(8900)..=millis(9200)).contains(&end), "{end:?}");
    assert!((450..=510).contains(&outcome.errors), "{}", outcome.errors);
    let again: u64 = outcome.servers.iter().map(|server| server.again).sum();
    assert!(again <= 2, "until it is known, and never after: {again}");
    check_nothing_wrong(&outcome);
}

#[test]
fn a_database_that_hangs_is_waited_for_once_and_ejects_nobody() {
    let outcome = run(&Plan {
        writes: 0.3,
        ..plan(
            &["a:4", "b:6"],
            &["3s:all:loses-database=1500ms", "8s:all:returns"],
        )
    });
    assert_eq!(turns(&outcome), Vec::<String>::new(), "nobody is out");
    let [(begin, true), (_, false)] = outcome.degraded[..] else {
        panic!("{:?}", outcome.degraded);
    };
    assert!(begin <= millis(4600), "{begin:?}");
    // Those that were in hand when it went were told at once.
    let again: u64 = outcome.servers.iter().map(|server| server.again).sum();
    assert!(again <= 4, "who has waited for it is not sent on: {again}");
    // What has waited for less than that when it comes back is answered.
    assert!((340..=360).contains(&outcome.errors), "{}", outcome.errors);
    check_nothing_wrong(&outcome);
}

#[test]
fn one_server_that_lost_its_database_is_not_all_of_them() {
    let outcome = run(&plan(
        &["a:1", "b:9"],
        &["3s:a:loses-database", "8s:a:returns"],
    ));
    assert_eq!(turns(&outcome), Vec::<String>::new(), "nobody is out");
    assert_eq!(outcome.degraded, [], "the other one has it");
    assert_eq!(outcome.well, outcome.sent, "and answers for both");
    assert!(
        outcome.servers[1].again >= 40,
        "{}",
        outcome.servers[1].again
    );
}

#[test]
fn a_paused_server_is_out_also_while_the_database_is_away() {
    let outcome = run(&plan(
        &["a:4", "b:6"],
        &[
            "2s:all:loses-database",
            "4s:a:pauses",
            "7s:a:resumes",
            "8s:all:returns",
        ],
    ));
    let [(out, Some(back))] = outcome.outs(0)[..] else {
        panic!("{:?}", outcome.turns);
    };
    assert!(out <= millis(4800), "{out:?}");
    assert!((millis(7000)..=millis(8000)).contains(&back), "{back:?}");
    assert_eq!(outcome.outs(1), [], "the other one only lost its database");
    assert_eq!(
        outcome.degraded.len(),
        2,
        "one state: {:?}",
        outcome.degraded
    );
    check_nothing_wrong(&outcome);
}

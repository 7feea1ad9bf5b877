//! The balancing simulated: does the code tell slow, paused, overloaded and database-away apart, and
//! do a million requests for each method keep its laws?
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

#[path = "simulate/database.rs"]
mod database;
#[path = "simulate/documented.rs"]
mod documented;
#[path = "simulate/overload.rs"]
mod overload;

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use proxy::balance::{Key, Method};
use proxy::simulate::{self, Outcome, Plan};

/// Requests for each method: `PROXY_SIMULATED` when the tests are built, else a million in a
/// release build and fewer in one for debugging, which is much slower.
fn requests() -> u64 {
    match option_env!("PROXY_SIMULATED") {
        Some(number) => number.parse().unwrap(),
        None if cfg!(debug_assertions) => 20_000,
        None => 1_000_000,
    }
}

fn plan(servers: &[&str], events: &[&str]) -> Plan {
    Plan {
        servers: servers.iter().map(|text| text.parse().unwrap()).collect(),
        happenings: events.iter().map(|text| text.parse().unwrap()).collect(),
        ..Plan::default()
    }
}

fn run(plan: &Plan) -> Outcome {
    let outcome = simulate::run(plan, Instant::now());
    assert_eq!(outcome.broken, 0, "{:#?}", outcome.breaches);
    let ended = outcome.well + outcome.refused + outcome.errors;
    let lost = outcome.lost_reads + outcome.lost_writes;
    assert_eq!(ended + lost, outcome.sent, "every request ends once");
    outcome
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The turns after the beginning, in words.
fn turns(outcome: &Outcome) -> Vec<String> {
    let later = outcome.turns.iter().filter(|turn| !turn.at.is_zero());
    later.map(|turn| format!("{turn:?}")).collect()
}

fn check_nothing_wrong(outcome: &Outcome) {
    let wrong = (outcome.lost_reads, outcome.doubled, outcome.ghosts);
    assert_eq!(wrong, (0, 0, 0), "lost reads, doubled, ghosts");
}

const METHODS: [Method; 6] = [
    Method::RoundRobin,
    Method::LeastConnections,
    Method::IpHash,
    Method::Hash(Key::Path),
    Method::RandomTwo,
    Method::LeastTime,
];

/// A long time with everything that can happen to servers, under each method.
fn long(method: &Method, servers: &[&str], requests: u64) -> Outcome {
    let rate = 10_000.0;
    let length = Duration::from_secs_f64(requests as f64 / rate);
    let at = |tenths: u32| format!("{}ms", (length * tenths / 40).as_millis());
    let events = [
        (3, "a:dies"),
        (6, "a:returns"),
        (8, "b:slows=30ms"),
        (11, "b:slows=0s"),
        (13, "c:weighs=9"),
        (16, "c:pauses"),
        (20, "c:resumes"),
        (22, "b:fails"),
        (25, "b:returns"),
        (27, "a:drains"),
        (29, "a:returns"),
        (31, "d:weighs=0"),
        (33, "all:loses-database"),
        (35, "all:returns"),
        (37, "d:weighs=2"),
    ];
    let events: Vec<String> = events
        .iter()
        .map(|(tenths, what)| format!("{}:{what}", at(*tenths)))
        .collect();
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    run(&Plan {
        method: method.clone(),
        rate,
        length,
        writes: 0.3,
        clients: 1000,
        ..plan(servers, &events)
    })
}

/// The processor time that this thread has had: what else a machine does meanwhile does not count.
fn processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}

#[test]
fn every_method_keeps_its_laws_over_a_million_requests() {
    let servers = [
        "a:4,latency=5ms",
        "b:6,latency=5ms",
        "c:3,latency=5ms",
        "d:1,latency=5ms",
        "e:5,latency=5ms,backup",
    ];
    let begin = processor_time();
    for method in &METHODS {
        let began = processor_time();
        let outcome = long(method, &servers, requests());
        let took = processor_time() - began;
        eprintln!("{}: {} requests in {took:?}", method.name(), outcome.sent);
        assert!(outcome.sent.abs_diff(requests()) <= 1);
        assert_eq!(outcome.doubled, 0);
        assert!(
            outcome
                .servers
                .iter()
                .take(4)
                .all(|server| server.first > 0)
        );
    }
    let took = processor_time() - begin;
    assert!(took < Duration::from_secs(10), "all of them took {took:?}");
}

#[test]
fn limits_and_sticky_clients_keep_the_laws_too() {
    let servers = [
        "a:4,latency=5ms,max=12",
        "b:6,latency=5ms,max=20",
        "c:3,latency=5ms,max=30",
        "d:1,latency=5ms",
        "e:5,latency=5ms,backup,max=8",
    ];
    for method in &METHODS {
        let outcome = long(method, &servers, requests() / 5);
        for (server, most) in outcome.servers.iter().zip([12, 20, 30, usize::MAX, 8]) {
            assert!(server.most_in_flight <= most, "{}", method.name());
        }
        let sticky = Plan {
            sticky: true,
            method: method.clone(),
            ..plan(&["a:1", "b:1", "c:1"], &["3s:b:dies", "6s:b:returns"])
        };
        check_nothing_wrong(&run(&sticky));
    }
}

#[test]
fn four_to_six_is_exact_also_while_a_third_server_comes_and_goes() {
    let outcome = run(&plan(
        &["a:4", "b:6", "c:10"],
        &["3s:c:dies", "6s:c:returns"],
    ));
    check_nothing_wrong(&outcome);
    let first = |server: usize| outcome.servers[server].first;
    assert_eq!(outcome.sent, 1000);
    // Whole cycles before, meanwhile and after, but for the one that each change cuts short.
    assert!(
        first(0).abs_diff(first(1) * 4 / 6) <= 4,
        "{} {}",
        first(0),
        first(1)
    );
    let plain = run(&Plan::default());
    assert_eq!(plain.servers[0].first, 400);
    assert_eq!(plain.order[..10], [1, 0, 1, 0, 1, 1, 0, 1, 0, 1]);
}

#[test]
fn a_slow_server_is_slow_and_nothing_else() {
    for method in [Method::RoundRobin, Method::LeastConnections] {
        let outcome = run(&Plan {
            method,
            writes: 0.3,
            ..plan(&["a:4", "b:6"], &["3s:a:slows=2s"])
        });
        assert_eq!(turns(&outcome), Vec::<String>::new(), "nobody is out");
        assert_eq!(outcome.well, outcome.sent);
        check_nothing_wrong(&outcome);
        assert!(
            outcome.servers.iter().all(|server| server.again == 0),
            "nothing is sent twice"
        );
        assert!(
            outcome.quantile(1.0) <= millis(2030),
            "{:?}",
            outcome.quantile(1.0)
        );
    }
}

#[test]
fn a_paused_server_is_out_at_once_and_back_at_once() {
    for rate in [40.0, 300.0] {
        let outcome = run(&Plan {
            rate,
            length: Duration::from_secs(14),
            ..plan(&["a:4", "b:6"], &["3s:a:pauses", "11s:a:resumes"])
        });
        let outs = outcome.outs(0);
        let [(out, Some(back))] = outs[..] else {
            panic!("{outs:?}");
        };
        assert!(out <= millis(3000 + 800), "{out:?}");
        assert!(back >= millis(11_000) && back <= millis(12_000), "{back:?}");
        assert_eq!(outcome.well, outcome.sent, "every read is answered");
        assert!(
            outcome.quantile(1.0) <= millis(800),
            "{:?}",
            outcome.quantile(1.0)
        );
        check_nothing_wrong(&outcome);
    }
}

#[test]
fn a_write_on_a_paused_server_waits_and_is_not_sent_twice() {
    let outcome = run(&Plan {
        writes: 1.0,
        length: Duration::from_secs(14),
        ..plan(&["a:4", "b:6"], &["3s:a:pauses", "11s:a:resumes"])
    });
    assert_eq!((outcome.well, outcome.doubled), (outcome.sent, 0));
}

#[test]
fn a_killed_server_costs_no_read() {
    for rate in [40.0, 300.0] {
        let outcome = run(&Plan {
            rate,
            writes: 0.3,
            ..plan(&["a:4", "b:6"], &["3s:a:dies", "6s:a:returns"])
        });
        let outs = outcome.outs(0);
        let [(out, Some(back))] = outs[..] else {
            panic!("{outs:?}");
        };
        assert!(
            out <= millis(3000) + millis(100),
            "the first failure takes it out: {out:?}"
        );
        assert!(back <= millis(7000), "{back:?}");
        check_nothing_wrong(&outcome);
        assert_eq!(outcome.refused, 0);
        assert!(
            outcome.quantile(1.0) <= millis(50),
            "{:?}",
            outcome.quantile(1.0)
        );
    }
}

#[test]
fn a_server_that_answers_with_errors_is_ejected_after_five() {
    let outcome = run(&plan(
        &["a:1", "b:1", "c:1"],
        &["3s:a:fails", "5s:a:returns"],
    ));
    let [(out, Some(back))] = outcome.outs(0)[..] else {
        panic!("{:?}", outcome.turns);
    };
    assert!(out < millis(3400), "{out:?}");
    assert!(
        outcome.errors <= 8,
        "five, and those in hand: {}",
        outcome.errors
    );
    assert!(back >= out + millis(5000), "{back:?}");
}

#[test]
fn a_slow_start_is_gentle_and_monotone() {
    let outcome = run(&Plan {
        slow_start: Duration::from_secs(5),
        rate: 1000.0,
        length: Duration::from_secs(20),
        ..plan(&["a:1", "b:1"], &["6s:a:dies", "8s:a:returns"])
    });
    let tenths = &outcome.servers[0].by_tenth;
    let [(_, Some(back))] = outcome.outs(0)[..] else {
        panic!("{:?}", outcome.turns);
    };
    let back = usize::try_from(back.as_millis() / 100).unwrap() + 1;
    let seconds: Vec<u32> = (0..6)
        .map(|s| tenths[back + s * 10..back + s * 10 + 10].iter().sum())
        .collect();
    assert!(
        seconds.windows(2).all(|pair| pair[0] <= pair[1] + 5),
        "{seconds:?}"
    );
    assert!(seconds[0] < 150 && seconds[5] >= 495, "{seconds:?}");
}

#[test]
fn a_server_that_was_slow_once_is_tried_again() {
    let outcome = run(&Plan {
        method: Method::LeastTime,
        length: Duration::from_secs(60),
        ..plan(&["a:1", "b:1"], &["3s:a:slows=500ms", "10s:a:slows=0s"])
    });
    let sum =
        |from: usize, to: usize| -> u32 { outcome.servers[0].by_tenth[from..to].iter().sum() };
    assert!(
        sum(40, 100) < 60,
        "avoided while it is slow: {}",
        sum(40, 100)
    );
    assert!(sum(400, 600) > 400, "and used again: {}", sum(400, 600));
}

#[test]
fn two_runs_with_one_seed_are_the_same() {
    let plan = Plan {
        method: Method::RandomTwo,
        ..plan(&["a:4", "b:6"], &["3s:a:dies"])
    };
    let (one, other) = (run(&plan), run(&plan));
    assert_eq!((one.order, one.turns), (other.order, other.turns));
}

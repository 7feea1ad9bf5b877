//! Servers that have as much as they may: what waits, what is refused, and that nobody is taken for dead.

use proxy::upstream::QueueSettings;

use super::*;

/// 32 slots of 20 ms each are 1600 requests a second; three times as many come.
#[test]
fn overload_is_not_taken_for_death() {
    for limit in [",max=40", ""] {
        let servers = [
            format!("a:1,slots=16{limit}"),
            format!("b:1,slots=16{limit}"),
        ];
        let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
        let outcome = run(&Plan {
            rate: 4800.0,
            length: Duration::from_secs(4),
            ..plan(&servers, &[])
        });
        assert_eq!(
            turns(&outcome),
            Vec::<String>::new(),
            "nobody is out {limit}"
        );
        assert_eq!(outcome.errors + outcome.lost_reads, 0, "{limit}");
        if !limit.is_empty() {
            let goodput = outcome.well as f64 / 4.0;
            assert!(goodput >= 0.9 * 1600.0, "{goodput} answers a second");
            assert_eq!(outcome.well + outcome.refused, outcome.sent);
            assert!(outcome.waited > 0 && outcome.most_waiting == 128);
            // 40 in hand on 16 slots take 50 ms, a fifth more at worst; before that 100 ms in line.
            assert!(
                outcome.quantile(1.0) < millis(170),
                "{:?}",
                outcome.quantile(1.0)
            );
        }
    }
}

#[test]
fn a_read_on_a_killed_server_waits_for_a_place_on_the_other() {
    let outcome = run(&Plan {
        rate: 90.0,
        ..plan(&["a:1,max=1", "b:1,max=1"], &["4s:a:dies", "6s:a:returns"])
    });
    check_nothing_wrong(&outcome);
    assert!(outcome.servers[0].failed > 0, "there was one in hand");
}

#[test]
fn a_queue_bears_what_comes_at_once_and_is_bounded() {
    // Each server has a place for one request of 20 ms: 100 a second, and 90 come.
    let busy = |length: usize, wait: u64| {
        let plan = Plan {
            rate: 90.0,
            queue: QueueSettings {
                length,
                wait: millis(wait),
            },
            ..plan(
                &["a:1,max=1", "b:1,max=1"],
                &["4s:a:pauses", "6s:a:resumes"],
            )
        };
        run(&plan)
    };
    let none = busy(0, 100);
    assert_eq!((none.waited, none.most_waiting), (0, 0));
    let short = busy(4, 100);
    assert_eq!(short.most_waiting, 4, "while one server has to do");
    let long = busy(1000, 100);
    for outcome in [&none, &short, &long] {
        assert_eq!(outcome.errors + outcome.lost_reads, 0);
        assert!(
            outcome
                .servers
                .iter()
                .all(|server| server.most_in_flight <= 1)
        );
        assert_eq!(
            turns(outcome).len(),
            2,
            "only the paused one is out: {:?}",
            outcome.turns
        );
    }
    assert!(
        none.refused > short.refused,
        "{} {}",
        none.refused,
        short.refused
    );
    // The request that the paused server has in hand stays there while the other one is full.
    assert!(
        long.quantile(0.99) < millis(100 + 30),
        "{:?}",
        long.quantile(0.99)
    );
    let patient = busy(1000, 60_000);
    assert_eq!(
        patient.refused, 0,
        "first come, first served, and nobody is forgotten"
    );
    assert_eq!(patient.well, patient.sent);
}

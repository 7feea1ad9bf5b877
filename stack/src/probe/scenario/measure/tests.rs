//! Runs made of samples at chosen moments.

use super::*;
use crate::probe::{Report, Sent, Writes};

const MS: Duration = Duration::from_millis(1);

/// A load of 20 ms steps, of which `change` makes what the event made of it.
fn samples(begin: Instant, change: impl Fn(u32, &mut Sample)) -> Vec<Sample> {
    (0..500)
        .map(|number| {
            let mut sample = Sample {
                sent: Sent::Get,
                outcome: Outcome::Done,
                due: begin + number * 20 * MS,
                latency: 5 * MS,
                instance: Some(if number % 2 == 0 { "api_1" } else { "api2-1" }.to_owned()),
            };
            change(number * 20, &mut sample);
            sample
        })
        .collect()
}

/// `api2_1` is away from 2 s on, asked to come back at 5.8 s, and seen to serve from 6 s on.
fn run(change: impl Fn(u32, &mut Sample)) -> Run {
    let begin = Instant::now();
    let samples = samples(begin, change);
    let marks = Marks {
        event: begin + 2000 * MS,
        victims: vec!["api2_1".to_owned()],
        leave: Some(begin + 2000 * MS),
        recalled: Some(begin + 5800 * MS),
        listen: Some(begin + 6000 * MS),
    };
    let account = Account {
        report: Report::new(&samples, Duration::from_secs(1), Some(Writes::default())),
        samples,
    };
    let load = Load {
        rate: 50.0,
        post: 0.0,
        new_connections: false,
    };
    Run::new(Row::Pause, Place::Native, load, &account, &marks)
}

fn elsewhere(sample: &mut Sample) {
    sample.instance = Some("api_1".to_owned());
}

#[test]
fn a_pause_is_seen_by_who_waited_and_who_answered() {
    let run = run(|at, sample| match at {
        2000..2500 => {
            sample.latency = (2705 - at) * MS;
            elsewhere(sample);
        }
        // Back before anybody could see it.
        5900 => sample.instance = Some("api2-1".to_owned()),
        2500..6300 => elsewhere(sample),
        _ => {}
    });
    assert_eq!(run.extra, Seen::After(700 * MS));
    assert_eq!(run.out, Seen::After(480 * MS));
    assert_eq!(run.back, Seen::After(305 * MS));
    assert!(run.faults().is_empty());
}

#[test]
fn who_is_held_until_the_victim_goes_on_shows() {
    let run = run(|at, sample| match at {
        4000 => sample.latency = 2000 * MS,
        2000..6300 => elsewhere(sample),
        _ => {}
    });
    assert_eq!(run.out, Seen::After(2000 * MS));
}

#[test]
fn a_victim_that_never_answers_again_is_never_back() {
    let run = run(|at, sample| {
        if at >= 2000 {
            elsewhere(sample);
        }
    });
    assert_eq!(run.out, Seen::After(Duration::ZERO));
    assert_eq!(run.back, Seen::Never);
}

#[test]
fn each_count_that_is_off_is_named() {
    let run = run(|at, sample| match at {
        2000 => sample.outcome = Outcome::Lost("502".to_owned()),
        2020 => sample.outcome = Outcome::Refused,
        _ => {}
    });
    assert_eq!(run.counts.lost_get, 1);
    assert_eq!(
        run.faults(),
        ["lost GET: 1, expected 0", "refused: 1, expected 0"]
    );
    assert_eq!(run.causes, ["1 × GET: 502"]);
}

#[test]
fn writes_count_as_lost_whatever_way_they_were() {
    let begin = Instant::now();
    let samples = samples(begin, |at, sample| {
        sample.sent = Sent::Post(at.into());
        if at == 40 {
            sample.outcome = Outcome::Unknown("connection cut".to_owned());
        }
    });
    let writes = Writes {
        missing: 2,
        doubled: 3,
        ghosts: 4,
        ..Writes::default()
    };
    let account = Account {
        report: Report::new(&samples, Duration::from_secs(1), Some(writes)),
        samples,
    };
    let counts = counts(&account);
    assert_eq!((counts.lost_post, counts.doubled, counts.ghosts), (3, 3, 4));
    assert_eq!(counts.unread, 0);
}

#[test]
fn a_judged_measure_beyond_its_bound_is_a_fault_and_another_one_is_not() {
    let mut run = run(|_, _| {});
    run.measures = [(true, 250.0), (false, 250.0), (true, 150.0)]
        .map(|(judged, value)| Measure {
            what: "memory, MiB",
            value,
            bound: Bound::AtMost(200.0),
            judged,
        })
        .into();
    assert_eq!(run.faults(), ["memory, MiB: 250.0"]);
    assert!(Bound::AtLeast(90.0).holds(95.0));
}

use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn up(now: Instant) -> Health {
    let mut health = Health::new(false, now);
    assert!(health.probed(Probe::Passed, &HealthSettings::default(), now));
    assert_eq!(health.state(), State::Up);
    health
}

#[test]
fn two_misses_take_out_and_one_pass_brings_back() {
    let now = Instant::now();
    let checks = HealthSettings::default();
    let mut health = up(now);
    assert!(!health.probed(Probe::Unwell(503), &checks, now));
    assert!(!health.probed(Probe::Passed, &checks, now));
    assert!(!health.probed(Probe::TimedOut, &checks, now));
    assert!(health.probed(
        Probe::NotConnected(ErrorKind::ConnectionRefused),
        &checks,
        now
    ));
    assert_eq!(health.state(), State::Out(Cause::HealthCheck));
    assert!(health.probed(Probe::Passed, &checks, now));
    assert_eq!(health.state(), State::Up);
}

#[test]
fn a_busy_server_is_not_a_dead_one() {
    let now = Instant::now();
    let checks = HealthSettings::default();
    let mut health = up(now);
    health.answered(false, &EjectSettings::default(), now);
    for _ in 0..9 {
        assert!(!health.probed(Probe::TimedOut, &checks, now));
    }
    let later = now + SECOND;
    assert!(!health.probed(Probe::TimedOut, &checks, later));
    assert!(health.probed(Probe::TimedOut, &checks, later));
}

#[test]
fn a_hard_fact_takes_out_at_once_until_a_pass() {
    let now = Instant::now();
    let mut health = up(now);
    assert!(health.out(Cause::NotConnected, now));
    assert!(!health.out(Cause::NotConnected, now));
    assert!(!health.tick(now + 100 * SECOND));
    assert!(health.probed(Probe::Passed, &HealthSettings::default(), now));
}

#[test]
fn five_errors_in_a_row_eject_for_five_seconds_then_ten() {
    let now = Instant::now();
    let settings = EjectSettings::default();
    let mut health = up(now);
    for _ in 0..4 {
        assert!(!health.answered(true, &settings, now));
    }
    assert!(!health.answered(false, &settings, now));
    for _ in 0..4 {
        assert!(!health.answered(true, &settings, now));
    }
    assert!(health.answered(true, &settings, now));
    health.eject(&settings, now);
    assert!(!health.probed(Probe::Passed, &HealthSettings::default(), now));
    assert!(!health.tick(now + 4 * SECOND));
    assert!(health.tick(now + 5 * SECOND));
    health.eject(&settings, now);
    assert!(!health.tick(now + 9 * SECOND));
    assert!(health.tick(now + 10 * SECOND));
}

#[test]
fn ejections_double_up_to_the_cap_until_it_went_well_for_as_long() {
    let settings = EjectSettings::default();
    let mut now = Instant::now();
    let mut health = up(now);
    let mut eject = |now: &mut Instant, seconds: u32| {
        // Single good answers in between forgive nothing.
        health.answered(false, &settings, *now);
        health.eject(&settings, *now);
        assert!(
            !health.tick(*now + seconds * SECOND - SECOND / 10),
            "{seconds}"
        );
        *now += seconds * SECOND;
        assert!(health.tick(*now), "{seconds}");
    };
    for seconds in [5, 10, 20, 40, 60, 60] {
        eject(&mut now, seconds);
    }
    now += 59 * SECOND;
    eject(&mut now, 60);
    now += 60 * SECOND;
    eject(&mut now, 5);
}

#[test]
fn what_is_configured_as_down_stays_down() {
    let now = Instant::now();
    let mut health = Health::new(true, now);
    assert!(!health.probed(Probe::Passed, &HealthSettings::default(), now));
    assert!(!health.out(Cause::Silent, now));
    assert_eq!(health.state(), State::Out(Cause::Down));
}

proptest! {
    /// Whatever happened before, enough passes (and the end of an ejection) bring it back.
    #[test]
    fn nobody_is_stuck_out(events in prop::collection::vec(0..8u8, 0..60)) {
        let checks = HealthSettings { rise: 2, ..HealthSettings::default() };
        let eject = EjectSettings::default();
        let mut now = Instant::now();
        let mut health = Health::new(false, now);
        for event in events {
            now += Duration::from_millis(100);
            match event {
                0 => { health.probed(Probe::Passed, &checks, now); }
                1 => { health.probed(Probe::TimedOut, &checks, now); }
                2 => { health.probed(Probe::NotConnected(ErrorKind::ConnectionRefused), &checks, now); }
                3 => { health.out(Cause::Silent, now); }
                4 => { health.probed(Probe::Draining, &checks, now); }
                5 => if health.answered(true, &eject, now) { health.eject(&eject, now) },
                6 => { health.answered(false, &eject, now); }
                _ => { health.tick(now); }
            }
        }
        now += eject.cap;
        health.tick(now);
        health.probed(Probe::Passed, &checks, now);
        health.probed(Probe::Passed, &checks, now);
        prop_assert_eq!(health.state(), State::Up);
    }
}

#[test]
fn a_drained_server_is_still_watched_and_back_at_once() {
    let now = Instant::now();
    let checks = HealthSettings::default();
    let mut health = up(now);
    assert!(health.set_mode(Mode::Drain, now) && !health.set_mode(Mode::Drain, now));
    assert_eq!(health.state(), State::Out(Cause::Drained));
    assert!(!health.probed(Probe::Unwell(503), &checks, now));
    assert!(!health.probed(Probe::Unwell(503), &checks, now));
    assert!(health.set_mode(Mode::Ready, now));
    assert_eq!(health.state(), State::Out(Cause::HealthCheck));
    assert!(health.set_mode(Mode::Drain, now));
    assert!(
        !health.probed(Probe::Passed, &checks, now),
        "for itself it changes nothing"
    );
    assert!(health.set_mode(Mode::Ready, now));
    assert_eq!(health.state(), State::Up);
}

#[test]
fn a_server_that_was_down_has_to_pass_again() {
    let now = Instant::now();
    let mut health = up(now);
    assert!(health.set_mode(Mode::Down, now));
    assert_eq!(health.state(), State::Out(Cause::Down));
    assert!(!health.out(Cause::Silent, now));
    assert!(health.set_mode(Mode::Ready, now));
    assert_eq!(health.state(), State::Out(Cause::New));
}

#[test]
fn one_that_answers_its_checks_and_breaks_every_request_is_ejected() {
    let now = Instant::now();
    let (checks, settings) = (HealthSettings::default(), EjectSettings::default());
    let mut health = up(now);
    for _ in 1..settings.consecutive_5xx {
        assert!(health.out(Cause::BrokeOff, now));
        assert!(!health.broke_off(Break::Head, &settings, now));
        assert!(health.probed(Probe::Passed, &checks, now));
    }
    assert!(health.out(Cause::BrokeOff, now));
    assert!(health.broke_off(Break::Head, &settings, now));
    health.eject(&settings, now);
    assert!(!health.out(Cause::BrokeOff, now), "sent before");
    assert!(!health.probed(Probe::Passed, &checks, now));
    assert_eq!(health.state(), State::Out(Cause::ServerErrors));
    assert!(health.tick(now + settings.base));
}

#[test]
fn one_whole_answer_makes_up_for_the_broken_ones() {
    let now = Instant::now();
    let settings = EjectSettings::default();
    let mut health = up(now);
    for _ in 0..3 * settings.consecutive_5xx {
        assert!(!health.broke_off(Break::Head, &settings, now));
        assert!(!health.broke_off(Break::Body, &settings, now));
        health.answered(false, &settings, now);
        health.came_whole();
    }
}

#[test]
fn good_heads_do_not_make_up_for_bodies_that_are_broken_off() {
    let now = Instant::now();
    let (checks, settings) = (HealthSettings::default(), EjectSettings::default());
    let mut health = up(now);
    for number in 1..=settings.consecutive_5xx {
        assert!(!health.answered(false, &settings, now));
        assert!(health.out(Cause::BrokeOff, now));
        let has_earned_it = health.broke_off(Break::Body, &settings, now);
        assert_eq!(has_earned_it, number == settings.consecutive_5xx);
        assert!(health.probed(Probe::Passed, &checks, now));
    }
}

#[test]
fn a_good_head_makes_up_for_errors_before_its_body_has_come() {
    let now = Instant::now();
    let settings = EjectSettings::default();
    let mut health = up(now);
    for _ in 0..9 {
        for _ in 1..settings.consecutive_5xx {
            assert!(!health.answered(true, &settings, now));
        }
        // A long answer: its end is not seen here.
        assert!(!health.answered(false, &settings, now));
    }
}

/// What happens to one answer after the other.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ending {
    Whole,
    Error,
    BrokenHead,
    BrokenBody,
}

proptest! {
    /// A server is ejected exactly when enough answers have failed since the last good head, bodies
    /// that were broken off counted since the last good answer that came whole.
    #[test]
    fn who_has_failed_enough_is_ejected(
        endings in prop::collection::vec(
            prop::sample::select(vec![
                Ending::Whole, Ending::Error, Ending::BrokenHead, Ending::BrokenBody,
            ]),
            0..40,
        ),
    ) {
        let now = Instant::now();
        let settings = EjectSettings::default();
        let mut health = up(now);
        for (end, ending) in endings.iter().enumerate() {
            let ejected = match ending {
                Ending::Whole => {
                    let ejected = health.answered(false, &settings, now);
                    health.came_whole();
                    ejected
                }
                Ending::Error => health.answered(true, &settings, now),
                Ending::BrokenHead => health.broke_off(Break::Head, &settings, now),
                Ending::BrokenBody => {
                    let ejected = health.answered(false, &settings, now);
                    prop_assert!(!ejected, "by a good head");
                    health.broke_off(Break::Body, &settings, now)
                }
            };
            let back = || endings[..=end].iter().rev();
            let good_head = |e: &&Ending| matches!(e, Ending::Whole | Ending::BrokenBody);
            let failures = back().take_while(|e| !good_head(e)).count();
            let since_whole = back().take_while(|e| **e != Ending::Whole);
            let cuts = since_whole.filter(|e| **e == Ending::BrokenBody).count();
            let enough = failures + cuts >= settings.consecutive_5xx as usize;
            prop_assert_eq!(ejected, enough && *ending != Ending::Whole, "{:?}", &endings[..=end]);
            if ejected {
                return Ok(());
            }
        }
    }
}

#[test]
fn a_failed_check_is_told_in_words() {
    let now = Instant::now();
    let checks = HealthSettings {
        path: Some("/x".to_owned()),
        ..HealthSettings::default()
    };
    let mut health = Health::new(false, now);
    let why = |health: &Health| health.why_out().unwrap_or_default().into_owned();
    assert_eq!(why(&health), "no health check passed yet");
    for (probe, words) in [
        (Probe::Unwell(404), "health check: 404 from GET /x"),
        (Probe::NotAsked, "health check: 404 from GET /x"),
        (
            Probe::NotConnected(ErrorKind::ConnectionRefused),
            "health check: connection refused",
        ),
        (Probe::TimedOut, "health check: timed out after 250ms"),
        (Probe::BrokeOff, "health check: broken off"),
        (Probe::Garbled, "health check: the answer is not HTTP"),
    ] {
        assert!(!health.probed(probe, &checks, now));
        assert_eq!(why(&health), words);
    }
    assert!(health.probed(Probe::Passed, &checks, now));
    assert_eq!(health.why_out(), None);
    assert!(!health.probed(Probe::Unwell(301), &checks, now));
    assert_eq!(health.why_out(), None, "one is not enough");
    assert!(health.probed(Probe::Unwell(301), &checks, now));
    assert_eq!(why(&health), "health check: 301 from GET /x");
    assert!(!health.out(Cause::NotConnected, now));
    assert_eq!(why(&health), "connection refused or timed out");
    assert!(!health.probed(Probe::TimedOut, &checks, now));
    assert_eq!(
        why(&health),
        "connection refused or timed out",
        "nothing new"
    );
    assert!(!health.probed(Probe::Unwell(404), &checks, now));
    assert_eq!(
        why(&health),
        "health check: 404 from GET /x",
        "it is there again"
    );
    assert!(!health.out(Cause::Draining, now));
    assert_eq!(why(&health), "draining");
}

#[test]
fn a_first_pass_that_does_not_come_is_told_once() {
    let now = Instant::now();
    let checks = HealthSettings::default();
    let mut health = Health::new(false, now);
    assert!(!health.first_pass_is_late(now + SECOND), "nobody has asked");
    health.probed(Probe::Unwell(404), &checks, now);
    assert!(!health.first_pass_is_late(now));
    assert!(health.first_pass_is_late(now + SECOND));
    assert!(!health.first_pass_is_late(now + 2 * SECOND));

    let mut health = up(now);
    health.probed(Probe::Unwell(404), &checks, now);
    assert!(
        !health.first_pass_is_late(now + SECOND),
        "it has passed one"
    );
}

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn limit(requests: u32, per: Duration, burst: u32, now: Instant) -> Limit {
    Limit {
        rate: Rate {
            requests,
            per,
            burst,
        },
        clients: Arc::new(Table::new(now)),
    }
}

fn client(number: u32) -> IpAddr {
    std::net::Ipv4Addr::from_bits(number).into()
}

#[test]
fn a_burst_then_the_rate() {
    let now = Instant::now();
    let limit = limit(10, SECOND, 20, now);
    for _ in 0..20 {
        assert_eq!(limit.admit(client(1), now), Ok(()));
    }
    let wait = SECOND / 10;
    assert_eq!(limit.would_admit(client(1), now), Err(Refused { wait }));
    assert_eq!(limit.admit(client(1), now), Err(Refused { wait }));
    assert_eq!(limit.admit(client(2), now), Ok(()), "another client");
    assert_eq!(limit.admit(client(1), now + wait), Ok(()));
    assert!(limit.admit(client(1), now + wait).is_err());
    let later = now + SECOND * 2;
    let admitted = (0..100).filter(|_| limit.admit(client(1), later).is_ok());
    assert_eq!(admitted.count(), 19);
}

#[test]
fn looking_takes_nothing() {
    let now = Instant::now();
    let limit = limit(1, SECOND, 1, now);
    for _ in 0..3 {
        assert_eq!(limit.would_admit(client(1), now), Ok(()));
    }
    assert!(limit.clients.is_empty());
    assert_eq!(limit.admit(client(1), now), Ok(()));
}

#[test]
fn a_client_is_an_address_or_a_64() {
    for (address, expected) in [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
    ] {
        let expected: IpAddr = expected.parse().unwrap();
        assert_eq!(network(address.parse().unwrap()), expected, "{address}");
    }
}

#[test]
fn a_stricter_or_looser_rate_takes_over_at_once() {
    let now = Instant::now();
    let mut limit = limit(1, Duration::from_secs(3600), 5, now);
    while limit.admit(client(1), now).is_ok() {}
    limit.rate = Rate {
        requests: 10,
        per: SECOND,
        burst: 10,
    };
    let refused = limit.admit(client(1), now).unwrap_err();
    assert!(refused.wait <= SECOND / 10, "{refused:?}");
    assert_eq!(limit.admit(client(1), now + refused.wait), Ok(()));
}

#[test]
fn the_table_is_bounded_and_remembers_who_is_held_back() {
    let now = Instant::now();
    let limit = limit(1, Duration::from_secs(3600), 3, now);
    let greedy = client(u32::MAX);
    while limit.admit(greedy, now).is_ok() {}
    for number in 0..200_000 {
        assert_eq!(limit.admit(client(number), now), Ok(()));
    }
    assert!(
        limit.clients.len() <= Table::MOST,
        "{}",
        limit.clients.len()
    );
    assert!(limit.clients.len() >= Table::MOST / 2);
    assert!(limit.admit(greedy, now).is_err(), "it was forgotten");
    let rested = now + Duration::from_secs(4 * 3600);
    for number in 0..100_000 {
        assert_eq!(limit.admit(client(number), rested), Ok(()));
    }
    assert!(limit.clients.len() <= Table::MOST);
}

#[test]
fn retry_after_is_rounded_up() {
    for (millis, seconds) in [(1, 1), (999, 1), (1000, 1), (1001, 2), (90_500, 91)] {
        let wait = Duration::from_millis(millis);
        assert_eq!(Refused { wait }.retry_after(), seconds, "{millis}");
    }
}

proptest! {
    /// In no window are more let in than the burst and what the rate gives for its length.
    #[test]
    fn no_window_holds_too_many(
        requests in 1..50u32,
        per in 1..3000u64,
        burst in 1..50u32,
        gaps in prop::collection::vec(0..200u64, 1..300),
    ) {
        let per = Duration::from_millis(per);
        let (began, mut at) = (Instant::now(), Duration::ZERO);
        let limit = limit(requests, per, burst, began);
        let mut admitted = Vec::new();
        for gap in gaps {
            at += Duration::from_millis(gap);
            if limit.admit(client(1), began + at).is_ok() {
                admitted.push(at);
            }
        }
        for (from, first) in admitted.iter().enumerate() {
            for (to, last) in admitted.iter().enumerate().skip(from) {
                let earned = (*last - *first).as_secs_f64() / per.as_secs_f64() * f64::from(requests);
                let count = (to - from + 1) as f64;
                prop_assert!(count <= f64::from(burst) + earned + 1e-6);
            }
        }
    }

    /// Whoever waits as long as it was told is let in, and not before.
    #[test]
    fn the_wait_is_true(
        requests in 1..50u32,
        per in 1..3000u64,
        burst in 1..50u32,
        at in 0..100_000u64,
    ) {
        let (began, per) = (Instant::now(), Duration::from_millis(per));
        let now = began + Duration::from_millis(at);
        let limit = limit(requests, per, burst, began);
        let mut let_in = 0;
        let refused = loop {
            match limit.admit(client(1), now) {
                Ok(()) => let_in += 1,
                Err(refused) => break refused,
            }
        };
        prop_assert_eq!(let_in, burst);
        let just_before = now + refused.wait - Duration::from_nanos(1);
        prop_assert!(limit.would_admit(client(1), just_before).is_err());
        prop_assert!(limit.would_admit(client(1), now + refused.wait).is_ok());
        let seconds = Duration::from_secs(refused.retry_after().into());
        prop_assert!(seconds >= refused.wait && seconds < refused.wait + SECOND);
    }
}

//! Does a client send, or take, quickly enough? Counted over the time in which it is waited for.
//!
//! Pure. A client that sends a byte now and then passes every limit on the time between two
//! reads, and would hold its connection for ever. Time in which nobody waits for the client, since
//! a server is slow, does not count against it.

use std::time::{Duration, Instant};

/// What a client must move in a second, on the average.
pub const LEAST: u32 = 1024;
/// How long it may be waited for beyond that.
pub const GRACE: Duration = Duration::from_secs(10);
/// The most waiting that a client can earn by having been quick.
pub const CREDIT: Duration = Duration::from_secs(60);

/// How quickly one direction of a connection moves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    moved: u64,
    waited: Duration,
    /// Since when the client is being waited for.
    since: Option<Instant>,
}

impl Pace {
    /// Notes that the client is waited for from now on. Before the first byte has moved nothing is
    /// counted: other limits hold there.
    pub fn wait(&mut self, now: Instant) {
        if self.moved > 0 {
            self.since.get_or_insert(now);
        }
    }

    /// Notes that so many bytes have moved; `now` is asked for only if the client was waited for.
    pub fn moved(&mut self, bytes: usize, now: impl FnOnce() -> Instant) {
        if let Some(since) = self.since.take() {
            self.waited += now().saturating_duration_since(since);
        }
        let most = (self.waited + CREDIT).as_secs() * u64::from(LEAST);
        self.moved = self.moved.saturating_add(bytes as u64).min(most);
    }

    /// When the client will have been too slow if nothing moves until then; none while it is not
    /// waited for.
    pub fn deadline(&self) -> Option<Instant> {
        let since = self.since?;
        let allowed = Duration::from_secs(self.moved) / LEAST + GRACE;
        since.checked_add(allowed.saturating_sub(self.waited))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Moves `bytes` after each of the pauses; returns after which time it was too slow, if it was.
    fn run(bytes: usize, pause: Duration, times: u32) -> Option<Duration> {
        let began = Instant::now();
        let mut pace = Pace::default();
        pace.moved(bytes, || unreachable!("nobody has waited"));
        for index in 0..times {
            let now = began + pause * index;
            pace.wait(now);
            let deadline = pace.deadline().unwrap();
            if deadline <= now + pause {
                return Some(deadline - began);
            }
            pace.moved(bytes, || now + pause);
        }
        None
    }

    #[test]
    fn a_drip_is_too_slow_after_the_grace_and_a_steady_client_never_is() {
        let second = Duration::from_secs(1);
        let drip = run(1, second, 60).unwrap();
        assert!(drip >= GRACE && drip < GRACE + second / 10, "{drip:?}");
        let half = run(512, second, 60).unwrap();
        assert!(half >= GRACE && half < GRACE * 2 + second, "{half:?}");
        assert_eq!(run(1024, second, 600), None);
        assert_eq!(run(100 << 20, second * 30, 60), None);
    }

    #[test]
    fn what_came_quickly_is_a_credit_with_a_bound() {
        let began = Instant::now();
        let mut pace = Pace::default();
        pace.wait(began);
        assert_eq!(pace.deadline(), None, "nothing has come yet");
        pace.moved(20 << 10, || unreachable!("nobody has waited"));
        assert_eq!(pace.deadline(), None, "nobody waits");
        pace.wait(began);
        let earned = Duration::from_secs(20);
        assert_eq!(pace.deadline(), Some(began + GRACE + earned));
        pace.moved(1 << 40, || began);
        pace.wait(began);
        assert_eq!(pace.deadline(), Some(began + GRACE + CREDIT));
    }

    #[test]
    fn time_in_which_nobody_waits_is_not_the_clients() {
        let began = Instant::now();
        let mut pace = Pace::default();
        pace.moved(1024, || began);
        pace.wait(began);
        pace.moved(1024, || began + Duration::from_secs(9));
        let later = began + Duration::from_secs(3600);
        pace.wait(later);
        assert_eq!(pace.deadline(), Some(later + Duration::from_secs(3)));
    }

    proptest! {
        /// Nobody who keeps to the rate is cut, and nobody before the grace is over.
        #[test]
        fn the_rate_is_what_counts(bytes in 1..4096usize, millis in 1..3000u64) {
            let pause = Duration::from_millis(millis);
            let cut = run(bytes, pause, 20_000);
            if bytes as u128 * 1000 >= u128::from(LEAST) * u128::from(millis) {
                prop_assert_eq!(cut, None);
            } else {
                prop_assert!(cut.is_none_or(|cut| cut >= GRACE), "{:?}", cut);
            }
            if bytes as u128 * 2000 < u128::from(LEAST) * u128::from(millis) {
                prop_assert!(cut.is_some_and(|cut| cut <= GRACE * 2 + pause), "{:?}", cut);
            }
        }
    }
}

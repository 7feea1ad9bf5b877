//! Each in its turn, as often as its weight says: smooth weighted round-robin.
//!
//! The rule is the one nginx made known: every server earns its weight in credit, the richest is
//! picked and pays the sum of all weights. With 4:6 the order is `B A B A B`, over and over: exact
//! shares in every cycle, and of two servers no burst longer than their weights force. A turn may
//! be held among some of the servers only; the others then neither earn nor pay.

/// Restarts of the cycle are caught up over at most this many picks.
const LONGEST_CATCH_UP: u64 = 1000;

/// The state of one smooth weighted round-robin.
#[derive(Debug, Clone, Default)]
pub struct SmoothRoundRobin {
    weights: Vec<u32>,
    credits: Vec<i64>,
    picks: u64,
}

impl SmoothRoundRobin {
    /// Picks the next server; `None` when every weight is zero, or none `may` be picked.
    ///
    /// `weights` holds one weight per server, zero for one that is out. One that may not be picked
    /// just now, because it is full or busier than another, keeps its place in the cycle. While the weights stay the
    /// same, every run of as many picks as they sum up to holds exactly the weighted shares. When
    /// they change, the new cycle is entered at the position that the old one had reached: were it
    /// begun anew each time, a server that flaps could keep the light ones from their turn.
    pub fn pick(
        &mut self,
        weights: impl Iterator<Item = u32> + Clone,
        may: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        if !weights.clone().eq(self.weights.iter().copied()) {
            self.restart(weights);
        }
        let index = self.step(may)?;
        self.picks = self.picks.wrapping_add(1);
        Some(index)
    }

    /// Returns the server that is next in turn among those that `may` be picked, without taking its
    /// turn.
    ///
    /// A request that is sent again goes there, and not to a server that it has tried: the detour
    /// then does not shift the order that first tries see.
    pub fn detour(
        &self,
        weights: impl Iterator<Item = u32>,
        may: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let credit = |index: usize| self.credits.get(index).copied().unwrap_or(0);
        weights
            .enumerate()
            .filter(|&(index, weight)| weight > 0 && may(index))
            .max_by_key(|&(index, weight)| {
                (credit(index) + i64::from(weight), std::cmp::Reverse(index))
            })
            .map(|(index, _)| index)
    }

    fn restart(&mut self, weights: impl Iterator<Item = u32>) {
        self.weights.clear();
        self.weights.extend(weights);
        self.credits.clear();
        self.credits.resize(self.weights.len(), 0);
        let total: u64 = self.weights.iter().copied().map(u64::from).sum();
        let cycle = total.clamp(1, LONGEST_CATCH_UP);
        for _ in 0..self.picks % cycle {
            self.step(|_| true);
        }
    }

    fn step(&mut self, may: impl Fn(usize) -> bool) -> Option<usize> {
        let mut total = 0;
        let mut richest: Option<usize> = None;
        for (index, &weight) in self.weights.iter().enumerate() {
            if weight == 0 || !may(index) {
                continue;
            }
            total += i64::from(weight);
            self.credits[index] += i64::from(weight);
            if richest.is_none_or(|best| self.credits[index] > self.credits[best]) {
                richest = Some(index);
            }
        }
        let winner = richest?;
        self.credits[winner] -= total;
        Some(winner)
    }
}

#[cfg(test)]
mod tests {
    use super::SmoothRoundRobin;
    use proptest::prelude::*;

    fn order(balancer: &mut SmoothRoundRobin, weights: &[u32], picks: usize) -> Vec<usize> {
        (0..picks)
            .map(|_| balancer.pick(weights.iter().copied(), |_| true).unwrap())
            .collect()
    }

    fn shares(order: &[usize], servers: usize) -> Vec<u32> {
        (0..servers)
            .map(|server| order.iter().filter(|&&picked| picked == server).count() as u32)
            .collect()
    }

    fn longest_burst(order: &[usize]) -> usize {
        order
            .chunk_by(|a, b| a == b)
            .map(<[usize]>::len)
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn four_to_six_is_interleaved() {
        let order = order(&mut SmoothRoundRobin::default(), &[4, 6], 10);
        assert_eq!(order, [1, 0, 1, 0, 1, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn shares_stay_exact_while_a_third_server_is_down() {
        let mut balancer = SmoothRoundRobin::default();
        order(&mut balancer, &[4, 6, 10], 7);
        assert_eq!(shares(&order(&mut balancer, &[4, 6, 0], 10), 3), [4, 6, 0]);
    }

    #[test]
    fn no_server_no_pick() {
        let mut balancer = SmoothRoundRobin::default();
        assert_eq!(balancer.pick([0, 0].into_iter(), |_| true), None);
        assert_eq!(balancer.pick([4, 6].into_iter(), |_| false), None);
        assert_eq!(balancer.pick(std::iter::empty(), |_| true), None);
        assert_eq!(balancer.detour([0, 0].into_iter(), |_| true), None);
    }

    #[test]
    fn a_detour_takes_nobody_s_turn() {
        let mut with = SmoothRoundRobin::default();
        let mut without = SmoothRoundRobin::default();
        for _ in 0..50 {
            let weights = [4, 6, 3].into_iter();
            let first = with.pick(weights.clone(), |_| true).unwrap();
            let detour = with.detour(weights.clone(), |index| index != first);
            assert_ne!(detour, Some(first));
            assert_eq!(without.pick(weights, |_| true), Some(first));
        }
    }

    #[test]
    fn who_may_not_be_picked_for_a_while_keeps_its_place() {
        let mut balancer = SmoothRoundRobin::default();
        let first = order(&mut balancer, &[4, 6], 3);
        for _ in 0..7 {
            assert_eq!(
                balancer.pick([4, 6].into_iter(), |index| index == 0),
                Some(0)
            );
        }
        let rest = order(&mut balancer, &[4, 6], 7);
        assert_eq!([first, rest].concat(), [1, 0, 1, 0, 1, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn a_flapping_server_does_not_starve_a_light_one() {
        let mut balancer = SmoothRoundRobin::default();
        let mut light = 0;
        for round in 0..1000 {
            let third = if round % 2 == 0 { 9 } else { 0 };
            light += order(&mut balancer, &[1, 9, third], 3)
                .iter()
                .filter(|&&picked| picked == 0)
                .count();
        }
        assert!(
            light > 100,
            "the light server was picked {light} times in 3000"
        );
    }

    fn fleet() -> impl Strategy<Value = Vec<u32>> {
        prop::collection::vec(0..30u32, 1..8).prop_filter("one server must be up", |weights| {
            weights.iter().any(|&w| w > 0)
        })
    }

    proptest! {
        /// Over any weights and any pattern of servers going and coming: from a change on, every
        /// window of one cycle holds the exact shares, and nobody who is out is picked.
        #[test]
        fn every_window_of_a_cycle_is_exact(
            base in fleet(),
            patterns in prop::collection::vec((prop::collection::vec(any::<bool>(), 8), 0..50usize), 1..6),
        ) {
            let mut balancer = SmoothRoundRobin::default();
            for (up, extra) in patterns {
                let weights: Vec<u32> = base.iter().zip(&up).map(|(&w, &up)| if up { w } else { 0 }).collect();
                let total: u32 = weights.iter().sum();
                if total == 0 {
                    prop_assert_eq!(balancer.pick(weights.iter().copied(), |_| true), None);
                    continue;
                }
                let order = order(&mut balancer, &weights, total as usize + extra);
                for window in order.windows(total as usize) {
                    prop_assert_eq!(shares(window, weights.len()), weights.clone());
                }
            }
        }

        /// Two servers alternate as evenly as their weights allow: no burst is longer than the
        /// heavier one's share forces.
        #[test]
        fn two_servers_take_turns_as_evenly_as_can_be(a in 1..40u32, b in 1..40u32) {
            let order = order(&mut SmoothRoundRobin::default(), &[a, b], 3 * (a + b) as usize);
            prop_assert!(longest_burst(&order) <= a.max(b).div_ceil(a.min(b)) as usize, "{order:?}");
        }

        /// Among more than two, light servers may come close together and leave the heaviest one a
        /// longer run elsewhere: it stays below twice what its share forces.
        #[test]
        fn bursts_are_short(weights in fleet()) {
            let total: u32 = weights.iter().sum();
            let heaviest = *weights.iter().max().unwrap();
            let rest = total - heaviest;
            prop_assume!(rest > 0);
            let order = order(&mut SmoothRoundRobin::default(), &weights, 3 * total as usize);
            let bound = 2 * heaviest.div_ceil(rest) as usize;
            prop_assert!(longest_burst(&order) <= bound, "{order:?}");
        }

        #[test]
        fn a_detour_is_never_to_a_tried_server(weights in fleet(), tried in prop::collection::vec(any::<bool>(), 8)) {
            let mut balancer = SmoothRoundRobin::default();
            balancer.pick(weights.iter().copied(), |_| true);
            let detour = balancer.detour(weights.iter().copied(), |index| !tried[index]);
            if let Some(index) = detour {
                prop_assert!(weights[index] > 0 && !tried[index]);
            }
        }
    }
}

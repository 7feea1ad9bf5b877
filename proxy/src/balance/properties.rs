//! The laws that every method keeps, over any fleet and any pattern of servers going and coming.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn methods() -> impl Strategy<Value = Method> {
    prop::sample::select(vec![
        Method::RoundRobin,
        Method::LeastConnections,
        Method::IpHash,
        Method::Hash(Key::Path),
        Method::RandomTwo,
        Method::LeastTime,
    ])
}

fn candidate() -> impl Strategy<Value = Candidate> {
    let fitness = prop::sample::select(vec![
        Fitness::Up,
        Fitness::Up,
        Fitness::Up,
        Fitness::Ejected,
        Fitness::Out,
    ]);
    let flags = (any::<bool>(), 0..5u8, 0..5u8);
    let load = (0..40u32, prop::option::of(1..500u64));
    (0..12u32, 1..=slow_start::WARM, fitness, flags, load).prop_map(
        |(weight, warmth, fitness, (backup, full, tried), (in_flight, first_byte))| Candidate {
            identity: 0,
            weight,
            warmth,
            backup,
            fitness,
            full: full == 0,
            tried: tried == 0,
            in_flight,
            first_byte: first_byte.map(Duration::from_millis),
        },
    )
}

fn fleet() -> impl Strategy<Value = Vec<Candidate>> {
    prop::collection::vec(candidate(), 0..9).prop_map(|mut fleet| {
        for (index, candidate) in fleet.iter_mut().enumerate() {
            candidate.identity = hashing::identity("api:80", &index.to_string());
        }
        fleet
    })
}

fn wish() -> impl Strategy<Value = Wish> {
    let sticky = prop::option::of(any::<u64>());
    let key = prop::option::of(any::<u64>());
    (key, sticky, any::<bool>()).prop_map(|(key, sticky, again)| Wish { key, sticky, again })
}

fn silent(_: usize, _: Reason) {}

proptest! {
    /// Nobody who is out, full, tried, without weight, or a backup without need, is picked; and
    /// somebody is picked whenever somebody can be.
    #[test]
    fn whoever_can_be_picked_is_and_nobody_else(
        fleets in prop::collection::vec((fleet(), wish()), 1..20), method in methods(), seed: u64,
    ) {
        let mut balancer = Balancer::new(seed);
        for (fleet, wish) in fleets {
            let free = |c: &&Candidate| c.weight > 0 && !c.full && !c.tried;
            let up = |c: &&Candidate| free(c) && c.fitness == Fitness::Up;
            let primary = fleet.iter().filter(up).any(|c| !c.backup);
            let any_up = fleet.iter().any(|c| up(&c));
            let waits = fleet.iter().any(|c| {
                c.weight > 0 && !c.tried && c.full && c.fitness == Fitness::Up
            });
            match balancer.pick(&method, &fleet, wish, &mut silent) {
                Ok(index) => {
                    let picked = &fleet[index];
                    prop_assert!(free(&picked) && picked.fitness != Fitness::Out);
                    prop_assert_eq!(picked.fitness == Fitness::Up, any_up);
                    prop_assert!(picked.fitness != Fitness::Ejected || !waits);
                    prop_assert!(picked.fitness != Fitness::Up || picked.backup != primary);
                }
                Err(NoPick::Full) => prop_assert!(!any_up),
                Err(NoPick::Nobody) => {
                    let ejected = |c: &&Candidate| c.fitness == Fitness::Ejected;
                    prop_assert!(!any_up && !waits);
                    prop_assert!(!fleet.iter().filter(ejected).any(|c| free(&c)));
                }
            }
        }
    }

    /// Every candidate gets a reason, the picked one and only it a reason to be picked; and asking
    /// a clone takes no turn.
    #[test]
    fn a_pick_explains_itself_and_an_explanation_picks_nothing(
        fleets in prop::collection::vec((fleet(), wish()), 1..20), method in methods(), seed: u64,
    ) {
        let mut balancer = Balancer::new(seed);
        for (fleet, wish) in fleets {
            let mut reasons = vec![None; fleet.len()];
            let explained = balancer.clone().pick(&method, &fleet, wish, &mut |index, reason| {
                reasons[index] = Some(reason);
            });
            prop_assert_eq!(balancer.pick(&method, &fleet, wish, &mut silent), explained);
            for (index, reason) in reasons.into_iter().enumerate() {
                let Some(reason) = reason else {
                    return Err(TestCaseError::fail(format!("no reason for {:?}", fleet[index])));
                };
                let wins = matches!(
                    reason,
                    Reason::Sticky | Reason::ItsTurn | Reason::LeastBusy | Reason::FirstForKey
                        | Reason::LessBusyOfTwo | Reason::Quickest
                );
                prop_assert_eq!(wins, explained == Ok(index), "{:?}", reason);
            }
        }
    }

    /// least-connections never picks a busier server than it must.
    #[test]
    fn the_least_busy_is_picked(fleet in fleet(), seed: u64) {
        let mut fleet = fleet;
        fleet.iter_mut().for_each(|c| c.backup = false);
        let picked = Balancer::new(seed).pick(&Method::LeastConnections, &fleet, Wish::default(), &mut silent);
        if let Ok(index) = picked {
            let weight = |c: &Candidate| u64::from(c.weight * c.warmth);
            let picked = &fleet[index];
            let can = |c: &&Candidate| {
                c.fitness == picked.fitness && c.weight > 0 && !c.full && !c.tried
            };
            for other in fleet.iter().filter(can) {
                prop_assert!(
                    u64::from(picked.in_flight) * weight(other) <= u64::from(other.in_flight) * weight(picked)
                );
            }
        }
    }

    /// With nothing in hand, least-connections takes turns as round-robin does, exactly.
    #[test]
    fn the_idle_take_turns(weights in prop::collection::vec(1..20u32, 1..6)) {
        let fleet: Vec<_> = weights.iter().map(|&weight| Candidate::idle(0, weight)).collect();
        let (mut one, mut other) = (Balancer::new(0), Balancer::new(0));
        for _ in 0..100 {
            let one = one.pick(&Method::RoundRobin, &fleet, Wish::default(), &mut silent);
            let other = other.pick(&Method::LeastConnections, &fleet, Wish::default(), &mut silent);
            prop_assert_eq!(one, other);
        }
    }

    /// A sticky client stays where it is for as long as its server can be picked.
    #[test]
    fn a_sticky_client_stays(fleet in fleet(), method in methods(), at: prop::sample::Index) {
        prop_assume!(!fleet.is_empty());
        let at = at.index(fleet.len());
        let wish = Wish { sticky: Some(fleet[at].identity), ..Wish::default() };
        let mut balancer = Balancer::new(1);
        let plain = balancer.clone().pick(&method, &fleet, Wish::default(), &mut silent);
        let tier = |index: usize| (fleet[index].fitness, fleet[index].backup);
        let own = &fleet[at];
        let can = own.weight > 0 && !own.full && !own.tried
            && plain.is_ok_and(|index| {
                fleet[index].fitness == Fitness::Ejected && own.fitness == Fitness::Ejected
                    || tier(index) == tier(at)
            });
        let picked = balancer.pick(&method, &fleet, wish, &mut silent);
        prop_assert_eq!(picked == Ok(at) || !can, true);
        prop_assert_eq!(picked.is_ok(), plain.is_ok());
    }

    /// Whatever changes meanwhile, a weight counts from the next pick on: the shares of every
    /// further cycle are exact.
    #[test]
    fn a_new_weight_counts_from_the_next_pick(a in 1..30u32, b in 1..30u32, c in 1..30u32, before in 0..50) {
        let mut balancer = Balancer::new(0);
        let mut fleet = [Candidate::idle(1, a), Candidate::idle(2, b)];
        let mut pick = |fleet: &[Candidate]| {
            balancer.pick(&Method::RoundRobin, fleet, Wish::default(), &mut silent)
        };
        (0..before).for_each(|_| assert!(pick(&fleet).is_ok()));
        fleet[0].weight = c;
        let got = (0..b + c).filter(|_| pick(&fleet) == Ok(0)).count();
        prop_assert_eq!(got, c as usize);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// A server that starts slowly gets ever more, and never more than its weight says.
    #[test]
    fn a_slow_start_only_grows(weights in prop::collection::vec(1..20u32, 2..6), method in methods()) {
        let mut fleet: Vec<_> = (0..).zip(&weights)
            .map(|(index, &weight)| Candidate::idle(hashing::identity("a", &format!("{index}")), weight))
            .collect();
        let total: u32 = weights.iter().sum();
        let mut before = 0;
        for warmth in [1, 5, 10, 15, slow_start::WARM] {
            fleet[0].warmth = warmth;
            let mut balancer = Balancer::new(7);
            let picks = 4000u32;
            let got = (0..picks).filter(|n| {
                let key = Some(hashing::key(&n.to_be_bytes()));
                let wish = Wish { key, ..Wish::default() };
                balancer.pick(&method, &fleet, wish, &mut silent) == Ok(0)
            }).count();
            let got = u32::try_from(got).unwrap();
            // What chance, and the rest of a cycle, may add: four deviations, 127, at most.
            prop_assert!(got + 127 >= before, "{warmth}: {got} after {before}");
            if method == Method::RoundRobin {
                prop_assert!(got <= picks * weights[0] / total + weights[0] * slow_start::WARM);
            }
            before = got;
        }
    }
}

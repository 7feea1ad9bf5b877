//! Consistent weighted hashing: each key has its own order of the servers, and the first one that
//! can be picked gets it (rendezvous hashing).
//!
//! A server's place in a key's order depends on the key, its own identity and its own weight, and
//! on nothing else. So a server that leaves moves only its own keys, one that joins takes only
//! what becomes its own, the order of the servers in a file does not matter, and two proxies agree
//! without talking. For that the numbers must be the same everywhere: the hash is fixed, and the
//! logarithm is made of operations that every processor rounds alike.

use std::f64::consts::{LOG2_E, SQRT_2};

use super::{Fleet, Reason};

/// Picks the first server in the order of a key.
pub(super) fn pick(
    fleet: &Fleet<'_>,
    key: u64,
    note: &mut impl FnMut(usize, Reason),
) -> Option<usize> {
    let place = |index| place(key, fleet.candidate(index).identity, fleet.weight(index));
    let places = fleet.open().map(|index| (place(index), index));
    let (_, picked) = places.min_by(|(a, _), (b, _)| a.total_cmp(b))?;
    fleet.note_others(picked, Reason::LaterForKey, note);
    note(picked, Reason::FirstForKey);
    Some(picked)
}

/// The hash of a key.
pub fn key(bytes: &[u8]) -> u64 {
    hash([bytes])
}

/// What tells a server from all others: where it is, as configured and as found.
pub fn identity(address: &str, endpoint: &str) -> u64 {
    hash([address.as_bytes(), b"\0", endpoint.as_bytes()])
}

/// Where a server stands in the order of a key: the lowest is the first.
///
/// An exponential variable with the weight as its rate: of several such, each is the lowest as
/// often as its share of all weights says.
fn place(key: u64, identity: u64, weight: u32) -> f64 {
    minus_log2(mixed(key ^ mixed(identity))) / f64::from(weight)
}

/// FNV-1a, whose result is mixed once more: it alone is weak in its upper bits.
fn hash<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for &byte in pieces.into_iter().flatten() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mixed(hash)
}

/// The finaliser of `SplitMix64`: every bit of the result depends on every bit that goes in.
fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Takes bits for a fraction above 0 and up to 1, and returns minus its logarithm to base 2.
fn minus_log2(bits: u64) -> f64 {
    let numerator = (bits >> 11) + 1;
    let exponent = numerator.ilog2();
    let mut mantissa = numerator as f64 / (1u64 << exponent) as f64;
    let mut below = 53.0 - f64::from(exponent);
    if mantissa > SQRT_2 {
        mantissa /= 2.0;
        below -= 1.0;
    }
    // ln m = 2 (s + s³/3 + s⁵/5 + …), and s is at most 0.172 here.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let series = (0..8).rev().fold(0.0, |sum, term| {
        sum * square + 1.0 / f64::from(2 * term + 1)
    });
    below - 2.0 * s * series * LOG2_E
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::{Balancer, Candidate, Method, Wish};
    use proptest::prelude::*;

    fn picked(fleet: &[Candidate], key: u64) -> u64 {
        let wish = Wish {
            key: Some(key),
            ..Wish::default()
        };
        let mut balancer = Balancer::new(0);
        let index = balancer.pick(&Method::IpHash, fleet, wish, &mut |_, _| {});
        fleet[index.unwrap()].identity
    }

    fn fleet(weights: &[u32]) -> Vec<Candidate> {
        let server = |(index, &weight): (usize, &u32)| {
            Candidate::idle(identity("api:80", &format!("10.0.0.{index}:80")), weight)
        };
        weights.iter().enumerate().map(server).collect()
    }

    /// These values are a promise: proxies of different versions and machines must agree.
    #[test]
    fn the_numbers_are_the_same_everywhere() {
        assert_eq!(key(b"10.0.0.1"), 0x7fb1_b600_f0f5_c6d3);
        assert_eq!(identity("api:8000", "10.0.0.1:8000"), 0x1be8_b034_5401_f8a5);
        let servers = fleet(&[1, 2, 3]);
        let index = |identity| servers.iter().position(|s| s.identity == identity);
        let order: Vec<_> = (0..24)
            .filter_map(|n| index(picked(&servers, key(&[n]))))
            .collect();
        assert_eq!(
            order,
            [
                0, 1, 0, 2, 0, 2, 0, 2, 0, 2, 1, 2, 2, 1, 0, 2, 1, 2, 0, 1, 1, 1, 1, 0
            ]
        );
    }

    #[test]
    fn the_logarithm_is_one() {
        for bits in [
            0,
            1 << 11,
            1 << 40,
            1 << 63,
            u64::MAX / 3,
            u64::MAX - (1 << 11),
            u64::MAX,
        ] {
            let fraction = ((bits >> 11) + 1) as f64 / (1u64 << 53) as f64;
            assert!((minus_log2(bits) + fraction.log2()).abs() < 1e-12, "{bits}");
        }
    }

    #[test]
    fn shares_are_the_weights() {
        let servers = fleet(&[1, 3, 6, 0, 10]);
        let mut shares = [0; 5];
        for n in 0..20_000u32 {
            let identity = picked(&servers, key(&n.to_be_bytes()));
            shares[servers.iter().position(|s| s.identity == identity).unwrap()] += 1;
        }
        // Four deviations of a binomial: 1.1 % at most.
        for (got, expected) in shares.iter().zip([1000, 3000, 6000, 0, 10_000]) {
            assert!(i32::abs(got - expected) <= 290, "{shares:?}");
        }
    }

    proptest! {
        /// Whoever leaves or joins, and in whatever order the servers stand: a key moves only from
        /// a server that left or to one that joined.
        #[test]
        fn only_the_keys_of_who_left_or_joined_move(
            weights in prop::collection::vec(1..20u32, 2..10),
            who in any::<prop::sample::Index>(),
            keys in prop::collection::vec(any::<u64>(), 50),
            turned in any::<prop::sample::Index>(),
        ) {
            let all = fleet(&weights);
            let who = all[who.index(all.len())].identity;
            let mut rest: Vec<_> = all.iter().filter(|s| s.identity != who).copied().collect();
            rest.rotate_left(turned.index(weights.len() - 1));
            for key in keys {
                let (with, without) = (picked(&all, key), picked(&rest, key));
                prop_assert!(with == who || with == without);
                let mut out = all.clone();
                for server in out.iter_mut().filter(|s| s.identity == who) {
                    server.full = true;
                }
                prop_assert_eq!(picked(&out, key), without);
            }
        }

        /// A heavier server keeps every key that it had.
        #[test]
        fn a_weight_that_grows_only_takes(weights in prop::collection::vec(1..20u32, 2..6), keys in prop::collection::vec(any::<u64>(), 50)) {
            let before = fleet(&weights);
            let mut after = before.clone();
            after[0].weight += 5;
            for key in keys {
                let (old, new) = (picked(&before, key), picked(&after, key));
                prop_assert!(new == old || new == after[0].identity);
            }
        }
    }
}

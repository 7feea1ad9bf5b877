//! The attacks: one row each.

use std::pin::Pin;

use crate::attack;
use crate::target::Addresses;

/// What one attacker does until it is stopped.
pub(crate) type Way = fn(Addresses, Attacker) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// One of many attackers.
#[derive(Debug, Clone)]
pub(crate) struct Attacker {
    /// Which one it is.
    pub(crate) number: u32,
    /// Where it tells that it is in place.
    pub(crate) in_place: tokio::sync::mpsc::UnboundedSender<()>,
}

/// An attack.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// How many attackers there are, in full form.
    pub(crate) attackers: u32,
    pub(crate) way: Way,
}

/// All of them. A further one is a line here and a function in [`attack`].
pub(crate) const ATTACKS: [Attack; 7] = [
    Attack {
        name: "slow heads",
        attackers: 2_000,
        way: |to, who| Box::pin(attack::slow_head(to, who)),
    },
    Attack {
        name: "slow bodies",
        attackers: 500,
        way: |to, who| Box::pin(attack::slow_body(to, who)),
    },
    Attack {
        name: "slow readers of 1 MiB",
        attackers: 500,
        way: |to, who| Box::pin(attack::slow_reader(to, who)),
    },
    Attack {
        name: "half-open handshakes",
        attackers: 500,
        way: |to, who| Box::pin(attack::half_handshake(to, who)),
    },
    Attack {
        name: "idle connections",
        attackers: 10_000,
        way: |to, who| Box::pin(attack::idle(to, who)),
    },
    Attack {
        name: "random bytes",
        attackers: 200,
        way: |to, who| Box::pin(attack::random_bytes(to, who)),
    },
    Attack {
        name: "reset flood on HTTP/2",
        attackers: 100,
        way: |to, who| Box::pin(attack::reset_flood(to, who)),
    },
];

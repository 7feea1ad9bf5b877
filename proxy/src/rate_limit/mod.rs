//! How many requests may a client send on a route? A token bucket for each client.
//!
//! Pure: [`Rate::admit`] decides, with `now` as an argument; [`Table`] remembers, within bounds.
//! [`crate::gateway`] asks as soon as it knows the route, before a body is read or a server asked.
//!
//! A bucket holds `burst` requests and is filled at `requests` in each `per`. It is kept as one
//! number, the moment at which it will be full again (GCRA), so a client costs a few bytes and a
//! client whose bucket is full costs nothing at all.

mod table;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use table::Table;

/// How many requests each client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// So many requests …
    pub requests: u32,
    /// … in this time, for ever.
    pub per: Duration,
    /// So many at once after a rest.
    pub burst: u32,
}

/// A request is over the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The next one would be let in after this time.
    pub wait: Duration,
}

impl Rate {
    /// Lets a request in or refuses it.
    ///
    /// `full` is when the client's bucket will be full, in time since a fixed beginning, as `now`
    /// is; what is returned takes its place.
    pub fn admit(&self, full: Duration, now: Duration) -> Result<Duration, Refused> {
        let after = self.settled(full, now) + self.refill();
        match after.checked_sub(now + self.capacity()) {
            Some(wait) if !wait.is_zero() => Err(Refused { wait }),
            _ => Ok(after),
        }
    }

    /// When a bucket will be full that was kept under another rate: at worst it is empty now.
    pub fn settled(&self, full: Duration, now: Duration) -> Duration {
        full.clamp(now, now + self.capacity())
    }

    /// The time in which an empty bucket is filled.
    fn capacity(&self) -> Duration {
        self.refill() * self.burst
    }

    /// The time in which one request is earned, rounded up: the rate is never exceeded.
    fn refill(&self) -> Duration {
        let nanos = self
            .per
            .as_nanos()
            .div_ceil(u128::from(self.requests.max(1)));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Refused {
    /// Whole seconds after which a request is let in, at least one: the value of `Retry-After`.
    pub fn retry_after(self) -> u32 {
        let seconds = self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0);
        u32::try_from(seconds.max(1)).unwrap_or(u32::MAX)
    }
}

/// The limit of a route, and where its clients stand.
#[derive(Debug, Clone)]
pub struct Limit {
    /// How many requests each client may send.
    pub rate: Rate,
    /// Where they stand; kept when the configuration is read again.
    pub clients: Arc<Table>,
}

impl Limit {
    /// Lets a request of a client in, or refuses it.
    pub fn admit(&self, client: IpAddr, now: Instant) -> Result<(), Refused> {
        self.clients.admit(self.rate, network(client), now)
    }

    /// Whether a request would be let in; it is not counted.
    pub fn would_admit(&self, client: IpAddr, now: Instant) -> Result<(), Refused> {
        self.clients.look(self.rate, network(client), now)
    }
}

/// What counts as one client: an IPv4 address, or the /64 that one customer gets in IPv6.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            Ipv6Addr::from_bits(network).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests;

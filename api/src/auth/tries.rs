//! How often a password may be wrong. Pure; the counts are in the database, one for all instances together.
//!
//! Counted are a name tried from an address, and an address. A name alone is not: anybody could then lock
//! somebody out. Tries that run at once are all judged by the count before them; [`super::password`] bounds them.

use std::net::IpAddr;
use std::time::Duration;

use super::secret::{Digest, digest};

/// For how long failures count, from the first one on, in seconds.
pub const WINDOW_S: f64 = 300.0;
/// How often a name may be tried from one address in this time.
const OF_A_NAME: i32 = 10;
/// How often any name may be tried from one address: many people may share one.
const OF_AN_ADDRESS: i32 = 100;

/// What is counted of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The name, tried from this address.
    pub name: Digest,
    /// The address.
    pub address: Digest,
}

/// The failures of one key within the window, and how many seconds of it are left.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Count {
    /// How many.
    pub failures: i32,
    /// Until the window is over.
    pub left_s: f64,
}

/// The failures that count against a try.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Failures {
    /// Of the name from this address.
    pub of_name: Count,
    /// Of the address.
    pub of_address: Count,
}

/// Returns the keys under which a try is counted. An IPv6 client has a whole /64 to choose addresses from.
#[must_use]
pub fn keys(name: &str, address: Option<IpAddr>) -> Keys {
    let network = match address.map(|address| address.to_canonical()) {
        None => Vec::new(),
        Some(IpAddr::V4(v4)) => v4.octets().to_vec(),
        Some(IpAddr::V6(v6)) => v6.octets()[..8].to_vec(),
    };
    Keys {
        name: digest(&[b"name", &network, name.as_bytes()]),
        address: digest(&[b"address", &network]),
    }
}

/// Returns how long to wait before the next try; `None`: it may be made now.
#[must_use]
pub fn wait(failures: Failures) -> Option<Duration> {
    let over = |count: Count, limit| (count.failures >= limit).then_some(count.left_s);
    let name = over(failures.of_name, OF_A_NAME);
    let address = over(failures.of_address, OF_AN_ADDRESS);
    let left_s = name.into_iter().chain(address).reduce(f64::max)?;
    Some(Duration::from_secs_f64(left_s.clamp(1.0, WINDOW_S).ceil()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(failures: i32, left_s: f64) -> Count {
        Count { failures, left_s }
    }

    #[test]
    fn the_limit_of_a_name_or_of_an_address_says_how_long() {
        for (of_name, of_address, expected) in [
            (count(0, 0.0), count(0, 0.0), None),
            (count(9, 200.0), count(99, 200.0), None),
            (count(10, 199.2), count(10, 250.0), Some(200)),
            (count(0, 0.0), count(100, 17.0), Some(17)),
            (count(10, 20.0), count(100, 17.0), Some(20)),
            (count(10, -3.0), count(0, 0.0), Some(1)),
            (count(10, 1e9), count(0, 0.0), Some(300)),
        ] {
            let failures = Failures {
                of_name,
                of_address,
            };
            assert_eq!(
                wait(failures),
                expected.map(Duration::from_secs),
                "{failures:?}"
            );
        }
    }

    #[test]
    fn addresses_of_one_client_are_counted_together_and_no_others() {
        let key = |text: &str| keys("a", text.parse().ok()).address;
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_ne!(keys("a", None).name, keys("b", None).name);
    }
}

//! What is to be simulated: the servers, the requests, and what happens to the servers when.

use std::str::FromStr;
use std::time::Duration;

use crate::balance::Method;
use crate::config::duration;
use crate::upstream::QueueSettings;

/// What is to be simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// How servers are picked.
    pub method: Method,
    /// Clients come back with a sticky cookie.
    pub sticky: bool,
    /// How long a server that came up takes to its whole weight.
    pub slow_start: Duration,
    /// Where requests wait when every server has as many as it may.
    pub queue: QueueSettings,
    /// The servers.
    pub servers: Vec<Server>,
    /// Requests per second, evenly spaced.
    pub rate: f64,
    /// For how long requests come.
    pub length: Duration,
    /// The share of them that are writes without a key, never sent twice.
    pub writes: f64,
    /// How many different clients send them.
    pub clients: u32,
    /// What happens to the servers.
    pub happenings: Vec<Happening>,
    /// Decides everything that is left to chance.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            method: Method::RoundRobin,
            sticky: false,
            slow_start: Duration::ZERO,
            queue: QueueSettings::default(),
            servers: vec![Server::new("a", 4), Server::new("b", 6)],
            rate: 100.0,
            length: Duration::from_secs(10),
            writes: 0.0,
            clients: 100,
            happenings: Vec::new(),
            seed: 1,
        }
    }
}

/// One server.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// What it is called.
    pub name: String,
    /// Its share among the others.
    pub weight: u32,
    /// It is there for when no other can be picked.
    pub backup: bool,
    /// How many requests the proxy may have there at a time; 0 is no limit.
    pub max_connections: u32,
    /// How long it works on a request, give or take a fifth.
    pub latency: Duration,
    /// How many requests it works on at a time; 0 is any number. The others wait, in turn, and so
    /// do health checks.
    pub slots: u32,
}

impl Server {
    /// A server that answers after 20 ms, however many ask.
    pub fn new(name: &str, weight: u32) -> Self {
        Self {
            name: name.to_owned(),
            weight,
            backup: false,
            max_connections: 0,
            latency: Duration::from_millis(20),
            slots: 0,
        }
    }
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(',');
        let head = words.next().unwrap_or_default();
        let (name, weight) = head.split_once(':').unwrap_or((head, "1"));
        let weight = number(weight, 1000).ok_or_else(|| {
            format!("expected a weight from 0 to 1000 behind {name:?}, got {weight:?}")
        })?;
        if name.is_empty() || name.len() > 20 || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(format!(
                "expected a name of up to 20 letters and digits, got {name:?}"
            ));
        }
        if name == "all" {
            return Err(
                "no server can be called \"all\": an event for all of them means that".into(),
            );
        }
        let mut server = Self::new(name, weight);
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let set = match (key, value) {
                ("backup", "") => {
                    server.backup = true;
                    Some(())
                }
                ("max", _) => some(value).map(|most| server.max_connections = most),
                ("slots", _) => some(value).map(|slots| server.slots = slots),
                ("latency", _) => duration(value).map(|latency| server.latency = latency),
                _ => None,
            };
            set.ok_or_else(|| {
                format!(
                    "expected latency=20ms, slots=32, max=32 (both from 1 to 1000000; without them \
                     there is no limit) or backup, got {word:?}"
                )
            })?;
        }
        Ok(server)
    }
}

/// Something that happens to a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// When, from the beginning.
    pub at: Duration,
    /// The server's name, or `all`.
    pub server: String,
    /// What.
    pub what: What,
}

/// How long a server takes to say that its database refuses connections.
const AT_ONCE: Duration = Duration::from_millis(1);

/// What can happen to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Its process ends at once, and connections to it are refused.
    Dies,
    /// It is there again, and all that was wrong with it is over.
    Returns,
    /// It stands still; the system accepts connections for it.
    Pauses,
    /// It goes on with what it had in hand.
    Resumes,
    /// It takes this much longer for each request. Its health checks do not suffer.
    Slows(Duration),
    /// It answers with 500.
    Fails,
    /// It answers with 503 after this time, and says that the database is away.
    LosesDatabase(Duration),
    /// It says that it is stopping, and finishes what it has.
    Drains,
    /// Its weight is changed.
    Weighs(u32),
}

impl FromStr for Happening {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected TIME:SERVER:WHAT such as 3s:a:dies, got {text:?}");
        let mut words = text.splitn(3, ':');
        let mut word = || words.next().ok_or_else(expected);
        let at = duration(word()?).ok_or_else(expected)?;
        let server = word()?.to_owned();
        let what = word()?.parse()?;
        Ok(Self { at, server, what })
    }
}

impl FromStr for What {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (verb, value) = text.split_once('=').unwrap_or((text, ""));
        let what = match (verb, value) {
            ("dies", "") => Some(Self::Dies),
            ("returns", "") => Some(Self::Returns),
            ("pauses", "") => Some(Self::Pauses),
            ("resumes", "") => Some(Self::Resumes),
            ("fails", "") => Some(Self::Fails),
            ("loses-database", "") => Some(Self::LosesDatabase(AT_ONCE)),
            ("loses-database", _) => duration(value).map(Self::LosesDatabase),
            ("drains", "") => Some(Self::Drains),
            ("slows", _) => duration(value).map(Self::Slows),
            ("weighs", _) => number(value, 1000).map(Self::Weighs),
            _ => None,
        };
        what.ok_or_else(|| {
            format!(
                "expected dies, returns, pauses, resumes, slows=2s, fails, loses-database, \
                 loses-database=1500ms, drains or weighs=8, got {text:?}"
            )
        })
    }
}

/// A number of things of which there is at least one.
fn some(text: &str) -> Option<u32> {
    number(text, 1_000_000).filter(|&number| number > 0)
}

fn number(text: &str, most: u32) -> Option<u32> {
    text.parse().ok().filter(|&number| number <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        let plain: Server = "a".parse().unwrap();
        assert_eq!(plain, Server::new("a", 1));
        let full: Server = "b:6,latency=5ms,slots=32,max=40,backup".parse().unwrap();
        assert_eq!((full.weight, full.slots, full.max_connections), (6, 32, 40));
        assert!(full.backup && full.latency == Duration::from_millis(5));
        for wrong in [
            "",
            "a:x",
            "a:1001",
            "a b",
            "a,latency",
            "a,slots=-1",
            "a,slots=0",
            "a,max=0",
            "all:1",
            "a,backup=1",
            "a,x=1",
        ] {
            assert!(wrong.parse::<Server>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn happenings() {
        let slow: Happening = "3s:a:slows=2s".parse().unwrap();
        assert_eq!(slow.what, What::Slows(Duration::from_secs(2)));
        assert_eq!(
            (slow.at, slow.server.as_str()),
            (Duration::from_secs(3), "a")
        );
        for wrong in [
            "",
            "3s",
            "3s:a",
            "3:a:dies",
            "3s:a:explodes",
            "3s:a:slows",
            "3s:a:dies=1",
            "3s:a:loses-database=2",
        ] {
            assert!(wrong.parse::<Happening>().is_err(), "{wrong}");
        }
    }
}

use std::borrow::Cow;
use std::path::Path;

use super::*;
use crate::config::Config;
use crate::events::{Event, Events};
use crate::upstream::server::Server;

const ADDRESS: &str = "api:8000";

/// An upstream of one name that nobody looks up, and what it is told of that name.
struct Names {
    upstream: Arc<Upstream>,
    events: Arc<Events>,
    address: Address,
    polls: Polls,
}

impl Names {
    fn new() -> Self {
        let text = format!(
            "routes = [{{ path = '/', upstream = 'u' }}]\n[upstreams.u]\nservers = [{{ address = '{ADDRESS}' }}]\n"
        );
        let config = Config::parse(&text, Path::new("proxy.toml")).unwrap();
        let settings = config.upstreams[0].clone();
        let address = settings.servers[0].address.clone();
        let events = Arc::<Events>::default();
        let upstream = Upstream::new(settings, Arc::clone(&events), Instant::now());
        Self {
            upstream: Arc::new(upstream),
            events,
            address,
            polls: Polls::default(),
        }
    }

    /// Takes in a look-up and returns the servers that there are then.
    fn poll(&mut self, found: Found) -> Vec<Arc<Server>> {
        heed(&self.upstream, &self.address, &mut self.polls, found);
        self.upstream.servers().to_vec()
    }

    fn told(&self) -> Vec<(&'static str, &'static str)> {
        let (events, _) = self.events.since(0);
        let told = events.iter();
        let cause = |event: &Event| match event.cause {
            Cow::Borrowed(fixed) => fixed,
            Cow::Owned(_) => "not of discovery",
        };
        told.map(|event| (event.what.name(), cause(event)))
            .collect()
    }
}

fn hosts(hosts: &[u8]) -> Found {
    let ip = |last: &u8| IpAddr::from([127, 0, 0, *last]);
    endpoints(hosts.iter().map(ip).collect(), 1)
}

fn is_same(one: &[Arc<Server>], other: &[Arc<Server>]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(one, other)| Arc::ptr_eq(one, other))
}

#[test]
fn a_name_server_in_trouble_has_not_said_that_there_is_no_such_name() {
    use LookupErrorKind::{Again, Fail, NoData, NoName, System};
    for kind in [NoName, NoData] {
        assert_eq!(not_found(kind), Found::Nothing);
    }
    // What SERVFAIL, REFUSED and a server that does not answer come to.
    for kind in [Again, Fail, System] {
        assert_eq!(not_found(kind), Found::Unknown);
    }
}

#[tokio::test]
async fn the_last_good_set_is_kept_while_nobody_can_say() {
    let mut names = Names::new();
    assert_eq!(names.poll(Found::Unknown).len(), 0);
    let found = names.poll(hosts(&[2, 1, 2]));
    let at: Vec<&str> = found
        .iter()
        .map(|server| &**server.endpoint_text())
        .collect();
    assert_eq!(at, ["127.0.0.1:1", "127.0.0.2:1"]);
    for _ in 0..100 {
        assert!(is_same(&names.poll(Found::Unknown), &found));
    }
    // One that is there again in between was never gone.
    for _ in 0..10 {
        assert!(is_same(&names.poll(Found::Nothing), &found));
        assert!(is_same(&names.poll(Found::Unknown), &found));
        assert!(is_same(&names.poll(hosts(&[1, 2])), &found));
    }
    let why = ("server-found", "its name resolves to it");
    assert_eq!(names.told(), [why, why]);
}

#[tokio::test]
async fn a_name_that_is_gone_for_two_polls_is_drained() {
    let mut names = Names::new();
    let found = names.poll(hosts(&[1, 2]));
    let in_hand = found[0].take().slot.open(None, Instant::now());
    assert_eq!(names.poll(Found::Nothing).len(), 2, "once is not enough");
    // That nobody could say in between makes it neither better nor worse.
    assert_eq!(names.poll(Found::Unknown).len(), 2);
    assert_eq!(names.poll(Found::Nothing).len(), 0);
    assert_eq!(names.upstream.unresolved(), [ADDRESS]);
    assert!(found.iter().all(|server| server.is_retired()));
    assert_eq!(found[0].in_flight(), 1, "what it has in hand goes on");
    assert_eq!(names.upstream.leaving().len(), 2);
    let gone = ("server-gone", "its name no longer resolves to it");
    assert_eq!(names.told()[2..], [gone, gone]);

    // An address that comes back begins afresh.
    let again = names.poll(hosts(&[1]));
    assert_eq!(again.len(), 1);
    assert!(!Arc::ptr_eq(&again[0], &found[0]) && again[0].in_flight() == 0);
    drop(in_hand);
    assert_eq!(found[0].in_flight(), 0);
}

#[tokio::test]
async fn an_address_that_is_left_out_of_an_answer_leaves_at_once() {
    let mut names = Names::new();
    let found = names.poll(hosts(&[1, 2]));
    let left = names.poll(hosts(&[2]));
    assert!(is_same(&left, &found[1..]));
    assert!(found[0].is_retired() && !found[1].is_retired());
}

//! The virtual world: carries events from one moment to the next.
//!
//! What is an asynchronous task in the proxy is a series of events here.

use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use slab::Slab;

use super::laws::Laws;
use super::outcome::{Outcome, Served};
use super::plan::Plan;
use super::sending::{End, Request};
use super::server::{Job, Simulated};
use crate::balance::Method;
use crate::clients::Clients;
use crate::figures::RouteFigures;
use crate::live::Live;
use crate::route::Table;
use crate::upstream::health::Probe;
use crate::upstream::server::{Endpoint, Server};
use crate::upstream::{ServerSettings, Settings, Upstream, probe, silence};

/// When the first request comes: the servers have passed their first check by then.
pub(super) const FIRST: Duration = Duration::from_millis(10);
/// How long what is in hand may take at the end.
const LAST: Duration = Duration::from_secs(60);
/// Something that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Arrive,
    Done(usize, Job),
    /// A request has waited for a place as long as it may.
    Impatient(usize, u64),
    Check(usize),
    Checked(usize, Probe, Duration, Urgent),
    Look,
    Happens(usize),
}

/// A check out of turn, of a server that may be dead.
pub(super) type Urgent = bool;

/// An event and its moment; the earliest is the greatest, for the heap.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    at: Duration,
    number: u64,
    event: Event,
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// All that there is, virtual time included.
pub(super) struct World<'p> {
    pub(super) plan: &'p Plan,
    pub(super) begin: Instant,
    pub(super) now: Duration,
    events: BinaryHeap<Due>,
    pub(super) number: u64,
    pub(super) dice: Rng,
    pub(super) live: Arc<Live>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) settings: Arc<Settings>,
    pub(super) servers: Vec<Arc<Server>>,
    pub(super) index: HashMap<u64, usize>,
    pub(super) simulated: Vec<Simulated>,
    pub(super) requests: Slab<Request>,
    /// The requests that wait for a place, in line.
    pub(super) waiting: Vec<usize>,
    pub(super) serial: u64,
    /// Writes that have ended for the client: whether well, and how often they were carried out.
    pub(super) ended: HashMap<u64, (End, u32)>,
    pub(super) cookies: Vec<Option<u64>>,
    pub(super) up: Vec<bool>,
    pub(super) laws: Laws,
    pub(super) outcome: Outcome,
}

/// Runs a simulation to its end; `begin` is only what virtual time is counted from.
pub fn run(plan: &Plan, begin: Instant) -> Outcome {
    let mut world = World::new(plan, begin);
    for index in 0..world.servers.len() {
        world.schedule(Duration::ZERO, Event::Check(index));
    }
    for (index, happening) in plan.happenings.iter().enumerate() {
        world.schedule(FIRST + happening.at, Event::Happens(index));
    }
    world.schedule(FIRST, Event::Arrive);
    world.schedule(silence::EVERY, Event::Look);
    while let Some(due) = world.events.pop() {
        world.now = due.at;
        let sending = due.at < FIRST + plan.length;
        if !sending && (world.requests.is_empty() || due.at > FIRST + plan.length + LAST) {
            break;
        }
        world.handle(due.event, sending);
        world.let_in();
    }
    world.outcome
}

impl<'p> World<'p> {
    fn new(plan: &'p Plan, begin: Instant) -> Self {
        let settings = settings(plan);
        let upstream = Arc::new(Upstream::new(settings, Arc::default(), begin));
        let settings = upstream.settings();
        let servers = settings
            .servers
            .iter()
            .zip(&plan.servers)
            .filter_map(|(server, named)| {
                let endpoint = Endpoint::Unix(format!("/{}", named.name).into());
                Server::new(server, endpoint, &settings.timeouts, begin).ok()
            })
            .collect();
        upstream.stand_in(servers, plan.seed);
        let servers = upstream.servers().to_vec();
        let live = Live {
            routes: Table::new([]),
            unrouted: RouteFigures::new(""),
            counted: Vec::new(),
            clients: Clients::default(),
            admin_token_file: None,
            redirect: None,
            upstreams: vec![Arc::clone(&upstream)],
        };
        let steady = plan.slow_start.is_zero();
        let unlimited = plan
            .servers
            .iter()
            .all(|server| server.max_connections == 0);
        let exact = steady && (unlimited || plan.method != Method::RoundRobin);
        let index = servers.iter().enumerate();
        Self {
            begin,
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            number: 0,
            dice: Rng::with_seed(plan.seed),
            live: Arc::new(live),
            index: index.map(|(at, server)| (server.identity(), at)).collect(),
            simulated: plan.servers.iter().map(Simulated::new).collect(),
            requests: Slab::new(),
            waiting: Vec::new(),
            serial: 0,
            ended: HashMap::new(),
            cookies: vec![None; usize::try_from(plan.clients).unwrap_or(1).max(1)],
            up: vec![false; servers.len()],
            laws: Laws::new(&plan.method, exact, plan.sticky, plan.clients.max(1)),
            outcome: Outcome {
                servers: vec![Served::default(); servers.len()],
                ..Outcome::default()
            },
            servers,
            settings,
            upstream,
            plan,
        }
    }

    pub(super) fn schedule(&mut self, at: Duration, event: Event) {
        self.number += 1;
        let number = self.number;
        self.events.push(Due { at, number, event });
    }

    pub(super) fn instant(&self) -> Instant {
        self.begin + self.now
    }

    fn handle(&mut self, event: Event, sending: bool) {
        match event {
            Event::Arrive if sending => self.arrive(),
            Event::Arrive => {}
            Event::Done(index, job) => self.done(index, job),
            Event::Impatient(key, serial) => self.lose_patience(key, serial),
            Event::Check(index) => {
                let limit = self.settings.health.timeout;
                self.ask(index, limit, false);
                let server = &self.servers[index];
                let pause = probe::pause(server, &self.settings.health, self.dice.f64());
                self.schedule(self.now + pause, Event::Check(index));
            }
            Event::Checked(index, probe, asked, urgent) => {
                self.checked(index, probe, asked, urgent)
            }
            Event::Look => self.look(),
            Event::Happens(which) => {
                let happening = &self.plan.happenings[which];
                for index in 0..self.servers.len() {
                    if [&self.plan.servers[index].name, "all"].contains(&happening.server.as_str())
                    {
                        self.happens(index, happening.what);
                    }
                }
            }
        }
    }
}

fn settings(plan: &Plan) -> Settings {
    let server = |server: &super::plan::Server| ServerSettings {
        address: crate::upstream::Address::Socket(format!("/{}", server.name).into()),
        weight: server.weight,
        backup: server.backup,
        down: false,
        max_connections: server.max_connections,
    };
    Settings {
        method: plan.method.clone(),
        sticky: plan.sticky.then(|| "lb".into()),
        slow_start: plan.slow_start,
        queue: plan.queue,
        servers: plan.servers.iter().map(server).collect(),
        ..Settings::named("simulated")
    }
}

//! The stack that all scenarios share, and what they see of it from outside.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use stack::ask::{Address, Answer, NoAnswer, ask, get, request};
use stack::probe::Authorization;
use stack::probe::scenario::Stage;
use tokio::runtime::Runtime;

use crate::compose::{self, Compose};
use crate::driver::{Call, Driver, Kind, Verb, free_address};
use crate::native::{self, Native};

/// A second, so that bounds can be read.
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// A minute.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// Back in rotation within 2 s, says the design; tests allow five times that.
pub(crate) const BACK: Duration = Duration::from_secs(10);

/// The runtime, for waiting.
pub(crate) type Clock = &'static Waiting;

/// Runs futures for scenarios, which are plain functions.
pub(crate) struct Waiting(Runtime);

impl Waiting {
    fn start() -> Clock {
        Box::leak(Box::new(Self(Runtime::new().unwrap())))
    }

    /// Runs a future to its end.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.0.block_on(work)
    }

    /// Waits until a condition holds; panics when it does not within the bound.
    pub(crate) fn eventually(
        &self,
        bound: Duration,
        what: &str,
        mut condition: impl FnMut() -> bool,
    ) {
        let begin = Instant::now();
        while !condition() {
            assert!(begin.elapsed() < bound, "not within {bound:?}: {what}");
            self.block_on(async { tokio::time::sleep(Duration::from_millis(20)).await });
        }
    }
}

/// The stack under test.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Clock,
    driver: Box<dyn Driver>,
}

impl World {
    /// Builds what is missing for a stack that is not up yet.
    pub(crate) fn new(kind: Kind) -> Self {
        let clock = Waiting::start();
        Self::of(free_address(), clock, |address| match kind {
            Kind::Native => {
                native::build_programs();
                Box::new(Native::new(address, clock))
            }
            Kind::Compose => {
                compose::build_images();
                Box::new(Compose::new(address))
            }
        })
    }

    /// A stack of its own that listens there.
    pub(crate) fn of(
        address: SocketAddr,
        clock: Clock,
        driver: impl FnOnce(SocketAddr) -> Box<dyn Driver>,
    ) -> Self {
        Self {
            address,
            clock,
            driver: driver(address),
        }
    }

    /// Brings it up.
    pub(crate) fn up(&self) {
        self.driver.up();
    }

    /// Removes all traces of the stack.
    pub(crate) fn destroy(&self) {
        self.driver.destroy();
    }

    /// Waits until both instances take turns, as every scenario finds and leaves the stack.
    pub(crate) fn settle(&self) {
        let both = BTreeSet::from(["api2_1".to_owned(), "api_1".to_owned()]);
        if self.names(20) != both {
            self.driver.restore();
            self.eventually(MINUTE, "both instances take turns", || {
                self.names(20) == both
            });
        }
    }

    pub(crate) fn down_and_up(&self) {
        self.driver.down();
        self.driver.up();
        self.settle();
    }

    pub(crate) fn stop(&self, service: &str) {
        self.driver.verb(Verb::Stop, service);
    }

    pub(crate) fn start(&self, service: &str) {
        self.driver.verb(Verb::Start, service);
    }

    pub(crate) fn verb(&self, verb: Verb, service: &str) {
        self.driver.verb(verb, service);
    }

    /// Has the database run statements, all of them or none; says whether it did.
    pub(crate) fn sql(&self, statements: &str) -> bool {
        self.driver.sql(statements)
    }

    pub(crate) fn scale(&self, service: &str, count: usize) {
        self.driver.scale(service, count);
    }

    pub(crate) fn rollout(&self) {
        self.driver.rollout();
    }

    /// How the administrator is let in.
    pub(crate) fn authorization(&self) -> Authorization {
        self.driver.authorization()
    }

    /// The administrator's name and password, with a colon between them.
    pub(crate) fn admin(&self) -> String {
        let authorization = self.authorization().header();
        let pair = authorization.to_str().unwrap().strip_prefix("Basic ");
        String::from_utf8(STANDARD.decode(pair.unwrap()).unwrap()).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        self.driver.log()
    }

    pub(crate) fn births(&self, services: &[&str]) -> Vec<String> {
        let births = services.iter().flat_map(|name| self.driver.births(name));
        births.collect()
    }

    pub(crate) fn program(&self, call: &Call<'_>) -> std::process::Output {
        self.driver.program(call)
    }

    /// The stack as the scenarios of `stack probe` strike it.
    pub(crate) fn stage(&self) -> Stage {
        self.driver.stage()
    }

    /// The state of each server in the proxy's own words, where they can be had.
    pub(crate) fn server_states(&self) -> Option<Vec<Value>> {
        let status = self.driver.status()?;
        let upstreams = status["upstreams"].as_array().unwrap();
        let servers = upstreams
            .iter()
            .flat_map(|upstream| upstream["servers"].as_array().unwrap());
        Some(servers.map(|server| server["state"].clone()).collect())
    }

    pub(crate) fn eventually(&self, bound: Duration, what: &str, condition: impl FnMut() -> bool) {
        self.clock.eventually(bound, what, condition);
    }

    /// Asks with GET; there must be an answer.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.try_get(path)
            .unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// Asks with GET.
    pub(crate) fn try_get(&self, path: &str) -> Result<Answer, NoAnswer> {
        self.ask(Method::GET, path, Bytes::new(), None)
    }

    /// Asks with GET, and gives up soon: a request that has nowhere else to go waits for its server.
    pub(crate) fn try_get_soon(&self, path: &str) -> Result<Answer, NoAnswer> {
        let address = Address::Tcp(self.address);
        self.clock.block_on(get(&address, path, SECOND))
    }

    /// Asks with GET as somebody who wants this type.
    pub(crate) fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.ask(Method::GET, path, Bytes::new(), Some(accept))
            .unwrap()
    }

    /// Sends a method with a JSON body.
    pub(crate) fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.ask(method, path, body.into(), None).unwrap()
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        accept: Option<&str>,
    ) -> Result<Answer, NoAnswer> {
        let address = Address::Tcp(self.address);
        let is_write = method != Method::GET;
        let mut request = request(method, &address, path, body).unwrap();
        if is_write {
            let authorization = self.authorization().header();
            request.headers_mut().insert("authorization", authorization);
        }
        if let Some(accept) = accept {
            let accept = http::HeaderValue::from_str(accept).unwrap();
            request.headers_mut().insert("accept", accept);
        }
        self.clock.block_on(ask(&address, request, 35 * SECOND))
    }

    /// Adds a song with this name; returns the answer.
    pub(crate) fn add_song(&self, name: &str) -> Answer {
        let song = json!({ "song": name, "singer": "e2e" });
        self.send(Method::POST, "/api/music/", &song)
    }

    /// Who answers N requests, one after another; all of them must be answered with 200.
    pub(crate) fn turns(&self, count: usize) -> Vec<String> {
        (0..count)
            .map(|_| {
                let answer = self.get("/api/music/");
                assert_eq!(answer.status, 200, "{}", answer.text());
                name_of(&answer)
            })
            .collect()
    }

    /// The names among N answers, whatever their status; empty when one is missing.
    pub(crate) fn names(&self, count: usize) -> BTreeSet<String> {
        let answers: Result<Vec<_>, _> = (0..count).map(|_| self.try_get("/api/music/")).collect();
        let answers = answers.unwrap_or_default();
        let good = answers.iter().all(|answer| answer.status == 200);
        let named = answers.iter().map(name_of);
        if good {
            named.collect()
        } else {
            BTreeSet::new()
        }
    }

    /// Waits until none of 10 answers comes from this instance.
    pub(crate) fn leaves_rotation(&self, instance: &str) {
        self.eventually(BACK, &format!("{instance} leaves"), || {
            let names = self.names(10);
            !names.is_empty() && !names.contains(instance)
        });
    }

    /// Waits until this instance answers again.
    pub(crate) fn returns(&self, instance: &str) {
        self.eventually(BACK, &format!("{instance} is back"), || {
            self.try_get("/api/music/")
                .is_ok_and(|answer| answer.status == 200 && name_of(&answer) == instance)
        });
    }
}

/// The instance's name; Compose v2 writes `api-1` where 1.29 and `stack` write `api_1`.
pub(crate) fn name_of(answer: &Answer) -> String {
    answer.instance().replace('-', "_")
}

//! All recorded requests again, through the proxy, with two instances that take turns.
//!
//! The original let nobody in who was not signed in, so this is a stack of its own.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use http::{HeaderValue, Method};
use http_body_util::Full;
use stack::ask::{Address, Answer, NoAnswer, ask, request};

use crate::Scenario;
use crate::compose::Compose;
use crate::driver::{Kind, Verb, free_address};
use crate::native::Native;
use crate::transcript::{self, Action, Conversation, Seen};
use crate::world::{MINUTE, SECOND, World, name_of};

const ENVIRONMENT: &[(&str, &str)] = &[("API_PERMISSION", "authenticated")];
/// The account of the original, at every address that is not open to all.
const ADMIN: &str = "Basic YWRtaW46cGFzc3dvcmQxMjM=";

/// The scenarios of this file.
pub(crate) fn scenarios(kind: Kind) -> &'static [(&'static str, Scenario)] {
    match kind {
        Kind::Native => &[("requests_are_answered_as_they_were", natively)],
        Kind::Compose => &[("requests_are_answered_as_they_were", on_compose)],
    }
}

fn natively(world: &World) {
    let clock = world.clock;
    send_all(&World::of(free_address(), clock, |address| {
        Box::new(Native::with(address, clock, ENVIRONMENT))
    }));
}

fn on_compose(world: &World) {
    send_all(&World::of(free_address(), world.clock, |address| {
        Box::new(Compose::with(address, ENVIRONMENT))
    }));
}

fn send_all(stack: &World) {
    let outcome = catch_unwind(AssertUnwindSafe(|| check(stack)));
    // Whatever happened, nothing of it stays.
    stack.destroy();
    outcome.unwrap();
}

fn check(stack: &World) {
    stack.up();
    both_take_turns(stack);
    let mut conversation = Conversation::default();
    let mut names = BTreeSet::new();
    for case in transcript::cases() {
        for action in &case.actions {
            act(stack, action);
        }
        let expected = case.by_proxy.as_ref().or(case.by_api.as_ref());
        let expected = expected.unwrap_or_else(|| panic!("{}: no answer", case.name));
        let request = conversation
            .request(&case)
            .map(|body| Full::new(Bytes::from(body)));
        match send(stack, request) {
            Err(error) => conversation.no_answer(&case, &error),
            Ok(answer) => {
                names.insert(name_of(&answer));
                let seen = Seen {
                    status: answer.status.as_u16(),
                    headers: &answer.headers,
                    body: &answer.body,
                };
                conversation.judge(&case, expected, &seen);
            }
        }
    }
    conversation.end(266);
    let all = ["api2_1", "api_1", "proxy"].map(str::to_owned);
    assert_eq!(names, BTreeSet::from(all));
}

fn act(stack: &World, action: &Action) {
    match action {
        Action::Sql(statements) => assert!(stack.sql(statements), "{statements}"),
        Action::Refused(statement) => assert!(!stack.sql(statement), "{statement}"),
        Action::DatabaseDown => {
            stack.stop("db");
            stack.eventually(MINUTE, "no database", || status(stack) == Some(503));
        }
        Action::DatabaseUp => {
            stack.start("db");
            stack.eventually(MINUTE, "the database, for both", || {
                (0..10).all(|_| status(stack) == Some(200))
            });
        }
        Action::Kill(instance) => stack.verb(Verb::Kill, instance),
        Action::Start(instance) => {
            stack.start(instance);
            let name = format!("{instance}_1");
            stack.eventually(MINUTE, &name, || {
                open(stack).is_ok_and(|answer| name_of(&answer) == name)
            });
        }
    }
}

fn both_take_turns(stack: &World) {
    let both = BTreeSet::from(["api2_1", "api_1"].map(str::to_owned));
    stack.eventually(MINUTE, "both instances take turns", || {
        let answers =
            (0..10).map(|_| open(stack).map_or_else(|_| String::new(), |answer| name_of(&answer)));
        answers.collect::<BTreeSet<_>>() == both
    });
}

/// Asks what is open to all.
fn open(stack: &World) -> Result<Answer, NoAnswer> {
    stack.try_get("/api/")
}

/// Asks for what is in the database.
fn status(stack: &World) -> Option<u16> {
    let address = Address::Tcp(stack.address);
    let mut request = request(Method::GET, &address, "/api/music/", Bytes::new()).unwrap();
    let admin = HeaderValue::from_static(ADMIN);
    request.headers_mut().insert("authorization", admin);
    let answer = send(stack, request).ok()?;
    Some(answer.status.as_u16())
}

fn send(stack: &World, request: http::Request<Full<Bytes>>) -> Result<Answer, NoAnswer> {
    let address = Address::Tcp(stack.address);
    stack.clock.block_on(ask(&address, request, 40 * SECOND))
}

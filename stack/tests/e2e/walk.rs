//! A random walk over everything that can happen to a stack, under load, with somebody healthy at
//! any time: nothing is lost, nothing doubled, and in the end all is as it was.
//!
//! It takes the same way each time, so that who breaks it sees it: `STACK_WALK_SEED=$RANDOM` takes others, and
//! `STACK_WALK_SECONDS=600` a longer one than 60 s. It prints both.

use std::path::Path;
use std::time::{Duration, Instant};

use stack::admin::{self, Mode};
use stack::ask::Address;
use stack::probe::scenario::native::{Native, Own};
use stack::probe::scenario::{Deed, Stage};
use stack::probe::walk::{Event, Walk};
use stack::probe::{self, Authorization, Report, Settings};
use stack::{Fault, health};

use crate::Scenario;
use crate::driver::Kind;
use crate::native::STACK;
use crate::world::{SECOND, World};

const SCENARIOS: &[(&str, Scenario)] = &[("loses_nothing", loses_nothing)];

/// Requests per second beside it.
const RATE: f64 = 40.0;

/// The scenarios of this file: what a walk does to the proxy, it does by its admin listener.
pub(crate) fn scenarios(kind: Kind) -> &'static [(&'static str, Scenario)] {
    match kind {
        Kind::Native => SCENARIOS,
        Kind::Compose => &[],
    }
}

fn loses_nothing(world: &World) {
    let length = number("STACK_WALK_SECONDS").unwrap_or(60);
    let seed = number("STACK_WALK_SEED").unwrap_or(1);
    eprintln!("walk: STACK_WALK_SEED={seed} STACK_WALK_SECONDS={length}");
    let walked = world
        .clock
        .block_on(walk(seed, Duration::from_secs(length)));
    let (report, steps, restarts, log) = walked.unwrap();
    let story = format!("seed {seed}:\n{}\n{report}", steps.join("\n"));
    let lines: Vec<_> = log.lines().collect();
    let last = lines[lines.len().saturating_sub(60)..].join("\n");
    assert!(report.is_clean(), "{story}\n{last}");
    assert!(report.refused == 0 || restarts > 0, "{story}\n{last}");
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var_os(variable)?.into_string().unwrap();
    Some(text.parse().unwrap())
}

/// What was walked: the account, each step with its moment, restarts of the database, the log.
type Walked = (Report, Vec<String>, usize, String);

/// Walks for so long on a stack of its own, and home.
async fn walk(seed: u64, length: Duration) -> Result<Walked, Fault> {
    let own = Own::start(Path::new(STACK)).await?;
    let Stage::Native(native) = &own.stage else {
        panic!("plain processes were asked for");
    };
    let authorization = own.stage.authorization().await?;
    let probe = probe::start(settings(native, authorization), |_| {});
    probe.begun().await;
    let begin = Instant::now();
    let mut walk = Walk::new(seed);
    let mut steps = Vec::new();
    let mut restarts = 0;
    let mut take = async |event: &Event| {
        steps.push(format!("{:7.2} s {event:?}", begin.elapsed().as_secs_f64()));
        restarts += usize::from(*event == Event::RestartDatabase);
        let done = take(native, event).await;
        done.unwrap_or_else(|fault| panic!("seed {seed}:\n{}\n{fault}", steps.join("\n")));
    };
    while begin.elapsed() < length {
        let step = walk.step();
        take(&step.event).await;
        tokio::time::sleep(step.pause).await;
    }
    for event in walk.home() {
        take(&event).await;
    }
    let report = probe.stop().await?;
    all_is_as_before(native).await;
    let log = own.log().await;
    own.end().await?;
    Ok((report, steps, restarts, log))
}

fn settings(native: &Native, authorization: Option<Authorization>) -> Settings {
    Settings {
        authorization,
        url: format!("http://{}/", native.listen).parse().unwrap(),
        rate: RATE,
        post: 0.3,
        new_connections: false,
        path: None,
        slow: SECOND,
        timeout: Duration::from_secs(35),
        keep: false,
    }
}

async fn take(native: &Native, event: &Event) -> Result<(), Fault> {
    let admin = native.admin;
    let server = |name: &str| {
        let (service, number) = name.rsplit_once('_').unwrap();
        let number = number.parse().unwrap();
        let (native, service) = (native.clone(), service.to_owned());
        async move {
            match native.address(&service, number).await {
                Some(Address::Unix(path)) => format!("unix:{}", path.display()),
                other => panic!("{service}: {other:?}"),
            }
        }
    };
    match event {
        Event::Kill(name) => native.act(Deed::Kill, name).await,
        Event::Stop(name) => native.act(Deed::Stop, name).await,
        Event::Start(name) => native.act(Deed::Start, name).await,
        Event::Pause(name) => native.act(Deed::Pause, name).await,
        Event::Resume(name) => native.act(Deed::Resume, name).await,
        Event::Scale(count) => native.scale("api", *count).await,
        Event::Reload => admin::reload(admin).await,
        Event::Weight(name, weight) => admin::set_weight(admin, &server(name).await, *weight).await,
        Event::Drain(name) => admin::set_mode(admin, &server(name).await, Mode::Drain).await,
        Event::Enable(name) => admin::set_mode(admin, &server(name).await, Mode::Ready).await,
        Event::Method(method) => change_method(native, method).await,
        Event::RestartDatabase => {
            native.act(Deed::Stop, "db").await?;
            native.act(Deed::Start, "db").await
        }
    }
}

/// Another method stands in the proxy's file, which it reads again.
async fn change_method(native: &Native, method: &str) -> Result<(), Fault> {
    let file = native.dir.join("proxy.toml");
    let text = tokio::fs::read_to_string(&file).await.unwrap();
    let lines = text
        .lines()
        .map(|line| match line.strip_prefix("method = ") {
            Some(_) => format!("method = {method:?}"),
            None => line.to_owned(),
        });
    let changed = lines.collect::<Vec<_>>().join("\n");
    // By renaming, as an editor does: the proxy looks at the file by itself, too.
    let new = file.with_extension("new");
    tokio::fs::write(&new, changed).await.unwrap();
    tokio::fs::rename(&new, &file).await.unwrap();
    admin::reload(native.admin).await
}

/// Two servers take part, and neither they nor the proxy have anything in hand.
async fn all_is_as_before(native: &Native) {
    let deadline = Instant::now() + 20 * SECOND;
    loop {
        let status = native.status().await.unwrap();
        let known = health::proxy_status(native.admin).await.unwrap();
        let servers: Vec<_> = known.upstreams.iter().flat_map(|u| &u.servers).collect();
        let up = servers.iter().all(|server| server.state == "up");
        if up && servers.len() == 2 && status["in_flight"] == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "{status:#}");
        tokio::time::sleep(SECOND / 20).await;
    }
}

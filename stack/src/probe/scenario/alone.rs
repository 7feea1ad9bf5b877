//! Rows in which one of two servers misbehaves: stand-ins behind our proxy, or behind a peer's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::event::{Lengths, settings};
use super::front::{Front, Wishes};
use super::measure::{Bound, Load, Marks, Measure, Run};
use super::row::{Place, Row};
use super::stage::eventually;
use super::stand_in::{Mood, StandIn};
use super::{idle, overload, slow_heads};
use crate::Fault;
use crate::ask::{Address, get};
use crate::plan::Programs;
use crate::probe;

/// How much longer the slow server takes.
const SLOWNESS: Duration = Duration::from_secs(2);
/// How long our proxy puts a server out that answers nothing but 5xx.
const EJECTION: Duration = Duration::from_secs(5);
/// Five put it out; as many more may be in hand then.
const FAILING: f64 = 10.0;
/// How long a healed server may take to be used again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two servers that hold the same songs.
#[derive(Debug)]
pub(super) struct Pair {
    good: StandIn,
    bad: StandIn,
}

impl Pair {
    /// Starts both.
    pub(super) async fn start() -> Result<Self, Fault> {
        let shelf = Arc::default();
        Ok(Self {
            good: StandIn::start("api_1", &shelf, None).await?,
            bad: StandIn::start("api2_1", &shelf, None).await?,
        })
    }

    /// Where they listen, the one that will misbehave last.
    pub(super) fn addresses(&self) -> [SocketAddr; 2] {
        [self.good.address, self.bad.address]
    }
}

/// Runs a row that needs no real API.
pub async fn alone(
    programs: &Programs,
    row: Row,
    load: Load,
    lengths: &Lengths,
) -> Result<Run, Fault> {
    match row {
        Row::Overload => overload::overload(&programs.proxy, load, lengths).await,
        Row::SlowHeads => slow_heads::slow_heads(&programs.proxy, load, lengths).await,
        Row::Idle => idle::idle(&programs.proxy, load, lengths).await,
        _ => {
            let pair = Pair::start().await?;
            let wishes = Wishes {
                ejection: Some(EJECTION / lengths.shorter),
                ..Wishes::default()
            };
            let front = Front::start(&programs.proxy, &pair.addresses(), &wishes).await?;
            one_misbehaves(&pair, front.listen, row, load, lengths).await
        }
    }
}

/// One of the pair fails or is slow for a while, behind whichever proxy listens there.
pub(super) async fn one_misbehaves(
    pair: &Pair,
    listen: SocketAddr,
    row: Row,
    load: Load,
    lengths: &Lengths,
) -> Result<Run, Fault> {
    let mood = match row {
        Row::ServerErrors => Mood::Failing,
        Row::Slow => Mood::Slow(SLOWNESS / lengths.shorter),
        _ => return Err(Fault::new(format!("{row:?} is not for stand-ins"))),
    };
    let probe = probe::start(settings(super::url(listen), load), |_| {});
    probe.begun().await;
    let outcome = misbehave(&pair.bad, listen, mood, lengths).await;
    let account = probe.account().await;
    let (marks, account) = (outcome?, account?);
    let mut run = Run::new(row, Place::Native, load, &account, &marks);
    run.measures = vec![match row {
        Row::Slow => its_own_only(&account.samples, &marks, SLOWNESS / lengths.shorter),
        _ => until_it_was_out(pair.bad.failed()),
    }];
    Ok(run)
}

async fn misbehave(
    bad: &StandIn,
    listen: SocketAddr,
    mood: Mood,
    lengths: &Lengths,
) -> Result<Marks, Fault> {
    sleep(lengths.quiet).await;
    let event = Instant::now();
    bad.set(mood);
    sleep(lengths.away).await;
    bad.set(Mood::Well);
    let healed = Instant::now();
    eventually(PATIENCE, "the healed server is used again", async || {
        let answer = get(&Address::Tcp(listen), "/api/music/", PATIENCE).await;
        answer.is_ok_and(|answer| answer.instance() == "api2_1" && answer.status.is_success())
    })
    .await?;
    sleep(lengths.after).await;
    let failing = mood == Mood::Failing;
    Ok(Marks {
        event,
        victims: vec!["api2_1".to_owned()],
        leave: failing.then_some(event),
        recalled: failing.then_some(healed),
        listen: failing.then_some(healed),
    })
}

/// How many requests a server got that answered each of them with 502.
fn until_it_was_out(failed: usize) -> Measure {
    Measure {
        what: "requests that the failing server got",
        value: idle::as_figure(failed),
        bound: Bound::AtMost(FAILING),
        judged: false,
    }
}

/// How many answers of the other server were held up by more than half the slowness.
fn its_own_only(samples: &[probe::Sample], marks: &Marks, slow: Duration) -> Measure {
    let held_up = samples
        .iter()
        .filter(|sample| sample.due >= marks.event && sample.latency > slow / 2)
        .filter(|sample| sample.instance.as_deref() == Some("api_1"))
        .count();
    Measure {
        what: "answers of the other server that came late",
        value: f64::from(u32::try_from(held_up).unwrap_or(u32::MAX)),
        bound: Bound::AtMost(0.0),
        judged: false,
    }
}

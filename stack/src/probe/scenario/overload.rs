//! More requests than the servers can bear: they stay busy, the rest is told to come again.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::event::{Lengths, settings};
use super::front::{Front, Wishes};
use super::measure::{Bound, Load, Marks, Measure, Run, counts};
use super::row::{Place, Row};
use super::stand_in::StandIn;
use crate::Fault;
use crate::probe::{self, Account, Outcome, Settings};

/// Requests that each of the two servers takes at a time.
const SLOTS: usize = 16;
/// How long each takes.
const SERVICE: Duration = Duration::from_millis(20);
/// How long the overload lasts.
const LENGTH: Duration = Duration::from_secs(60);
/// How many times too many.
const TOO_MANY: f64 = 3.0;

/// Measures goodput, memory, and how soon all is as before.
pub(super) async fn overload(program: &Path, load: Load, lengths: &Lengths) -> Result<Run, Fault> {
    let slots = (SLOTS / lengths.shorter as usize).max(2);
    let shelf = Arc::default();
    let service = Some((slots, SERVICE));
    let servers = [
        StandIn::start("api_1", &shelf, service).await?,
        StandIn::start("api2_1", &shelf, service).await?,
    ];
    let wishes = Wishes {
        max_connections: Some(slots),
        ..Wishes::default()
    };
    let addresses = servers.each_ref().map(|server| server.address);
    let front = Front::start(program, &addresses, &wishes).await?;
    let bearable = rate(slots, SERVICE);
    let load = Load {
        rate: bearable * TOO_MANY,
        post: 0.0,
        ..load
    };
    let length = LENGTH / (lengths.shorter * lengths.shorter);
    let begin = Instant::now();
    let probe = probe::start(reads(&front, load), |_| {});
    sleep(length / 4).await;
    let warm = front.memory().await?;
    sleep(length * 3 / 4).await;
    let over = Instant::now();
    let memory = front.memory().await?;
    let account = probe.account().await?;
    let times = servers.each_ref().map(StandIn::service_time);
    let borne = rate(slots, (times[0] + times[1]) / 2);
    let calm = Load {
        rate: bearable / 10.0,
        ..load
    };
    let after = probe::start(reads(&front, calm), |_| {});
    sleep(lengths.away).await;
    let after = after.account().await?;
    let marks = Marks {
        event: begin,
        victims: Vec::new(),
        leave: None,
        recalled: None,
        listen: None,
    };
    let mut run = Run::new(Row::Overload, Place::Native, load, &account, &marks);
    let lost = counts(&after).lost_get;
    run.counts.lost_get += lost;
    run.measures = vec![
        goodput(&account, begin, over, borne),
        memory_growth(warm, memory),
        until_normal(&after, over),
    ];
    Ok(run)
}

/// Requests per second that both servers together can serve, if each takes so long.
fn rate(slots: usize, service: Duration) -> f64 {
    let slots = u32::try_from(2 * slots).unwrap_or(u32::MAX);
    f64::from(slots) / service.as_secs_f64()
}

/// Reads only, of nothing that is there: what is measured is the way there and back.
fn reads(front: &Front, load: Load) -> Settings {
    Settings {
        path: Some("/api/music/".to_owned()),
        ..settings(super::url(front.listen), load)
    }
}

/// How many of the answers that the servers could give, as long as a request really took them, were given.
fn goodput(account: &Account, begin: Instant, over: Instant, bearable: f64) -> Measure {
    let good = account.samples.iter().filter(|sample| {
        let answered = sample.due + sample.latency;
        sample.outcome == Outcome::Done && answered >= begin && answered <= over
    });
    let good = f64::from(u32::try_from(good.count()).unwrap_or(u32::MAX));
    Measure {
        what: "goodput, % of what the servers bear",
        value: 100.0 * good / (bearable * (over - begin).as_secs_f64()),
        bound: Bound::AtLeast(90.0),
        judged: true,
    }
}

fn memory_growth(warm: f64, end: f64) -> Measure {
    Measure {
        what: "memory of the proxy after the first quarter, growth in MiB",
        value: (end - warm).max(0.0),
        bound: Bound::AtMost(16.0),
        judged: true,
    }
}

/// When the last request after the overload was refused or late.
fn until_normal(after: &Account, over: Instant) -> Measure {
    let troubled = after.samples.iter().filter(|sample| {
        sample.outcome != Outcome::Done || sample.latency > SERVICE + Duration::from_millis(100)
    });
    let last = troubled.map(|sample| sample.due + sample.latency - over);
    Measure {
        what: "normal again after, s",
        value: last.max().unwrap_or_default().as_secs_f64(),
        bound: Bound::AtMost(2.0),
        judged: false,
    }
}

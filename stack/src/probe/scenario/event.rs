//! What is done to a whole stack under load, and the marks that it leaves in time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::measure::{Load, Marks, Run};
use super::row::Row;
use super::stage::{Deed, Stage, answers};
use super::witness::Witness;
use crate::Fault;
use crate::probe::{self, Settings};

/// The service that is struck: the one with the larger share.
pub const VICTIM: &str = "api2";
/// Its instance.
const VICTIM_INSTANCE: &str = "api2_1";
/// How long anything may take to come back, before the run counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Reloads in a row of the row `reload`.
const RELOADS: u32 = 10;

/// How long the parts of a run last.
#[derive(Debug, Clone, Copy)]
pub struct Lengths {
    /// Before the event: what is usual here.
    pub quiet: Duration,
    /// Between the event and its end.
    pub away: Duration,
    /// The same for a frozen instance: longer than any proxy's patience.
    pub frozen: Duration,
    /// After everything is as before.
    pub after: Duration,
    /// What a single event lasts that has a length of its own, and the limits that go with it, are
    /// divided by this.
    pub shorter: u32,
}

impl Lengths {
    /// Those of the figures.
    pub const FULL: Self = Self {
        quiet: Duration::from_secs(2),
        away: Duration::from_secs(3),
        frozen: Duration::from_secs(5),
        after: Duration::from_millis(1500),
        shorter: 1,
    };
    /// Those of the tests.
    pub const SHORT: Self = Self {
        quiet: Duration::from_millis(700),
        away: Duration::from_millis(1500),
        frozen: Duration::from_millis(1500),
        after: Duration::from_millis(500),
        shorter: 5,
    };
}

/// Runs a row whose event strikes a whole stack.
pub async fn on_stage(
    stage: &Stage,
    row: Row,
    load: Load,
    lengths: &Lengths,
) -> Result<Run, Fault> {
    on_stage_through(stage, stage.listen(), row, load, lengths).await
}

/// Runs a row with the load going through whichever proxy listens there.
pub(super) async fn on_stage_through(
    stage: &Stage,
    listen: SocketAddr,
    row: Row,
    load: Load,
    lengths: &Lengths,
) -> Result<Run, Fault> {
    let settings = Settings {
        authorization: stage.authorization().await?,
        ..settings(super::url(listen), load)
    };
    let is_nobodys_fault = row == Row::Database;
    let before = match is_nobodys_fault {
        true => Witness::of(stage).await?,
        false => None,
    };
    let probe = probe::start(settings, |_| {});
    probe.begun().await;
    let outcome = strike(stage, listen, row, load, lengths).await;
    // What is under way is waited for, whatever has become of the event.
    let account = probe.account().await;
    let (marks, account) = (outcome?, account?);
    let mut run = Run::new(row, stage.place(), load, &account, &marks);
    if let Some(before) = before
        && let Some(after) = Witness::of(stage).await?
    {
        run.measures = after.measures(&before);
    }
    Ok(run)
}

/// A probe of this load.
pub(super) fn settings(url: http::Uri, load: Load) -> Settings {
    Settings {
        url,
        rate: load.rate,
        post: load.post,
        new_connections: load.new_connections,
        path: None,
        slow: Duration::from_secs(1),
        timeout: Duration::from_secs(35),
        keep: false,
        authorization: None,
    }
}

async fn strike(
    stage: &Stage,
    listen: SocketAddr,
    row: Row,
    load: Load,
    lengths: &Lengths,
) -> Result<Marks, Fault> {
    sleep(lengths.quiet).await;
    let marks = match row {
        Row::Kill => leave(stage, listen, [Deed::Kill, Deed::Start], lengths).await?,
        Row::Stop => leave(stage, listen, [Deed::Stop, Deed::Start], lengths).await?,
        Row::Pause => leave(stage, listen, [Deed::Pause, Deed::Resume], lengths).await?,
        Row::Cut => leave(stage, listen, [Deed::Cut, Deed::Join], lengths).await?,
        Row::Scale => scale(stage, lengths).await?,
        Row::Recreate => recreate(stage, load, lengths).await?,
        Row::Database => database(stage, lengths).await?,
        Row::Reload => reload(stage).await?,
        Row::ServerErrors | Row::Slow | Row::Overload | Row::SlowHeads | Row::Idle => {
            return Err(Fault::new(format!("{row:?} needs stand-ins")));
        }
    };
    sleep(lengths.after).await;
    Ok(marks)
}

/// One instance goes away and comes back.
async fn leave(
    stage: &Stage,
    proxy: SocketAddr,
    [going, coming]: [Deed; 2],
    lengths: &Lengths,
) -> Result<Marks, Fault> {
    let event = Instant::now();
    stage.act(going, VICTIM).await?;
    let away = if going == Deed::Pause {
        lengths.frozen
    } else {
        lengths.away
    };
    sleep(away.saturating_sub(event.elapsed())).await;
    let recalled = Instant::now();
    let (acted, listen) = tokio::join!(stage.act(coming, VICTIM), async {
        stage.listens(VICTIM, 1, PATIENCE).await?;
        Ok::<_, Fault>(Instant::now())
    });
    acted?;
    let listen = listen?;
    answers(proxy, VICTIM_INSTANCE, PATIENCE).await?;
    Ok(Marks {
        event,
        victims: vec![VICTIM_INSTANCE.to_owned()],
        leave: Some(event),
        recalled: Some(recalled),
        listen: Some(listen),
    })
}

/// Two instances more, and away with them again.
async fn scale(stage: &Stage, lengths: &Lengths) -> Result<Marks, Fault> {
    let added = ["api_2", "api_3"];
    let event = Instant::now();
    let (scaled, listen) = tokio::join!(stage.scale("api", 3), async {
        for number in [2, 3] {
            stage.listens("api", number, PATIENCE).await?;
        }
        Ok::<_, Fault>(Instant::now())
    });
    scaled?;
    let listen = listen?;
    for instance in added {
        stage.answers(instance, PATIENCE).await?;
    }
    sleep(lengths.after).await;
    let leave = Instant::now();
    stage.scale("api", 1).await?;
    Ok(Marks {
        event,
        victims: added.map(str::to_owned).into(),
        leave: Some(leave),
        recalled: None,
        listen: Some(listen),
    })
}

/// Every instance is replaced in turn, until 10 000 requests have been sent, once at least.
async fn recreate(stage: &Stage, load: Load, lengths: &Lengths) -> Result<Marks, Fault> {
    let event = Instant::now();
    let requests = 10_000.0 / f64::from(lengths.shorter * lengths.shorter);
    let length = Duration::from_secs_f64(requests / load.rate);
    loop {
        for service in ["api", VICTIM] {
            stage.recreate(service).await?;
            stage.listens(service, 1, PATIENCE).await?;
            stage.answers(&format!("{service}_1"), PATIENCE).await?;
        }
        if event.elapsed() >= length {
            break;
        }
    }
    Ok(Marks {
        event,
        victims: Vec::new(),
        leave: None,
        recalled: None,
        listen: None,
    })
}

/// Postgres is away for a while; it is back once it accepts connections again.
async fn database(stage: &Stage, lengths: &Lengths) -> Result<Marks, Fault> {
    let event = Instant::now();
    stage.act(Deed::Stop, "db").await?;
    sleep(Duration::from_secs(5) / lengths.shorter).await;
    stage.act(Deed::Start, "db").await?;
    let listen = Instant::now();
    for instance in ["api_1", VICTIM_INSTANCE] {
        stage.answers(instance, PATIENCE).await?;
    }
    Ok(Marks {
        event,
        victims: Vec::new(),
        leave: None,
        recalled: None,
        listen: Some(listen),
    })
}

/// The proxy reads its settings again and again.
async fn reload(stage: &Stage) -> Result<Marks, Fault> {
    let event = Instant::now();
    for _ in 0..RELOADS {
        stage.reload().await?;
        sleep(Duration::from_millis(150)).await;
    }
    Ok(Marks {
        event,
        victims: Vec::new(),
        leave: None,
        recalled: None,
        listen: None,
    })
}

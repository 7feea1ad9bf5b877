//! The rows of a hop, of static files and of handshakes: our proxy and its peers before one origin.

use super::figure::{Column, Curve, Figure, Goal, Line, OURS};
use super::load::{Load, handshakes};
use super::options::Row;
use super::origin;
use super::peer::{Fronting, Peer};
use super::record::Record;
use super::rounds::{self, CPU, Entrant, P99, Plan, RATE, Turns};
use super::site::{FILES, Site};
use super::usage::cpu_micros;
use crate::Fault;

/// What a client sends with POST.
const POSTED: usize = 1024;
/// How many connections the curve has.
const CONNECTIONS: [u32; 4] = [1, 8, 64, 256];

/// Measures one hop.
pub(super) async fn hop(row: Row, plan: Plan) -> Result<Record, Fault> {
    let site = Site::open(0).await?;
    let mut peers = Peer::ALL.to_vec();
    if row == Row::Hop100k {
        peers.insert(2, Peer::NginxBig);
    }
    let fronts = start(&peers, &site).await?;
    let entrants: Vec<_> = fronts
        .iter()
        .map(|(peer, front)| entrant(*peer, front, work(row, front)))
        .collect();
    let turns = rounds::run(site.folder(), plan, &entrants).await?;
    let mut record = Record::new(row);
    record.figures = rounds::figures(&row.name(), &turns);
    for figure in record.figures.iter_mut().filter(|f| f.unit == CPU) {
        figure.goals = goals(row);
    }
    end(fronts).await;
    Ok(record)
}

/// Measures a file, as it is and compressed beforehand.
pub(super) async fn file(row: Row, plan: Plan) -> Result<Record, Fault> {
    let (name, length) = FILES[usize::from(row == Row::Static1m)];
    let site = Site::open(0).await?;
    let fronts = start(&[Peer::Ours, Peer::Nginx, Peer::Caddy], &site).await?;
    let mut record = Record::new(row);
    for compressed in [false, true] {
        let entrants: Vec<_> = fronts
            .iter()
            .map(|(peer, front)| {
                let mut load = Load::get(front.listen, &format!("/static/{name}"), length);
                if compressed {
                    load.fields = vec![("Accept-Encoding", "gzip")];
                    load.length = (length / 2, length * 9 / 10);
                }
                entrant(*peer, front, load)
            })
            .collect();
        let turns = rounds::run(site.folder(), plan, &entrants).await?;
        let what = if compressed { "gzip" } else { "as it is" };
        let mut figures = rounds::figures(&format!("{}, {what}", row.name()), &turns);
        let times = if row == Row::Static1m { 1.0 } else { 1.3 };
        figures[0].goals = vec![Goal::Times(times, "nginx".to_owned())];
        record.figures.extend(figures);
    }
    end(fronts).await;
    Ok(record)
}

/// Measures full handshakes.
pub(super) async fn handshaking(row: Row, plan: Plan) -> Result<Record, Fault> {
    let site = Site::open(0).await?;
    let fronts = start(&Peer::ALL, &site).await?;
    let mut micros: Vec<Column> = Vec::new();
    let mut rates: Vec<Column> = Vec::new();
    for (peer, _) in &fronts {
        let column = || Column {
            who: peer.name().to_owned(),
            rounds: Vec::new(),
        };
        micros.push(column());
        rates.push(column());
    }
    for _ in 0..plan.rounds {
        for (index, (_, front)) in fronts.iter().enumerate() {
            let pid = [front.running.pid()];
            let before = cpu_micros(&pid).await?;
            let begin = tokio::time::Instant::now();
            let count = handshakes(front.tls, plan.seconds).await?;
            let seconds = begin.elapsed().as_secs_f64();
            let after = cpu_micros(&pid).await?;
            micros[index].rounds.push((after - before) / count);
            rates[index].rounds.push(count / seconds);
        }
    }
    end(fronts).await;
    let mut record = Record::new(row);
    record.figures = vec![
        Figure::new(row.name(), "CPU µs/handshake", micros),
        Figure::new(row.name(), "handshakes/s", rates),
    ];
    Ok(record)
}

/// Measures throughput and latency of a small hop by number of connections.
pub(super) async fn connections(row: Row, plan: Plan) -> Result<Record, Fault> {
    let site = Site::open(0).await?;
    let fronts = start(&Peer::ALL, &site).await?;
    let mut record = Record::new(row);
    let plan = Plan {
        rounds: plan.rounds.min(3),
        ..plan
    };
    for connections in CONNECTIONS {
        let entrants: Vec<_> = fronts
            .iter()
            .map(|(peer, front)| {
                let mut load = work(Row::HopSmall, front);
                load.connections = connections;
                entrant(*peer, front, load)
            })
            .collect();
        let turns = rounds::run(site.folder(), plan, &entrants).await?;
        let name = format!("hop-small, {connections} connections");
        record.figures.extend(rounds::figures(&name, &turns));
    }
    end(fronts).await;
    for (name, unit, title) in [
        (
            "hop-throughput",
            RATE,
            "Throughput of a hop, small answers, one core",
        ),
        (
            "hop-latency",
            P99,
            "Latency of a hop at full load (99 of 100)",
        ),
        ("hop-cpu", CPU, "CPU time of a hop by connections"),
    ] {
        let curve = curve(name, title, unit, &record.figures);
        record.curves.push(curve);
    }
    Ok(record)
}

fn curve(name: &str, title: &str, unit: &str, figures: &[Figure]) -> Curve {
    let figures: Vec<_> = figures.iter().filter(|f| f.unit == unit).collect();
    let points = |who: &str| {
        let medians = figures.iter().map(|figure| figure.median(who));
        let points = CONNECTIONS.iter().zip(medians);
        points
            .filter_map(|(x, y)| Some((f64::from(*x), y?)))
            .collect::<Vec<_>>()
    };
    let lines = Peer::ALL.into_iter().map(|peer| Line {
        who: peer.name().to_owned(),
        points: points(peer.name()),
    });
    Curve {
        name: name.to_owned(),
        title: title.to_owned(),
        x: "connections".to_owned(),
        y: unit.to_owned(),
        lines: lines.filter(|line| !line.points.is_empty()).collect(),
    }
}

/// Measures our hop through a small and through a large configuration: picking must not cost more.
pub(super) async fn servers(row: Row, plan: Plan) -> Result<Record, Fault> {
    let site = Site::open(99).await?;
    let mut origins = vec![site.origin];
    origins.extend(&site.more);
    let mut entrants = Vec::new();
    let mut fronts = Vec::new();
    for (who, servers, routes) in [
        (OURS, &origins[..], 100),
        ("1 server, 1 route", &origins[..1], 0),
        ("100 servers", &origins[..], 0),
        ("100 routes", &origins[..1], 100),
    ] {
        let front = Peer::Ours.start_before(&site, servers, routes).await?;
        let mut entrant = entrant(Peer::Ours, &front, work(Row::HopSmall, &front));
        who.clone_into(&mut entrant.who);
        entrants.push(entrant);
        fronts.push((Peer::Ours, front));
    }
    let turns = rounds::run(site.folder(), plan, &entrants).await?;
    end(fronts).await;
    let micros = turns.iter().map(Turns::micros).collect();
    let figure = Figure::new("100 servers and routes", CPU, micros);
    let mut record = Record::new(row);
    record.figures = vec![figure.goal(Goal::Times(1.15, "1 server, 1 route".to_owned()))];
    Ok(record)
}

/// Starts ours, and of the others those that this machine can run.
pub(super) async fn start(peers: &[Peer], site: &Site) -> Result<Vec<(Peer, Fronting)>, Fault> {
    let mut fronts = Vec::new();
    for peer in peers {
        match peer.start(site).await {
            Ok(front) => fronts.push((*peer, front)),
            Err(fault) if *peer == Peer::Ours => return Err(fault),
            // One that is absent, or may not open enough files here, does not take part.
            Err(fault) => super::remark(&format!("without {}: {fault}", peer.name())),
        }
    }
    Ok(fronts)
}

/// Ends all of them.
pub(super) async fn end(fronts: Vec<(Peer, Fronting)>) {
    for (_, front) in fronts {
        front.running.end().await;
    }
}

fn entrant(peer: Peer, front: &Fronting, load: Load) -> Entrant {
    Entrant {
        who: peer.name().to_owned(),
        load,
        processes: vec![front.running.pid()],
    }
}

/// What a row asks of a program.
pub(super) fn work(row: Row, front: &Fronting) -> Load {
    let path = match row {
        Row::Hop8k => "/8k",
        Row::Hop100k => "/100k",
        _ => "/",
    };
    let mut load = Load::get(front.listen, path, origin::length(path));
    match row {
        Row::HopClose => load.fields = vec![("Connection", "close")],
        Row::HopPost => load.body = Some("x".repeat(POSTED)),
        Row::HopTls => (load.address, load.tls) = (front.tls, true),
        _ => {}
    }
    load
}

/// What our CPU time must keep.
fn goals(row: Row) -> Vec<Goal> {
    let times = |times, who: Peer| Goal::Times(times, who.name().to_owned());
    let mut goals = match row {
        Row::Hop100k => vec![times(0.8, Peer::Nginx), times(1.4, Peer::NginxBig)],
        Row::HopClose => vec![times(1.5, Peer::Nginx)],
        _ => vec![times(1.6, Peer::Nginx)],
    };
    goals.push(times(0.6, Peer::Caddy));
    goals
}

//! Which runs a command line asks for, in which order. Pure.

use std::fmt::{Display, Formatter};

use clap::Args;

use super::measure::Load;
use super::peers::Peer;
use super::row::{Place, Row};

/// The share of writes of every run, unless another one is given.
const POST: f64 = 0.3;

/// What `stack probe` is told of scenarios.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Wanted {
    /// Measure an event with a stack of its own, instead of sending to one that runs; may be repeated
    #[arg(long = "scenario", value_name = "NAME", conflicts_with = "all")]
    pub rows: Vec<Row>,
    /// Measure every event that this machine can run, and print the whole table
    #[arg(long)]
    pub all: bool,
    /// How often: of all events, `kill` and `pause`
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: u32,
    /// The same events with nginx and haproxy in place of our proxy, where they are installed
    #[arg(long)]
    pub peers: bool,
    /// The events of containers only
    #[arg(long)]
    pub docker: bool,
    /// The events of plain processes only
    #[arg(long, conflicts_with = "docker")]
    pub native: bool,
    /// The table alone, for a document (progress goes to standard error anyway)
    #[arg(long)]
    pub markdown: bool,
    /// What the command line says of the load.
    #[arg(skip)]
    pub own: Own,
}

/// What of a load somebody wants otherwise than it is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Own {
    /// Requests per second.
    pub rate: Option<f64>,
    /// The share of writes.
    pub post: Option<f64>,
    /// A connection of its own for every request.
    pub new_connections: bool,
}

impl Own {
    /// The load with which a row is measured, but for that; `None`: all is as it is measured.
    fn of(self, row: Row) -> Option<Load> {
        let usual = usual(row);
        let load = Load {
            rate: self.rate.unwrap_or(usual.rate),
            post: self.post.unwrap_or(usual.post),
            new_connections: self.new_connections || usual.new_connections,
        };
        (self != Self::default()).then_some(load)
    }
}

impl Wanted {
    /// Whether any event is asked for.
    pub fn is_any(&self) -> bool {
        self.all || !self.rows.is_empty()
    }
}

/// Whose proxy is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    /// Ours.
    Ours,
    /// Another one.
    Peer(Peer),
}

/// One run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Task {
    /// The event.
    pub row: Row,
    /// Where.
    pub place: Place,
    /// Through which proxy.
    pub proxy: Proxy,
    /// The load beside it.
    pub load: Load,
}

impl Display for Task {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let title = self.row.title(self.place).replace('`', "");
        let proxy = match self.proxy {
            Proxy::Ours => "",
            Proxy::Peer(peer) => peer.name(),
        };
        let kind = if self.load.new_connections {
            ", new connections"
        } else {
            ""
        };
        write!(f, "{title}, {}/s{kind} {proxy}", self.load.rate)
    }
}

/// Every run, plain processes first, then containers, then the peers.
pub fn tasks(wanted: &Wanted) -> Vec<Task> {
    let rows = if wanted.all {
        &Row::ALL[..]
    } else {
        &wanted.rows
    };
    let mut tasks = Vec::new();
    for place in [Place::Native, Place::Docker] {
        for &row in rows.iter().filter(|&&row| is_wanted(wanted, row, place)) {
            let loads = loads(wanted, row, place);
            for load in loads {
                for _ in 0..runs(wanted, row, place) {
                    tasks.push(Task {
                        row,
                        place,
                        proxy: Proxy::Ours,
                        load,
                    });
                }
            }
        }
    }
    if wanted.peers || wanted.all {
        tasks.extend(peers(wanted, rows));
    }
    tasks
}

fn is_wanted(wanted: &Wanted, row: Row, place: Place) -> bool {
    let excluded = match place {
        Place::Native => wanted.docker,
        Place::Docker => wanted.native,
    };
    // One event by itself is a plain process's, unless it cannot be.
    let second = place == Place::Docker && row.is_for(Place::Native);
    let second = second && !wanted.all && !wanted.docker;
    row.is_for(place) && !excluded && !second
}

fn peers(wanted: &Wanted, rows: &[Row]) -> Vec<Task> {
    let rows = rows
        .iter()
        .filter(|row| row.is_for_peers() && !wanted.docker);
    rows.flat_map(|&row| {
        Peer::ALL.map(|peer| Task {
            row,
            place: Place::Native,
            proxy: Proxy::Peer(peer),
            load: wanted.own.of(row).unwrap_or(usual(row)),
        })
    })
    .collect()
}

/// All four loads, when all is measured, for the events that say nothing of their load themselves.
fn loads(wanted: &Wanted, row: Row, place: Place) -> Vec<Load> {
    if let Some(load) = wanted.own.of(row) {
        return vec![load];
    }
    if !(wanted.all && place == Place::Native && takes_any_load(row)) {
        return vec![usual(row)];
    }
    let rates = [40.0, 300.0].into_iter();
    rates
        .flat_map(|rate| {
            [true, false].map(|new_connections| Load {
                rate,
                post: POST,
                new_connections,
            })
        })
        .collect()
}

fn takes_any_load(row: Row) -> bool {
    !matches!(
        row,
        Row::Recreate | Row::Reload | Row::Overload | Row::SlowHeads | Row::Idle
    )
}

fn runs(wanted: &Wanted, row: Row, place: Place) -> u32 {
    let often = place == Place::Native && matches!(row, Row::Kill | Row::Pause);
    if wanted.all && !often { 1 } else { wanted.runs }
}

/// The load with which a row is measured.
fn usual(row: Row) -> Load {
    Load {
        rate: match row {
            // 10 000 requests shall not take for ever.
            Row::Recreate | Row::Reload => 300.0,
            Row::SlowHeads | Row::Idle => 100.0,
            _ => 40.0,
        },
        post: POST,
        new_connections: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(rows: &[Row]) -> Wanted {
        Wanted {
            rows: rows.to_vec(),
            runs: 1,
            ..Wanted::default()
        }
    }

    #[test]
    fn one_event_is_one_run_on_plain_processes() {
        let tasks = tasks(&wanted(&[Row::Kill]));
        assert_eq!(tasks.len(), 1);
        assert_eq!(tasks[0].place, Place::Native);
    }

    #[test]
    fn an_event_that_needs_containers_gets_them() {
        assert_eq!(tasks(&wanted(&[Row::Cut]))[0].place, Place::Docker);
        let mut forced = wanted(&[Row::Kill]);
        forced.docker = true;
        assert_eq!(tasks(&forced)[0].place, Place::Docker);
    }

    #[test]
    fn all_has_every_row_and_repeats_only_what_the_figures_repeat() {
        let all = Wanted {
            all: true,
            runs: 5,
            ..Wanted::default()
        };
        let tasks = tasks(&all);
        for row in Row::ALL {
            assert!(tasks.iter().any(|task| task.row == row), "{row:?}");
        }
        let count = |row, place| {
            let mine = tasks
                .iter()
                .filter(|task| task.row == row && task.place == place && task.proxy == Proxy::Ours);
            mine.count()
        };
        assert_eq!(count(Row::Kill, Place::Native), 20);
        assert_eq!(count(Row::Pause, Place::Native), 20);
        assert_eq!(count(Row::Kill, Place::Docker), 1);
        assert_eq!(count(Row::Database, Place::Native), 4);
        assert_eq!(count(Row::Overload, Place::Native), 1);
        let peers = tasks.iter().filter(|task| task.proxy != Proxy::Ours);
        assert_eq!(peers.count(), 6);
    }

    #[test]
    fn a_load_of_ones_own_is_the_only_one() {
        let mut all = wanted(&[Row::Kill, Row::Recreate]);
        all.all = true;
        all.own = Own {
            rate: Some(10.0),
            post: Some(0.0),
            new_connections: true,
        };
        let load = Load {
            rate: 10.0,
            post: 0.0,
            new_connections: true,
        };
        assert!(tasks(&all).iter().all(|task| task.load == load));
    }

    #[test]
    fn a_part_of_a_load_leaves_the_rest_as_it_is_measured() {
        let mut part = wanted(&[Row::Recreate]);
        part.own.new_connections = true;
        let load = tasks(&part)[0].load;
        assert_eq!((load.rate, load.post), (300.0, POST));
        assert!(load.new_connections);
    }
}

//! What one run of a row showed: counts, and times between its marks. Pure.

use std::time::{Duration, Instant};

use super::row::{Figure, Place, Row};
use crate::probe::{Account, Outcome, Sample};

/// An answer that took this much longer than those before the event was held up by it.
const HELD_UP: Duration = Duration::from_millis(150);

/// The stream of requests beside an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Requests per second.
    pub rate: f64,
    /// Share of writes, 0 to 1.
    pub post: f64,
    /// A connection of its own for every request.
    pub new_connections: bool,
}

/// What happened when.
#[derive(Debug, Clone)]
pub struct Marks {
    /// The event began; everything before is the quiet part.
    pub event: Instant,
    /// The names of the instances that it struck.
    pub victims: Vec<String>,
    /// They should get nothing more from here on.
    pub leave: Option<Instant>,
    /// They were asked to come back here: how soon after it they serve, nobody sees.
    pub recalled: Option<Instant>,
    /// They could serve from here on, as far as was seen.
    pub listen: Option<Instant>,
}

/// The requests of one or more runs, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub sent: usize,
    /// Reads without an answer of 2xx.
    pub lost_get: usize,
    /// Writes that failed, had no answer, or were acknowledged and not stored.
    pub lost_post: usize,
    /// Stored more than once.
    pub doubled: usize,
    /// Stored, though the client was told that they failed.
    pub ghosts: usize,
    /// Answered 503 with `Retry-After`: told to come again.
    pub refused: usize,
    /// Runs after which the songs could not be read back, so that writes were not judged.
    pub unread: usize,
}

/// A time that an event may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// The event has no such time.
    NotAsked,
    /// So long after its mark.
    After(Duration),
    /// Not until the end of the run.
    Never,
}

/// A further value of a row, beside what it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// What it is, and of what unit.
    pub what: &'static str,
    /// Its value.
    pub value: f64,
    /// What it should be.
    pub bound: Bound,
    /// Whether a value beyond it is a failure, not only a figure to look at.
    pub judged: bool,
}

/// What a value should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Bound {
    /// Tells whether a value is as it should be.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

/// One run of a row.
#[derive(Debug, Clone)]
pub struct Run {
    /// The event.
    pub row: Row,
    /// Where it happened.
    pub place: Place,
    /// Whose proxy was before the servers: ours, or a peer.
    pub proxy: String,
    /// The load beside it.
    pub load: Load,
    /// What became of the requests.
    pub counts: Counts,
    /// Why requests were lost or unknown, for a person.
    pub causes: Vec<String>,
    /// What the worst answer after the event took longer than those before it.
    pub extra: Seen,
    /// Until the victims got nothing more.
    pub out: Seen,
    /// Until they served again.
    pub back: Seen,
    /// What else belongs to the row.
    pub measures: Vec<Measure>,
}

impl Run {
    /// Reads a run out of every request and the marks of its event.
    pub fn new(row: Row, place: Place, load: Load, account: &Account, marks: &Marks) -> Self {
        let usual = usual(&account.samples, marks);
        let asked = row.figure(place);
        let only = |figure: Option<Duration>, seen: Seen| match figure {
            Some(_) => seen,
            None => Seen::NotAsked,
        };
        let report = &account.report;
        Self {
            row,
            place,
            proxy: "ours".to_owned(),
            load,
            counts: counts(account),
            causes: report
                .causes
                .iter()
                .map(|(cause, count)| format!("{count} × {cause}"))
                .collect(),
            extra: only(
                asked.extra,
                Seen::After(extra(&account.samples, marks, usual)),
            ),
            out: out(&account.samples, marks, usual),
            back: only(asked.back, back(&account.samples, marks)),
            measures: Vec::new(),
        }
    }

    /// What the event may cost.
    pub fn figure(&self) -> Figure {
        self.row.figure(self.place)
    }

    /// Every count that is not what it must be, as a sentence; times are not judged.
    pub fn faults(&self) -> Vec<String> {
        let counts = &self.counts;
        let mut faults: Vec<_> = [
            ("lost GET", counts.lost_get),
            ("lost POST", counts.lost_post),
            ("doubled", counts.doubled),
            ("ghosts", counts.ghosts),
            ("runs whose songs could not be read back", counts.unread),
        ]
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{what}: {count}, expected 0"))
        .collect();
        if counts.refused > 0 && !self.may_refuse() {
            faults.push(format!("refused: {}, expected 0", counts.refused));
        }
        for measure in self.measures.iter().filter(|measure| measure.judged) {
            if !measure.bound.holds(measure.value) {
                faults.push(format!("{}: {:.1}", measure.what, measure.value));
            }
        }
        faults
    }

    /// Whether clients may be told to come again: only where all servers share the cause.
    fn may_refuse(&self) -> bool {
        matches!(self.row, Row::Database | Row::Overload)
    }
}

/// What became of the requests of one account.
pub fn counts(account: &Account) -> Counts {
    let report = &account.report;
    let writes = report.writes.clone().unwrap_or_default();
    Counts {
        sent: report.sent,
        lost_get: report.lost_get,
        lost_post: report.lost_post + report.unknown + writes.missing,
        doubled: writes.doubled,
        ghosts: writes.ghosts,
        refused: report.refused,
        unread: usize::from(report.writes.is_none()),
    }
}

/// The latency within which 99 of 100 answers came before the event.
fn usual(samples: &[Sample], marks: &Marks) -> Duration {
    let quiet = samples.iter().filter(|sample| sample.due < marks.event);
    let mut latencies: Vec<_> = quiet.map(|sample| sample.latency).collect();
    latencies.sort_unstable();
    crate::probe::report::percentile(&latencies, 99)
}

fn extra(samples: &[Sample], marks: &Marks, usual: Duration) -> Duration {
    let after = samples.iter().filter(|sample| sample.due >= marks.event);
    let worst = after.map(|sample| sample.latency).max();
    worst.unwrap_or_default().saturating_sub(usual)
}

/// Until when requests still went to the victims: were answered by them, lost, or held up.
fn out(samples: &[Sample], marks: &Marks, usual: Duration) -> Seen {
    let Some(leave) = marks.leave else {
        return Seen::NotAsked;
    };
    let until = marks.recalled.filter(|recalled| *recalled > leave);
    let last = samples
        .iter()
        .filter(|sample| sample.due >= leave && until.is_none_or(|until| sample.due < until))
        .filter(|sample| {
            let lost = matches!(sample.outcome, Outcome::Lost(_) | Outcome::Unknown(_));
            lost || sample.latency > usual + HELD_UP || is_by(sample, &marks.victims)
        })
        .map(|sample| sample.due - leave)
        .max();
    Seen::After(last.unwrap_or_default())
}

/// When the first request that was sent after they could serve was answered by one of them.
fn back(samples: &[Sample], marks: &Marks) -> Seen {
    let Some(listen) = marks.listen else {
        return Seen::NotAsked;
    };
    let first = samples
        .iter()
        .filter(|sample| sample.due >= listen && sample.outcome == Outcome::Done)
        .filter(|sample| marks.victims.is_empty() || is_by(sample, &marks.victims))
        .map(|sample| sample.due + sample.latency - listen)
        .min();
    first.map_or(Seen::Never, Seen::After)
}

fn is_by(sample: &Sample, names: &[String]) -> bool {
    let instance = sample.instance.as_deref().unwrap_or_default();
    // Compose v2 writes api-1 where 1.29 and `stack` write api_1.
    names.contains(&instance.replace('-', "_"))
}

#[cfg(test)]
#[path = "measure/tests.rs"]
mod tests;

//! The account of a whole probe: counts, latencies, shares, and what the database says.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::outcome::{Outcome, Sample, Sent};

/// Everything that a probe found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Requests sent: reads and writes.
    pub sent: usize,
    /// Writes among them.
    pub sent_post: usize,
    /// Answered with 2xx.
    pub ok: usize,
    /// Reads without a 2xx, refused ones aside.
    pub lost_get: usize,
    /// Writes whose client was told, other than by a refusal, that they failed.
    pub lost_post: usize,
    /// Answered 503 with `Retry-After`.
    pub refused: usize,
    /// Writes that got no answer at all.
    pub unknown: usize,
    /// Answered, but late.
    pub slow: usize,
    /// Half of the answers came within this time.
    pub p50: Duration,
    /// 99 of 100 answers came within this time.
    pub p99: Duration,
    /// The latest answer.
    pub max: Duration,
    /// How many answers each instance gave.
    pub instances: BTreeMap<String, usize>,
    /// Why requests were lost or unknown, and how many for each cause.
    pub causes: BTreeMap<String, usize>,
    /// What the database holds; `None` when the list could not be read back.
    pub writes: Option<Writes>,
}

/// What became of the writes, by the database's own list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writes {
    /// Acknowledged, but not stored.
    pub missing: usize,
    /// Stored more than once.
    pub doubled: usize,
    /// Stored, although the client was told that it failed.
    pub ghosts: usize,
    /// Stored, of those whose outcome the client does not know: neither right nor wrong.
    pub unknown_stored: usize,
    /// Songs that could not be removed afterwards.
    pub left_behind: usize,
}

impl Report {
    /// Counts the samples.
    pub fn new(samples: &[Sample], slow: Duration, writes: Option<Writes>) -> Self {
        let mut report = Self {
            sent: samples.len(),
            writes,
            ..Self::default()
        };
        let mut latencies = Vec::new();
        for sample in samples {
            report.count(sample);
            if let Some(instance) = &sample.instance {
                *report.instances.entry(instance.clone()).or_default() += 1;
                latencies.push(sample.latency);
                report.slow += usize::from(sample.latency > slow);
            }
        }
        latencies.sort_unstable();
        report.p50 = percentile(&latencies, 50);
        report.p99 = percentile(&latencies, 99);
        report.max = latencies.last().copied().unwrap_or_default();
        report
    }

    fn count(&mut self, sample: &Sample) {
        let write = sample.sent != Sent::Get;
        self.sent_post += usize::from(write);
        let cause = match &sample.outcome {
            Outcome::Done => {
                self.ok += 1;
                return;
            }
            Outcome::Refused | Outcome::Unsure => {
                self.refused += 1;
                return;
            }
            Outcome::Lost(cause) if write => {
                self.lost_post += 1;
                format!("POST: {cause}")
            }
            Outcome::Lost(cause) => {
                self.lost_get += 1;
                format!("GET: {cause}")
            }
            Outcome::Unknown(cause) => {
                self.unknown += 1;
                format!("POST: {cause}")
            }
        };
        *self.causes.entry(cause).or_default() += 1;
    }

    /// Tells whether nothing was lost, unknown, missing, doubled or a ghost.
    pub fn is_clean(&self) -> bool {
        let answers = self.lost_get + self.lost_post + self.unknown;
        let stored = |writes: &Writes| writes.missing + writes.doubled + writes.ghosts;
        answers == 0
            && self
                .writes
                .as_ref()
                .is_some_and(|writes| stored(writes) == 0)
    }
}

/// Compares what clients were told with how often each song is stored.
pub(super) fn compare(samples: &[Sample], stored: &HashMap<u64, usize>) -> Writes {
    let mut writes = Writes::default();
    for sample in samples {
        let Sent::Post(number) = sample.sent else {
            continue;
        };
        let times = stored.get(&number).copied().unwrap_or(0);
        writes.doubled += usize::from(times > 1);
        match (&sample.outcome, times) {
            (Outcome::Done, 0) => writes.missing += 1,
            (Outcome::Lost(_) | Outcome::Refused, 1..) => writes.ghosts += 1,
            (Outcome::Unknown(_) | Outcome::Unsure, 1..) => writes.unknown_stored += 1,
            _ => {}
        }
    }
    writes
}

/// The nearest-rank percentile of sorted values.
pub(super) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    let index = rank.saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(sent: Sent, outcome: Outcome, milliseconds: u64) -> Sample {
        Sample {
            sent,
            outcome,
            due: std::time::Instant::now(),
            latency: Duration::from_millis(milliseconds),
            instance: Some("api_1".to_owned()),
        }
    }

    fn lost() -> Outcome {
        Outcome::Lost("502".to_owned())
    }

    fn unknown() -> Outcome {
        Outcome::Unknown("connection cut".to_owned())
    }

    #[test]
    fn every_request_is_in_exactly_one_class() {
        let samples = [
            sample(Sent::Get, Outcome::Done, 1),
            sample(Sent::Post(1), Outcome::Done, 2),
            sample(Sent::Get, lost(), 3),
            sample(Sent::Post(2), lost(), 4),
            sample(Sent::Get, Outcome::Refused, 5),
            sample(Sent::Post(3), unknown(), 2000),
        ];
        let report = Report::new(&samples, Duration::from_secs(1), None);
        assert_eq!((report.sent, report.sent_post), (6, 3));
        let classes = [
            report.ok,
            report.lost_get,
            report.lost_post,
            report.refused,
            report.unknown,
        ];
        assert_eq!(classes, [2, 1, 1, 1, 1]);
        assert_eq!(report.slow, 1);
        assert_eq!(report.causes["POST: connection cut"], 1);
        assert!(!report.is_clean());
    }

    #[test]
    fn the_database_tells_missing_doubled_and_ghosts() {
        let samples = [
            sample(Sent::Post(1), Outcome::Done, 1),
            sample(Sent::Post(2), Outcome::Done, 1),
            sample(Sent::Post(3), Outcome::Done, 1),
            sample(Sent::Post(4), lost(), 1),
            sample(Sent::Post(5), Outcome::Refused, 1),
            sample(Sent::Post(6), unknown(), 1),
            sample(Sent::Post(7), lost(), 1),
            sample(Sent::Post(8), Outcome::Unsure, 1),
        ];
        let stored = HashMap::from([(1, 1), (2, 2), (4, 1), (5, 1), (6, 1), (8, 1)]);
        assert_eq!(
            compare(&samples, &stored),
            Writes {
                missing: 1,
                doubled: 1,
                ghosts: 2,
                unknown_stored: 2,
                left_behind: 0,
            }
        );
    }

    #[test]
    fn refusals_and_slowness_do_not_make_a_report_unclean_but_an_unread_list_does() {
        let samples = [
            sample(Sent::Get, Outcome::Refused, 5000),
            sample(Sent::Get, Outcome::Done, 5000),
        ];
        let slow = Duration::from_secs(1);
        assert!(Report::new(&samples, slow, Some(Writes::default())).is_clean());
        assert!(!Report::new(&samples, slow, None).is_clean());
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let values: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&values, 50), Duration::from_millis(100));
        assert_eq!(percentile(&values, 99), Duration::from_millis(198));
        assert_eq!(percentile(&values[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}

//! How a probe shows itself: a line for each second, and the table at the end.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter, Result};
use std::time::Duration;

use super::outcome::{Outcome, Sample};
use super::report::{Report, percentile};

/// What happened in one second, by the moment at which answers came.
#[derive(Debug, Clone, Default)]
pub struct Second {
    /// Which one, from 0.
    pub number: u64,
    /// Requests sent in it.
    pub sent: usize,
    /// Answers with 2xx.
    pub ok: usize,
    /// Lost reads and writes.
    pub lost: usize,
    /// 503 with `Retry-After`.
    pub refused: usize,
    /// Writes without an answer.
    pub unknown: usize,
    /// Late answers.
    pub slow: usize,
    latencies: Vec<Duration>,
    instances: BTreeMap<String, usize>,
}

impl Second {
    pub(super) fn add(&mut self, sample: &Sample, slow: Duration) {
        match sample.outcome {
            Outcome::Done => self.ok += 1,
            Outcome::Refused | Outcome::Unsure => self.refused += 1,
            Outcome::Lost(_) => self.lost += 1,
            Outcome::Unknown(_) => self.unknown += 1,
        }
        if let Some(instance) = &sample.instance {
            *self.instances.entry(instance.clone()).or_default() += 1;
            self.latencies.push(sample.latency);
            self.slow += usize::from(sample.latency > slow);
        }
    }

    /// Tells whether nothing was sent in it and nothing came back.
    pub(super) fn is_empty(&self) -> bool {
        let ended = self.ok + self.lost + self.refused + self.unknown;
        self.sent + ended == 0
    }

    pub(super) fn next(&self) -> Self {
        Self {
            number: self.number + 1,
            ..Self::default()
        }
    }
}

impl Display for Second {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        write!(
            f,
            "{:4} s  sent {:5}  ok {:5}  lost {:3}  refused {:3}  unknown {:3}  slow {:3}  p99 {:>8}",
            self.number + 1,
            self.sent,
            self.ok,
            self.lost,
            self.refused,
            self.unknown,
            self.slow,
            milliseconds(percentile(&latencies, 99))
        )?;
        for (instance, answers) in &self.instances {
            write!(f, "  {instance} {answers}")?;
        }
        Ok(())
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let gets = self.sent - self.sent_post;
        writeln!(
            f,
            "sent          {:7}   {gets} GET, {} POST",
            self.sent, self.sent_post
        )?;
        writeln!(f, "ok            {:7}", self.ok)?;
        writeln!(f, "lost GET      {:7}", self.lost_get)?;
        writeln!(f, "lost POST     {:7}", self.lost_post)?;
        writeln!(f, "refused       {:7}   503 with Retry-After", self.refused)?;
        writeln!(
            f,
            "unknown       {:7}   POST without an answer",
            self.unknown
        )?;
        for (cause, count) in &self.causes {
            writeln!(f, "  {count} × {cause}")?;
        }
        write_stored(self, f)?;
        writeln!(f, "slow          {:7}", self.slow)?;
        writeln!(
            f,
            "latency       p50 {}, p99 {}, max {}",
            milliseconds(self.p50),
            milliseconds(self.p99),
            milliseconds(self.max)
        )?;
        let answers: usize = self.instances.values().sum();
        for (instance, count) in &self.instances {
            // Tenths of a percent, rounded, without a detour through floats.
            let permille = (count * 1000 + answers / 2) / answers.max(1);
            writeln!(
                f,
                "{instance:13} {count:7}   {}.{} %",
                permille / 10,
                permille % 10
            )?;
        }
        write!(
            f,
            "{}",
            if self.is_clean() {
                "nothing was lost"
            } else {
                "NOT CLEAN"
            }
        )
    }
}

fn write_stored(report: &Report, f: &mut Formatter<'_>) -> Result {
    let Some(writes) = &report.writes else {
        return writeln!(
            f,
            "the songs could not be read back: writes are not checked"
        );
    };
    writeln!(
        f,
        "lost writes   {:7}   acknowledged, but not stored",
        writes.missing
    )?;
    writeln!(
        f,
        "doubled       {:7}   stored more than once",
        writes.doubled
    )?;
    writeln!(
        f,
        "ghosts        {:7}   stored, though said to have failed",
        writes.ghosts
    )?;
    if report.unknown > 0 {
        writeln!(
            f,
            "unknown       {:7}   of those without an answer are stored",
            writes.unknown_stored
        )?;
    }
    if writes.left_behind > 0 {
        writeln!(
            f,
            "left behind   {:7}   could not be removed",
            writes.left_behind
        )?;
    }
    Ok(())
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{Sent, Writes};

    #[test]
    fn the_table_says_whether_anything_was_lost() {
        let sample = |instance: &str| Sample {
            sent: Sent::Get,
            outcome: Outcome::Done,
            due: std::time::Instant::now(),
            latency: Duration::from_millis(5),
            instance: Some(instance.to_owned()),
        };
        let samples = [sample("api_1"), sample("api2_1"), sample("api2_1")];
        let slow = Duration::from_secs(1);
        let clean = Report::new(&samples, slow, Some(Writes::default())).to_string();
        assert!(clean.ends_with("nothing was lost"), "{clean}");
        assert!(clean.contains("66.7 %"), "{clean}");
        let unread = Report::new(&samples, slow, None).to_string();
        assert!(unread.ends_with("NOT CLEAN"), "{unread}");
    }
}

//! Figures: what was measured, the median and the range of its rounds, and what it must keep. Pure.

use serde::{Deserialize, Serialize};

/// The name of our own column.
pub(super) const OURS: &str = "ours";

/// One line of the table: the same quantity of several programs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Figure {
    /// The row that it belongs to, and what is special in it, such as `static-small, gzip`.
    pub(super) row: String,
    /// What is counted, such as `CPU µs per request`.
    pub(super) unit: String,
    /// One entry for each program, ours first.
    pub(super) columns: Vec<Column>,
    /// What our column must keep.
    pub(super) goals: Vec<Goal>,
}

/// What one program needed, round by round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Column {
    /// The program.
    pub(super) who: String,
    /// One value for each round.
    pub(super) rounds: Vec<f64>,
}

/// A bound of our median.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Goal {
    /// At most so many times the median of another column.
    Times(f64, String),
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

/// What became of a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is kept.
    Kept,
    /// It is not.
    Missed,
    /// The other program, or our own figure, is absent.
    Unknown,
}

/// A line through points of one program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    /// The program or the variant.
    pub(super) who: String,
    /// Pairs of x and y.
    pub(super) points: Vec<(f64, f64)>,
}

/// A plot: lines over a common axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Curve {
    /// The name of its file, without `.svg`.
    pub(super) name: String,
    /// What stands above it.
    pub(super) title: String,
    /// What x is.
    pub(super) x: String,
    /// What y is.
    pub(super) y: String,
    /// The lines.
    pub(super) lines: Vec<Line>,
}

impl Column {
    /// The middle of the rounds; of an even number the mean of the two in the middle.
    pub(super) fn median(&self) -> Option<f64> {
        let mut sorted = self.rounds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        if sorted.len() % 2 == 1 {
            return Some(upper);
        }
        Some(f64::midpoint(*sorted.get(middle.checked_sub(1)?)?, upper))
    }

    /// The least and the most of the rounds.
    pub(super) fn range(&self) -> Option<(f64, f64)> {
        let least = self.rounds.iter().copied().min_by(f64::total_cmp)?;
        let most = self.rounds.iter().copied().max_by(f64::total_cmp)?;
        Some((least, most))
    }
}

impl Figure {
    /// A figure without goals.
    pub(super) fn new(row: impl Into<String>, unit: &str, columns: Vec<Column>) -> Self {
        Self {
            row: row.into(),
            unit: unit.to_owned(),
            columns,
            goals: Vec::new(),
        }
    }

    /// One value of ours.
    pub(super) fn ours(row: impl Into<String>, unit: &str, value: f64) -> Self {
        let who = OURS.to_owned();
        let rounds = vec![value];
        Self::new(row, unit, vec![Column { who, rounds }])
    }

    /// The same with another goal.
    pub(super) fn goal(mut self, goal: Goal) -> Self {
        self.goals.push(goal);
        self
    }

    /// The median of a program, if it was measured.
    pub(super) fn median(&self, who: &str) -> Option<f64> {
        self.columns
            .iter()
            .find(|column| column.who == who)
            .and_then(Column::median)
    }

    /// Our median as a multiple of another program's.
    pub(super) fn ratio(&self, who: &str) -> Option<f64> {
        let theirs = self.median(who).filter(|theirs| *theirs > 0.0)?;
        Some(self.median(OURS)? / theirs)
    }

    /// Tells whether our median keeps a goal.
    pub(super) fn verdict(&self, goal: &Goal) -> Verdict {
        let kept = match goal {
            Goal::Times(times, who) => self.ratio(who).map(|ratio| ratio <= *times),
            Goal::AtMost(most) => self.median(OURS).map(|ours| ours <= *most),
            Goal::AtLeast(least) => self.median(OURS).map(|ours| ours >= *least),
        };
        match kept {
            Some(true) => Verdict::Kept,
            Some(false) => Verdict::Missed,
            None => Verdict::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(who: &str, rounds: &[f64]) -> Column {
        Column {
            who: who.to_owned(),
            rounds: rounds.to_vec(),
        }
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(column("a", &[9.0, 1.0, 5.0]).median(), Some(5.0));
        assert_eq!(column("a", &[4.0, 1.0, 2.0, 9.0]).median(), Some(3.0));
        assert_eq!(column("a", &[]).median(), None);
        assert_eq!(column("a", &[9.0, 1.0, 5.0]).range(), Some((1.0, 9.0)));
    }

    #[test]
    fn a_goal_is_judged_by_medians_and_unknown_without_the_peer() {
        let columns = vec![column(OURS, &[30.0, 31.0, 90.0]), column("nginx", &[20.0])];
        let figure = Figure::new("hop-small", "µs", columns);
        let times = |times, who: &str| figure.verdict(&Goal::Times(times, who.to_owned()));
        assert_eq!(figure.ratio("nginx"), Some(1.55));
        assert_eq!(times(1.6, "nginx"), Verdict::Kept);
        assert_eq!(times(1.5, "nginx"), Verdict::Missed);
        assert_eq!(times(0.6, "Caddy"), Verdict::Unknown);
        assert_eq!(figure.verdict(&Goal::AtMost(31.0)), Verdict::Kept);
        assert_eq!(figure.verdict(&Goal::AtLeast(32.0)), Verdict::Missed);
    }
}

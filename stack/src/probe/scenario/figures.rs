//! The figures table, as Markdown: a line for each row, load and proxy, the worst of its runs. Pure.

use std::fmt::Write;
use std::time::Duration;

use super::measure::{Bound, Counts, Load, Measure, Run, Seen};
use super::row::{Place, Row};

const HEAD: [&str; 12] = [
    "event",
    "load",
    "runs",
    "sent",
    "lost GET",
    "lost POST",
    "doubled",
    "ghosts",
    "refused",
    "worst extra latency",
    "out within",
    "back within",
];

/// Writes the table; behind each time stands, in brackets, what it may be.
pub fn markdown(runs: &[Run]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned).to_vec()];
    let mut notes = Vec::new();
    for group in groups(runs) {
        lines.push(line(&group));
        notes.extend(note(&group));
    }
    let mut text = aligned(&lines);
    if !notes.is_empty() {
        text.push('\n');
        for note in notes {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "- {note}");
        }
    }
    text
}

/// The runs of the same line, in the order of their first.
fn groups(runs: &[Run]) -> Vec<Vec<&Run>> {
    let mut groups: Vec<Vec<&Run>> = Vec::new();
    for run in runs {
        match groups.iter_mut().find(|group| is_same(group[0], run)) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    groups
}

fn is_same(one: &Run, other: &Run) -> bool {
    let key = |run: &Run| (run.row, run.place, run.proxy.clone());
    key(one) == key(other) && one.load == other.load
}

fn line(group: &[&Run]) -> Vec<String> {
    let first = group[0];
    let counts = sum(group);
    let figure = first.figure();
    let whose = if first.proxy == "ours" {
        String::new()
    } else {
        format!(", {}", first.proxy)
    };
    let mut cells = vec![
        format!("{}{whose}", first.row.title(first.place)),
        load(&first.load),
        group.len().to_string(),
    ];
    let counts = [
        counts.sent,
        counts.lost_get,
        counts.lost_post,
        counts.doubled,
        counts.ghosts,
        counts.refused,
    ];
    cells.extend(counts.map(|count| count.to_string()));
    let worst = |seen: fn(&Run) -> Seen| group.iter().map(|run| seen(run)).max();
    cells.push(time(worst(|run| run.extra), figure.extra));
    cells.push(time(worst(|run| run.out), figure.out));
    cells.push(time(worst(|run| run.back), figure.back));
    cells
}

fn sum(group: &[&Run]) -> Counts {
    group.iter().fold(Counts::default(), |sum, run| Counts {
        sent: sum.sent + run.counts.sent,
        lost_get: sum.lost_get + run.counts.lost_get,
        lost_post: sum.lost_post + run.counts.lost_post,
        doubled: sum.doubled + run.counts.doubled,
        ghosts: sum.ghosts + run.counts.ghosts,
        refused: sum.refused + run.counts.refused,
        unread: sum.unread + run.counts.unread,
    })
}

fn load(load: &Load) -> String {
    let connections = if load.new_connections {
        "new connections"
    } else {
        "keep-alive"
    };
    format!("{}/s, {connections}", load.rate)
}

fn time(seen: Option<Seen>, figure: Option<Duration>) -> String {
    let text = match seen {
        None | Some(Seen::NotAsked) => return String::new(),
        Some(Seen::Never) => "never".to_owned(),
        Some(Seen::After(time)) => readable(time),
    };
    match figure {
        Some(figure) => format!("{text} ({})", readable(figure)),
        None => text,
    }
}

/// Whole milliseconds below a second, else tenths of a second.
fn readable(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

/// What else belongs to a line: its further values, and why anything was lost.
fn note(group: &[&Run]) -> Option<String> {
    let first = group[0];
    let mut parts: Vec<_> = (0..first.measures.len())
        .filter_map(|index| worst_measure(group, index))
        .map(|measure| {
            let (word, bound) = match measure.bound {
                Bound::AtMost(bound) => ("at most", bound),
                Bound::AtLeast(bound) => ("at least", bound),
            };
            format!(
                "{}: {} ({word} {})",
                measure.what,
                short(measure.value),
                short(bound)
            )
        })
        .collect();
    parts.extend(group.iter().flat_map(|run| run.causes.iter().cloned()));
    let whose = &first.proxy;
    (!parts.is_empty()).then(|| {
        format!(
            "{} ({whose}, {}): {}.",
            first.row.title(first.place),
            load(&first.load),
            parts.join("; ")
        )
    })
}

fn worst_measure<'a>(group: &[&'a Run], index: usize) -> Option<&'a Measure> {
    let measures = group.iter().filter_map(|run| run.measures.get(index));
    measures.max_by(|one, other| match one.bound {
        Bound::AtMost(_) => one.value.total_cmp(&other.value),
        Bound::AtLeast(_) => other.value.total_cmp(&one.value),
    })
}

/// One digit after the point, unless it is a nought.
fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

fn aligned(lines: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..HEAD.len()).map(width).collect();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        for (cell, &width) in line.iter().zip(&widths) {
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if index == 0 {
            for width in &widths {
                let _ = write!(text, "| {} ", "-".repeat((*width).max(3)));
            }
            text.push_str("|\n");
        }
    }
    text
}

/// Says which rows a place has no line for, and why.
pub fn missing(row: Row, place: Place, why: &str) -> String {
    format!("not measured: {}: {why}", row.title(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(extra: u64, lost: usize) -> Run {
        Run {
            row: Row::Kill,
            place: Place::Native,
            proxy: "ours".to_owned(),
            load: Load {
                rate: 40.0,
                post: 0.3,
                new_connections: false,
            },
            counts: Counts {
                sent: 100,
                lost_get: lost,
                ..Counts::default()
            },
            causes: Vec::new(),
            extra: Seen::After(Duration::from_millis(extra)),
            out: Seen::After(Duration::ZERO),
            back: Seen::Never,
            measures: Vec::new(),
        }
    }

    #[test]
    fn runs_of_one_line_are_added_up_and_the_worst_time_is_shown() {
        let text = markdown(&[run(10, 0), run(30, 2), run(20, 0)]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        let cells: Vec<_> = lines[2].split('|').map(str::trim).collect();
        assert_eq!(cells[1], "`kill -9` of an API");
        assert_eq!(cells[2..5], ["40/s, keep-alive", "3", "300"]);
        assert_eq!(cells[5], "2");
        assert_eq!(
            cells[10..13],
            ["30 ms (50 ms)", "0 ms", "never (1.0 s)"],
            "{text}"
        );
    }

    #[test]
    fn a_peer_and_another_load_have_lines_of_their_own() {
        let mut peer = run(10, 0);
        peer.proxy = "nginx".to_owned();
        let mut faster = run(10, 0);
        faster.load.rate = 300.0;
        let text = markdown(&[run(1, 0), peer, faster]);
        assert_eq!(text.lines().count(), 5, "{text}");
        assert!(text.contains("`kill -9` of an API, nginx"), "{text}");
    }

    #[test]
    fn further_values_and_causes_stand_below() {
        let mut one = run(1, 1);
        one.causes.push("1 × GET: 502".to_owned());
        one.measures.push(Measure {
            what: "memory, MiB",
            value: 120.04,
            bound: Bound::AtMost(200.0),
            judged: true,
        });
        let text = markdown(&[one]);
        let note = text.lines().last().unwrap();
        assert!(
            note.ends_with("memory, MiB: 120 (at most 200); 1 × GET: 502."),
            "{note}"
        );
    }
}

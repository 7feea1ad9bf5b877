//! The table: one line for each figure, for a terminal and for the pages. Pure.

use super::figure::{Column, Figure, Goal, Verdict};

/// Who has a column, in this order; others are named in the cell of "also".
const COLUMNS: [&str; 5] = ["ours", "nginx", "HAProxy", "Caddy", "Django"];

/// Renders figures as a Markdown table, which a terminal shows aligned as well.
pub(super) fn table<'a>(figures: impl IntoIterator<Item = &'a Figure>) -> String {
    let figures: Vec<_> = figures.into_iter().collect();
    let measured = |who: &&str| figures.iter().any(|f| f.median(who).is_some());
    let shown: Vec<&str> = COLUMNS.into_iter().filter(measured).collect();
    let also = figures.iter().any(|f| !others(f).is_empty());
    let bounded = figures.iter().any(|f| !f.goals.is_empty());
    let mut head = vec!["row".to_owned(), String::new()];
    head.extend(shown.iter().map(|who| (*who).to_owned()));
    if also {
        head.push("also".to_owned());
    }
    if bounded {
        head.push("ours must be".to_owned());
    }
    let mut lines = vec![head];
    for figure in figures {
        let mut line = vec![figure.row.clone(), figure.unit.clone()];
        line.extend(shown.iter().map(|who| cell(figure, who)));
        if also {
            line.push(others(figure));
        }
        if bounded {
            let goals = figure.goals.iter().map(|goal| judged(figure, goal));
            line.push(goals.collect::<Vec<_>>().join("; "));
        }
        lines.push(line);
    }
    aligned(&lines)
}

fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(&widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!(" {cell:<width$} "))
            .collect();
        text.push_str(&format!("|{}|\n", cells.join("|")));
        if number == 0 {
            let rule: Vec<_> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
            text.push_str(&format!("|{}|\n", rule.join("|")));
        }
    }
    text
}

fn cell(figure: &Figure, who: &str) -> String {
    let column = figure.columns.iter().find(|column| column.who == who);
    column.map_or_else(|| "–".to_owned(), |column| described(figure, column))
}

fn described(figure: &Figure, column: &Column) -> String {
    let (Some(median), Some((least, most))) = (column.median(), column.range()) else {
        return "absent".to_owned();
    };
    let mut text = number(median);
    if column.rounds.len() > 1 {
        text.push_str(&format!(" ({} to {})", number(least), number(most)));
    }
    if column.who != COLUMNS[0]
        && let Some(ratio) = figure.ratio(&column.who)
    {
        text.push_str(&format!(", ×{}", number(ratio)));
    }
    text
}

fn others(figure: &Figure) -> String {
    let others = figure.columns.iter();
    let others = others.filter(|column| !COLUMNS.contains(&column.who.as_str()));
    let texts: Vec<_> = others
        .map(|column| format!("{}: {}", column.who, described(figure, column)))
        .collect();
    texts.join("; ")
}

fn judged(figure: &Figure, goal: &Goal) -> String {
    let bound = match goal {
        Goal::Times(times, who) => format!("≤ {} × {who}", number(*times)),
        Goal::AtMost(most) => format!("≤ {}", number(*most)),
        Goal::AtLeast(least) => format!("≥ {}", number(*least)),
    };
    let verdict = match figure.verdict(goal) {
        Verdict::Kept => "kept",
        Verdict::Missed => "MISSED",
        Verdict::Unknown => "not known",
    };
    format!("{bound}: {verdict}")
}

/// A figure with as many digits as it is worth.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 1000.0 => grouped(value),
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        small if small >= 0.095 || small == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A large number in groups of three digits.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_median_range_ratio_and_verdict() {
        let column = |who: &str, rounds: &[f64]| Column {
            who: who.to_owned(),
            rounds: rounds.to_vec(),
        };
        let columns = vec![
            column("ours", &[30.0, 29.0, 31.0]),
            column("nginx", &[20.0]),
            column("nginx, big buffers", &[10.0]),
        ];
        let figure = Figure::new("hop-small", "CPU µs/request", columns)
            .goal(Goal::Times(1.6, "nginx".to_owned()))
            .goal(Goal::AtMost(1.0));
        let text = table([&figure]);
        assert_eq!(text.lines().count(), 3);
        for part in [
            "30.0 (29.0 to 31.0)",
            "| 20.0, ×1.50",
            "nginx, big buffers: 10.0, ×3.00",
            "≤ 1.60 × nginx: kept; ≤ 1.00: MISSED",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("Caddy"), "{text}");
    }

    #[test]
    fn numbers_have_the_digits_that_they_are_worth() {
        let texts = [1234567.0, 432.1, 17.54, 1.234, 0.0123].map(number);
        assert_eq!(
            texts,
            ["1\u{202f}234\u{202f}567", "432", "17.5", "1.23", "0.012"]
        );
    }
}

//! Draws the outcome of a simulation for a terminal: order, shares, what each server got when.

use std::fmt::Write;
use std::time::Duration;

use super::Plan;
use super::outcome::Outcome;

/// How wide a drawing is.
const WIDTH: usize = 60;
/// From nothing to all.
const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Draws an outcome.
pub fn draw(plan: &Plan, outcome: &Outcome) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write(&mut text, plan, outcome);
    text
}

fn write(text: &mut String, plan: &Plan, outcome: &Outcome) -> std::fmt::Result {
    let length = plan.length;
    let method = plan.method.name();
    let rate = plan.rate;
    let seed = plan.seed;
    writeln!(
        text,
        "{method}, {rate} requests/s for {length:?}, seed {seed}\n"
    )?;
    let name = |index: usize| plan.servers[index].name.as_str();
    let order: Vec<&str> = outcome.order.iter().map(|&index| name(index)).collect();
    let shown = order.len().min(WIDTH / 2);
    let words: Vec<String> = order[..shown].chunks(10).map(|ten| ten.join(" ")).collect();
    writeln!(text, "order   {}\n", words.join("  "))?;
    shares(text, plan, outcome)?;
    writeln!(text, "\nrequests over time, {length:?} in all")?;
    for (index, served) in outcome.servers.iter().enumerate() {
        let columns = columns(&served.by_tenth, length);
        writeln!(
            text,
            "{:>6}  {}",
            name(index),
            sparks(&columns, outcome, length)
        )?;
    }
    let changes = changes(plan, outcome);
    if !changes.is_empty() {
        writeln!(text)?;
    }
    for (at, what) in changes {
        writeln!(text, "{:6.2}s {what}", at.as_secs_f64())?;
    }
    summary(text, outcome)
}

/// What changed after the beginning, by time.
fn changes(plan: &Plan, outcome: &Outcome) -> Vec<(Duration, String)> {
    let turns = outcome.turns.iter().map(|turn| {
        let name = &plan.servers[turn.server].name;
        let what = if turn.up {
            format!("{name} is up")
        } else {
            format!("{name} is out: {}", turn.cause)
        };
        (turn.at, what)
    });
    let degraded = outcome.degraded.iter().map(|&(at, is_degraded)| {
        let what = if is_degraded {
            "degraded: all say that the database is away; nobody is asked twice"
        } else {
            "no longer degraded"
        };
        (at, what.to_owned())
    });
    let mut changes: Vec<_> = turns.chain(degraded).collect();
    changes.retain(|(at, _)| !at.is_zero());
    changes.sort_by_key(|&(at, _)| at);
    changes
}

fn shares(text: &mut String, plan: &Plan, outcome: &Outcome) -> std::fmt::Result {
    let total: u64 = outcome
        .servers
        .iter()
        .map(|served| served.first + served.again)
        .sum();
    let longest = plan
        .servers
        .iter()
        .map(|s| s.name.len())
        .max()
        .unwrap_or(0)
        .max(6);
    for (server, served) in plan.servers.iter().zip(&outcome.servers) {
        let got = served.first + served.again;
        let share = got as f64 / total.max(1) as f64;
        let bar = "█".repeat((share * 30.0).round() as usize);
        writeln!(
            text,
            "{:>longest$}  {bar:<30} {:5.1} %  {got:>7} requests, weight {}, {} failed, at most {} in hand",
            server.name,
            share * 100.0,
            server.weight,
            served.failed,
            served.most_in_flight,
        )?;
    }
    Ok(())
}

/// Sums tenths of a second up to as many columns as a drawing is wide.
fn columns(by_tenth: &[u32], length: Duration) -> Vec<f64> {
    let tenths = usize::try_from(length.as_millis().div_ceil(100))
        .unwrap_or(1)
        .max(1);
    let per_column = tenths.div_ceil(WIDTH).max(1);
    let count = tenths.div_ceil(per_column);
    (0..count)
        .map(|column| {
            let from = column * per_column;
            let sum: u32 = by_tenth.iter().skip(from).take(per_column).sum();
            f64::from(sum) / per_column.min(tenths - from) as f64
        })
        .collect()
}

fn sparks(own: &[f64], outcome: &Outcome, length: Duration) -> String {
    let all = outcome
        .servers
        .iter()
        .flat_map(|served| columns(&served.by_tenth, length));
    let most = all.fold(1.0, f64::max);
    let height = |value: f64| {
        let step = (value / most * 8.0).ceil() as usize;
        HEIGHTS[step.min(8)]
    };
    own.iter().map(|&value| height(value)).collect()
}

fn summary(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let Outcome {
        sent,
        well,
        refused,
        errors,
        ..
    } = outcome;
    writeln!(
        text,
        "\n{sent} sent, {well} answered, {refused} refused with 503, {errors} errors passed on"
    )?;
    if outcome.waited > 0 {
        let Outcome {
            waited,
            most_waiting,
            ..
        } = outcome;
        writeln!(
            text,
            "{waited} waited for a place, at most {most_waiting} at a time"
        )?;
    }
    writeln!(
        text,
        "lost: {} reads, {} writes; writes doubled: {}, ghosts: {}",
        outcome.lost_reads, outcome.lost_writes, outcome.doubled, outcome.ghosts
    )?;
    let millis = |share| outcome.quantile(share).as_secs_f64() * 1e3;
    writeln!(
        text,
        "time: half below {:.0} ms, 99 % below {:.0} ms, all below {:.0} ms",
        millis(0.5),
        millis(0.99),
        millis(1.0)
    )?;
    for breach in &outcome.breaches {
        writeln!(text, "a law of the method was broken: {breach}")?;
    }
    Ok(())
}

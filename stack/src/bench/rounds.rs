//! Rounds: in each, every program has one turn under the same load, so that a slow minute of the machine
//! meets all of them.

use std::path::Path;

use super::figure::{Column, Figure};
use super::load::Load;
use super::usage::cpu_micros;
use crate::Fault;

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Turns of each program.
    pub(super) rounds: u32,
    /// Seconds of a turn.
    pub(super) seconds: u32,
}

/// Who takes part.
#[derive(Debug)]
pub(super) struct Entrant {
    /// The program's name.
    pub(super) who: String,
    /// What it is asked.
    pub(super) load: Load,
    /// Its processes, without their children.
    pub(super) processes: Vec<i32>,
}

/// What the turns of one program brought.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns {
    who: String,
    micros: Vec<f64>,
    per_second: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

/// Runs all rounds, after one short turn of each that does not count.
pub(super) async fn run(
    folder: &Path,
    plan: Plan,
    entrants: &[Entrant],
) -> Result<Vec<Turns>, Fault> {
    let mut all: Vec<_> = entrants.iter().map(|one| Turns::of(&one.who)).collect();
    for round in 0..=plan.rounds {
        for (entrant, turns) in entrants.iter().zip(&mut all) {
            let seconds = if round == 0 { 1 } else { plan.seconds };
            let before = cpu_micros(&entrant.processes).await?;
            let answered = match entrant.load.run(folder, seconds).await {
                Ok(answered) => answered,
                // The first turn may find a program that is still waking up.
                Err(_) if round == 0 => continue,
                Err(fault) => return Err(Fault::new(format!("{}: {fault}", entrant.who))),
            };
            let after = cpu_micros(&entrant.processes).await?;
            if round > 0 {
                turns.micros.push((after - before) / answered.requests);
                turns.per_second.push(answered.per_second());
                turns.p50.push(answered.p50 / 1000.0);
                turns.p99.push(answered.p99 / 1000.0);
            }
        }
    }
    Ok(all)
}

impl Turns {
    fn of(who: &str) -> Self {
        Self {
            who: who.to_owned(),
            ..Self::default()
        }
    }

    fn column(&self, values: &[f64]) -> Column {
        Column {
            who: self.who.clone(),
            rounds: values.to_vec(),
        }
    }

    /// Its CPU time per request, in microseconds.
    pub(super) fn micros(&self) -> Column {
        self.column(&self.micros)
    }

    /// Its requests per second.
    pub(super) fn per_second(&self) -> Column {
        self.column(&self.per_second)
    }

    /// Its latency at the 99th of a hundred, in milliseconds.
    pub(super) fn p99(&self) -> Column {
        self.column(&self.p99)
    }

    /// Its middle latency, in milliseconds.
    pub(super) fn p50(&self) -> Column {
        self.column(&self.p50)
    }
}

/// The figures of a row: CPU per request, and beside it what the machine made of it.
pub(super) fn figures(row: &str, turns: &[Turns]) -> Vec<Figure> {
    vec![
        Figure::new(row, CPU, turns.iter().map(Turns::micros).collect()),
        Figure::new(row, RATE, turns.iter().map(Turns::per_second).collect()),
        Figure::new(row, P50, turns.iter().map(Turns::p50).collect()),
        Figure::new(row, P99, turns.iter().map(Turns::p99).collect()),
    ]
}

/// The unit of what is judged.
pub(super) const CPU: &str = "CPU µs/request";
/// The unit of throughput.
pub(super) const RATE: &str = "requests/s";
/// The unit of the middle latency.
pub(super) const P50: &str = "p50 ms";
/// The unit of the high latency.
pub(super) const P99: &str = "p99 ms";

//! `stack bench`: what a request costs, beside nginx, `HAProxy`, Caddy and a Django stack, in the same run.
//!
//! A figure is the CPU time of a program with all its children, divided by the answers that it gave. Programs
//! take turns (A B C, A B C, …) on a core of their own; load and backend share another one. Peers that this
//! machine has not are named as absent. What a row does is in `hop`, `idle`, `api`, `scale` and
//! `big_list`; `rounds` takes the turns, `load` sends requests and checks answers, `usage` reads
//! /proc, `peer`, `whole` and `django` start programs with the settings of `stack/bench/`, `figure`,
//! `table` and `plot` show what came out, and `docs` writes it into the pages.

mod api;
mod big_list;
mod django;
mod docs;
mod figure;
mod hop;
mod idle;
mod load;
mod machine;
pub mod options;
pub(crate) mod origin;
mod peer;
mod plot;
mod postgres;
mod record;
mod rounds;
mod running;
mod scale;
mod site;
mod table;
mod usage;
mod whole;

use std::io::Write;
use std::path::Path;

use options::{BenchOptions, Row};

use crate::Fault;
use figure::Figure;
use machine::Machine;
use record::Record;
use rounds::{CPU, P50, P99, Plan};

/// Measures what was asked for; true if every row could be measured.
pub async fn from_terminal(options: &BenchOptions) -> Result<bool, Fault> {
    if options.docs {
        docs::write(&options.out).await?;
        return Ok(true);
    }
    load::wrk()?;
    idle::allow_connections();
    let machine = Machine::look().await;
    say(&machine.described());
    let mut records = Vec::new();
    let mut failed = Vec::new();
    for row in Row::chosen(&options.only) {
        remark(&format!("{} …", row.name()));
        match measure(row, options).await {
            Ok(mut record) => {
                record.machine = machine.clone();
                record.method = format!(
                    "{} rounds of {} s; CPU time from /proc, children included",
                    options.rounds, options.seconds
                );
                record.save(&options.out).await?;
                records.push(record);
            }
            Err(fault) => {
                remark(&format!("{}: {fault}", row.name()));
                failed.push(format!("{} could not be measured: {fault}", row.name()));
            }
        }
    }
    say(&table::table(records.iter().flat_map(shown)));
    for remark in records.iter().flat_map(|record| &record.remarks) {
        say(remark);
    }
    plots(&options.out).await?;
    for sentence in &failed {
        say(sentence);
    }
    Ok(failed.is_empty())
}

async fn measure(row: Row, options: &BenchOptions) -> Result<Record, Fault> {
    let plan = Plan {
        rounds: options.rounds,
        seconds: options.seconds,
    };
    match row {
        Row::HopSmall | Row::Hop8k | Row::Hop100k | Row::HopClose | Row::HopPost | Row::HopTls => {
            hop::hop(row, plan).await
        }
        Row::Handshakes => hop::handshaking(row, plan).await,
        Row::StaticSmall | Row::Static1m => hop::file(row, plan).await,
        Row::Idle => idle::idle(row).await,
        Row::Memory => idle::memory(row, options.memory_seconds).await,
        Row::Connections => hop::connections(row, plan).await,
        Row::Servers => hop::servers(row, plan).await,
        Row::ApiList | Row::ApiItem | Row::ApiPost | Row::ApiPage => {
            api::row(row, plan, &options.django).await
        }
        Row::Scale => scale::scale(row, plan).await,
        Row::BigList => big_list::big_list(row, plan.rounds).await,
    }
}

/// What of a row stands in the table of the terminal; the JSON has all of it.
fn shown(record: &Record) -> impl Iterator<Item = &Figure> {
    let figures = record.figures.iter();
    figures.filter(|figure| figure.unit != P50 && figure.unit != P99)
}

/// Draws everything that the folder has, also of earlier runs.
async fn plots(folder: &Path) -> Result<(), Fault> {
    let records = Record::load(folder).await?;
    for (name, svg) in drawn(&records) {
        let file = folder.join(name);
        let written = tokio::fs::write(&file, svg).await;
        written.map_err(|error| Fault::new(format!("{}: {error}", file.display())))?;
    }
    Ok(())
}

/// All plots with the names of their files.
fn drawn(records: &[Record]) -> Vec<(String, String)> {
    let mut plots = Vec::new();
    let groups = [
        ("cpu-hop.svg", "CPU time of a hop", "hop-"),
        ("cpu-static.svg", "CPU time of a file", "static-"),
        ("cpu-api.svg", "CPU time of the whole stack", "api-"),
    ];
    for (file, title, prefix) in groups {
        let figures: Vec<_> = records
            .iter()
            .flat_map(|record| &record.figures)
            .filter(|f| {
                f.unit == CPU && f.row.starts_with(prefix) && !f.row.contains("connections")
            })
            .collect();
        if !figures.is_empty() {
            plots.push((file.to_owned(), plot::bars(title, CPU, &figures)));
        }
    }
    for curve in records.iter().flat_map(|record| &record.curves) {
        plots.push((format!("{}.svg", curve.name), plot::lines(curve)));
    }
    plots
}

/// Says a result.
fn say(text: &str) {
    // Nobody is left to tell when standard output is closed.
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
}

/// Says what is going on.
fn remark(text: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "bench: {text}");
}

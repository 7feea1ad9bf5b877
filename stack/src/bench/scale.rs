//! The whole stack by number of instances and of client connections.

use std::time::Duration;

use super::figure::{Curve, Figure, Line};
use super::load::Load;
use super::options::Row;
use super::postgres::Postgres;
use super::record::Record;
use super::rounds::{self, CPU, Entrant, P99, Plan, RATE};
use super::site::open_folder;
use super::whole::Whole;
use crate::Fault;
use crate::ask::{Address, get};

/// Instances of the API.
const INSTANCES: [usize; 4] = [1, 2, 4, 8];
/// Client connections.
const CONNECTIONS: [u32; 4] = [1, 8, 64, 256];

/// Measures a list of three rows in every combination.
pub(super) async fn scale(row: Row, plan: Plan) -> Result<Record, Fault> {
    let plan = Plan {
        rounds: plan.rounds.min(3),
        ..plan
    };
    let folder = open_folder()?;
    let postgres = Postgres::start().await?;
    let mut record = Record::new(row);
    let mut lines: Vec<(&str, Vec<Line>)> = vec![(RATE, vec![]), (CPU, vec![]), (P99, vec![])];
    for instances in INSTANCES {
        let database = format!("with{instances}");
        Whole::prepare(&postgres, &database, 3).await?;
        let whole = Whole::start(&postgres, &database, folder.path(), instances).await?;
        let path = "/api/music/";
        let address = Address::Tcp(whole.listen);
        let answer = get(&address, path, Duration::from_secs(30)).await;
        let answer = answer.map_err(|error| Fault::new(format!("{path}: {error}")))?;
        let mut figures: Vec<(f64, Figure)> = Vec::new();
        for connections in CONNECTIONS {
            let mut load = Load::get(whole.listen, path, answer.body.len());
            load.connections = connections;
            let entrant = Entrant {
                who: super::figure::OURS.to_owned(),
                load,
                processes: whole.processes(&postgres),
            };
            let turns = rounds::run(folder.path(), plan, &[entrant]).await?;
            let name = format!("{instances} instances, {connections} connections");
            for figure in rounds::figures(&name, &turns) {
                figures.push((f64::from(connections), figure));
            }
        }
        whole.end().await;
        for (unit, lines) in &mut lines {
            let of_unit = figures.iter().filter(|(_, figure)| figure.unit == *unit);
            let points = of_unit.filter_map(|(x, figure)| Some((*x, figure.median("ours")?)));
            lines.push(Line {
                who: format!("{instances} instances"),
                points: points.collect(),
            });
        }
        record
            .figures
            .extend(figures.into_iter().map(|(_, figure)| figure));
    }
    postgres.end().await;
    for (unit, lines) in lines {
        let (name, title) = match unit {
            RATE => ("scale-throughput", "The whole stack, a list of three rows"),
            CPU => ("scale-cpu", "CPU time of the whole stack"),
            _ => ("scale-latency", "Latency of the whole stack at full load"),
        };
        record.curves.push(Curve {
            name: name.to_owned(),
            title: title.to_owned(),
            x: "connections".to_owned(),
            y: unit.to_owned(),
            lines,
        });
    }
    Ok(record)
}

//! The rows of the whole stack beside the Django peer: proxy, API and Postgres together against nginx, uWSGI
//! and the same Postgres.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::django::{Django, Installed};
use super::figure::{Goal, OURS};
use super::load::Load;
use super::options::Row;
use super::postgres::Postgres;
use super::record::Record;
use super::rounds::{self, CPU, Entrant, Plan};
use super::site::open_folder;
use super::whole::Whole;
use crate::Fault;
use crate::ask::{Address, get};

/// The peer's name in tables.
const DJANGO: &str = "Django";
/// Instances of ours, as many as the peer has servers.
const INSTANCES: usize = 2;
/// How long one answer may take before the measurement.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures one row.
pub(super) async fn row(row: Row, plan: Plan, environment: &Path) -> Result<Record, Fault> {
    let songs = if row == Row::ApiPage { 100_000 } else { 3 };
    let folder = open_folder()?;
    let postgres = Postgres::start().await?;
    Whole::prepare(&postgres, "ours", songs).await?;
    let whole = Whole::start(&postgres, "ours", folder.path(), INSTANCES).await?;
    let mut record = Record::new(row);
    let django = match Installed::find(environment) {
        Some(installed) => {
            installed.prepare(&postgres, "django", songs).await?;
            Some(installed.start(&postgres, "django", folder.path()).await?)
        }
        None => {
            record.remarks.push(format!(
                "{}: Django is absent ({} is not there, or nginx is not)",
                row.name(),
                environment.display()
            ));
            None
        }
    };
    let measured = measure(row, plan, folder.path(), &postgres, &whole, django.as_ref());
    record.figures = measured.await?;
    whole.end().await;
    if let Some(django) = django {
        django.end().await;
    }
    postgres.end().await;
    Ok(record)
}

async fn measure(
    row: Row,
    plan: Plan,
    folder: &Path,
    postgres: &Postgres,
    whole: &Whole,
    django: Option<&Django>,
) -> Result<Vec<super::figure::Figure>, Fault> {
    let mut entrants = vec![Entrant {
        who: OURS.to_owned(),
        load: work(row, whole.listen).await?,
        processes: whole.processes(postgres),
    }];
    if let Some(django) = django {
        entrants.push(Entrant {
            who: DJANGO.to_owned(),
            load: work(row, django.listen).await?,
            processes: django.processes(postgres),
        });
    }
    let mut figures = Vec::new();
    let connections: &[u32] = if row == Row::ApiList {
        &[16, 64]
    } else {
        &[16]
    };
    for connections in connections {
        for entrant in &mut entrants {
            entrant.load.connections = *connections;
        }
        let turns = rounds::run(folder, plan, &entrants).await?;
        let name = match connections {
            16 => row.name(),
            more => format!("{}, {more} connections", row.name()),
        };
        figures.extend(rounds::figures(&name, &turns));
    }
    let times = match row {
        Row::ApiList | Row::ApiItem => Some(1.0 / 20.0),
        Row::ApiPost => Some(1.0 / 6.0),
        _ => None,
    };
    for figure in figures.iter_mut().filter(|figure| figure.unit == CPU) {
        let goal = times.map(|times| Goal::Times(times, DJANGO.to_owned()));
        figure.goals.extend(goal);
    }
    Ok(figures)
}

/// What a row asks of a stack, after one look at the answer.
async fn work(row: Row, listen: SocketAddr) -> Result<Load, Fault> {
    let path = match row {
        Row::ApiItem => "/api/music/1/",
        Row::ApiPage => "/api/music/?limit=50&offset=1000",
        _ => "/api/music/",
    };
    let answer = get(&Address::Tcp(listen), path, PATIENCE).await;
    let answer = answer.map_err(|error| Fault::new(format!("{path}: {error}")))?;
    let json = answer.json();
    let right = match row {
        Row::ApiItem => json["song"] == "Song 1",
        Row::ApiPage => json["results"]
            .as_array()
            .is_some_and(|page| page.len() == 50),
        _ => json.as_array().is_some_and(|list| list.len() == 3),
    };
    if !answer.status.is_success() || !right {
        let status = answer.status;
        return Err(Fault::new(format!(
            "{path} has another answer ({status}) than it should"
        )));
    }
    let mut load = Load::get(listen, path, answer.body.len());
    if row == Row::ApiPost {
        load.body = Some(r#"{"song": "Song of the bench", "singer": "Singer 1"}"#.to_owned());
        load.fields = vec![("Content-Type", "application/json")];
        load.length = (100, 300);
    }
    Ok(load)
}

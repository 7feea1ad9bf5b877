//! Runs the rows that a person asks for, and prints the table.

use std::io::Write;

use super::compose::Compose;
use super::event::{Lengths, on_stage};
use super::figures::{markdown, missing};
use super::measure::Run;
use super::native::Own;
use super::peers::Peer;
use super::row::{Place, Row};
use super::stage::Stage;
use super::tasks::{Proxy, Task, Wanted, tasks};
use super::{alone, machine};
use crate::Fault;
use crate::plan::Programs;

/// The stacks that are running, each started when the first row asks for it.
struct Stacks {
    programs: Programs,
    native: Option<Own>,
    compose: Option<Stage>,
    /// Why there can be no containers.
    without_docker: Option<String>,
}

/// What came of one task.
enum Outcome {
    Measured(Box<Run>),
    /// This machine lacks something that the row needs.
    NotHere(String),
}

/// Runs everything that is wanted; tells whether every count was as it must be.
pub async fn from_terminal(wanted: &Wanted, command: &str) -> Result<bool, Fault> {
    let mut stacks = Stacks {
        programs: Programs::find()?,
        native: None,
        compose: None,
        without_docker: None,
    };
    let mut runs = Vec::new();
    let mut remarks = Vec::new();
    let mut clean = true;
    for task in tasks(wanted) {
        tell(&format!("{task} …"));
        match stacks.run(&task).await {
            Ok(Outcome::Measured(run)) => {
                for fault in run.faults() {
                    tell(&format!("  {fault}"));
                    // What a peer loses is a figure to compare with, not a failure.
                    clean &= task.proxy != Proxy::Ours;
                }
                runs.push(*run);
            }
            Ok(Outcome::NotHere(why)) => {
                tell(&format!("  {why}"));
                clean &= wanted.all;
                note(&mut remarks, missing(task.row, task.place, &why));
            }
            Err(fault) => {
                tell(&format!("  {fault}"));
                clean = false;
                note(
                    &mut remarks,
                    missing(task.row, task.place, &fault.to_string()),
                );
                stacks.end().await;
            }
        }
    }
    stacks.end().await;
    print(&machine::described(command).await);
    print(&markdown(&runs));
    for remark in remarks {
        print(&format!("- {remark}."));
    }
    Ok(clean)
}

fn note(remarks: &mut Vec<String>, remark: String) {
    if !remarks.contains(&remark) {
        remarks.push(remark);
    }
}

impl Stacks {
    async fn run(&mut self, task: &Task) -> Result<Outcome, Fault> {
        if let Err(fault) = self.is_possible(task).await {
            return Ok(Outcome::NotHere(fault.to_string()));
        }
        let (row, load, lengths) = (task.row, task.load, &Lengths::FULL);
        let run = match (task.proxy, task.place) {
            (Proxy::Peer(peer), _) => {
                let Stage::Native(native) = self.native().await? else {
                    return Err(Fault::new("a peer stands before plain processes only"));
                };
                peer.run(native, row, load, lengths).await?
            }
            (Proxy::Ours, Place::Native) if row.needs_stand_ins() => {
                alone(&self.programs, row, load, lengths).await?
            }
            (Proxy::Ours, Place::Native) => {
                let stage = self.native().await?;
                on_stage(stage, row, load, lengths).await?
            }
            (Proxy::Ours, Place::Docker) => match &self.compose {
                Some(stage) => on_stage(stage, row, load, lengths).await?,
                None => return Err(Fault::new("there are no containers")),
            },
        };
        Ok(Outcome::Measured(Box::new(run)))
    }

    /// Whether this machine has what a task needs.
    async fn is_possible(&mut self, task: &Task) -> Result<(), Fault> {
        if let Proxy::Peer(peer) = task.proxy {
            return Peer::find(peer).map(drop);
        }
        match (task.row, task.place) {
            (Row::SlowHeads | Row::Idle, _) => super::allow_connections(10_000),
            (_, Place::Docker) => self.containers().await,
            _ => Ok(()),
        }
    }

    async fn containers(&mut self) -> Result<(), Fault> {
        if let Some(why) = &self.without_docker {
            return Err(Fault::new(why.clone()));
        }
        if self.compose.is_none() {
            match Compose::start().await {
                Ok(compose) => self.compose = Some(Stage::Compose(compose)),
                Err(fault) => {
                    self.without_docker = Some(fault.to_string());
                    return Err(fault);
                }
            }
        }
        Ok(())
    }

    async fn native(&mut self) -> Result<&Stage, Fault> {
        if self.native.is_none() {
            let stack = std::env::current_exe()
                .map_err(|error| Fault::new(format!("this program's own path: {error}")))?;
            self.native = Some(Own::start(&stack).await?);
        }
        let own = self.native.as_ref();
        own.map(|own| &own.stage)
            .ok_or_else(|| Fault::new("there is no stack"))
    }

    /// Ends what runs; a stack that cannot be ended in order is killed when it is dropped.
    async fn end(&mut self) {
        if let Some(own) = self.native.take()
            && let Err(fault) = own.end().await
        {
            tell(&format!("  {fault}"));
        }
        if let Some(Stage::Compose(compose)) = self.compose.take()
            && let Err(fault) = compose.end().await
        {
            tell(&format!("  {fault}"));
        }
    }
}

/// Says how it goes on, beside the table.
fn tell(text: &str) {
    // Nobody may be listening.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn print(text: &str) {
    // A reader such as `head` may have read enough.
    let _ = writeln!(std::io::stdout(), "{text}");
}

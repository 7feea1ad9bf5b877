//! The record of a row: its figures and plots, where it was measured, kept as JSON.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::figure::{Curve, Figure};
use super::machine::Machine;
use super::options::Row;
use crate::Fault;

/// Everything that is kept of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The row.
    pub(super) row: String,
    /// How often and how long.
    pub(super) method: String,
    /// Where and when.
    pub(super) machine: Machine,
    /// The lines of the table.
    pub(super) figures: Vec<Figure>,
    /// The plots.
    pub(super) curves: Vec<Curve>,
    /// What else is to be said, such as who is absent.
    pub(super) remarks: Vec<String>,
}

impl Record {
    /// An empty one.
    pub(super) fn new(row: Row) -> Self {
        Self {
            row: row.name(),
            method: String::new(),
            machine: Machine::default(),
            figures: Vec::new(),
            curves: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Writes it into `FOLDER/ROW.json`.
    pub(super) async fn save(&self, folder: &Path) -> Result<(), Fault> {
        let failed = |error: std::io::Error| Fault::new(format!("{}: {error}", folder.display()));
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        tokio::fs::create_dir_all(folder).await.map_err(failed)?;
        let file = folder.join(format!("{}.json", self.row));
        tokio::fs::write(file, text).await.map_err(failed)
    }

    /// Reads all that a folder has, in the order of the rows.
    pub(super) async fn load(folder: &Path) -> Result<Vec<Self>, Fault> {
        let mut records = Vec::new();
        for row in Row::chosen(&[]) {
            let file = folder.join(format!("{}.json", row.name()));
            // A row that was not measured has none.
            let Ok(text) = tokio::fs::read(&file).await else {
                continue;
            };
            let record = serde_json::from_slice(&text);
            records
                .push(record.map_err(|error| Fault::new(format!("{}: {error}", file.display())))?);
        }
        Ok(records)
    }
}

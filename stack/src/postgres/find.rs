//! Finds Postgres's programs: the version that the data was made with, else the newest.

use std::path::{Path, PathBuf};

use crate::Fault;
use crate::layout::Layout;
use crate::process::in_path;

/// Where Debian and Ubuntu put one folder for each version, `15`, `17` …
const DEBIAN: &str = "/usr/lib/postgresql";

/// One installed version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The folder of `postgres` and `initdb`.
    pub programs: PathBuf,
    /// The major version, if the folder's name tells it.
    pub version: Option<u32>,
}

impl Installation {
    /// The server.
    pub fn postgres(&self) -> PathBuf {
        self.programs.join("postgres")
    }

    /// The program that makes a new data folder.
    pub fn initdb(&self) -> PathBuf {
        self.programs.join("initdb")
    }
}

/// Finds the installation to use.
pub async fn find(layout: &Layout) -> Result<Installation, Fault> {
    let made_by = tokio::fs::read_to_string(layout.data.join("PG_VERSION")).await;
    let made_by = made_by.ok().and_then(|text| text.trim().parse().ok());
    choose(&installed().await, made_by)
}

/// Lists what is installed; what PATH names comes first.
async fn installed() -> Vec<Installation> {
    let mut found = Vec::new();
    if let Some(folder) = in_path("initdb").as_deref().and_then(Path::parent) {
        found.push(folder.to_owned());
    }
    if let Ok(mut entries) = tokio::fs::read_dir(DEBIAN).await {
        while let Ok(Some(entry)) = entries.next_entry().await {
            found.push(entry.path().join("bin"));
        }
    }
    found.retain(|programs| {
        programs.join("postgres").is_file() && programs.join("initdb").is_file()
    });
    found
        .into_iter()
        .map(|programs| Installation {
            version: version_in(&programs),
            programs,
        })
        .collect()
}

/// Reads 17 out of `/usr/lib/postgresql/17/bin`.
fn version_in(programs: &Path) -> Option<u32> {
    let canonical = programs.canonicalize().ok()?;
    canonical.parent()?.file_name()?.to_str()?.parse().ok()
}

fn choose(installed: &[Installation], made_by: Option<u32>) -> Result<Installation, Fault> {
    let fits =
        |one: &&Installation| made_by.is_none() || one.version.is_none() || one.version == made_by;
    let chosen = installed
        .iter()
        .filter(fits)
        .max_by_key(|one| one.version)
        .cloned();
    chosen.ok_or_else(|| match made_by {
        Some(version) if !installed.is_empty() => Fault::new(format!(
            "the data was made by Postgres {version}, which is not installed any more: install it, or remove the data"
        )),
        _ => Fault::new(
            "no Postgres on this machine: install it (Debian and Ubuntu: apt-get install postgresql), or give --database-url",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: u32) -> Installation {
        Installation {
            programs: format!("{DEBIAN}/{number}/bin").into(),
            version: Some(number),
        }
    }

    #[test]
    fn the_newest_is_taken_for_new_data() {
        let chosen = choose(&[version(15), version(17), version(9)], None);
        assert_eq!(chosen.unwrap(), version(17));
    }

    #[test]
    fn data_stays_with_the_version_that_made_it() {
        let chosen = choose(&[version(15), version(17)], Some(15));
        assert_eq!(chosen.unwrap(), version(15));
        let fault = choose(&[version(17)], Some(15)).unwrap_err().to_string();
        assert!(fault.contains("Postgres 15"), "{fault}");
    }

    #[test]
    fn a_machine_without_postgres_is_told_what_to_do() {
        let fault = choose(&[], None).unwrap_err().to_string();
        assert!(fault.contains("--database-url"), "{fault}");
    }
}

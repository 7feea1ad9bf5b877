//! What is wrong with a configuration, told in one line each.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong or doubtful, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; `None` when the fault is none of one line.
    pub line: Option<usize>,
    /// The key from the top, such as `upstreams.music.servers[1].weight`; empty for the whole file.
    pub key: String,
    /// What was expected and what is there.
    pub sentence: String,
    /// Whether the configuration can be used all the same.
    pub severity: Severity,
}

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration does what it says, which is hardly what is meant.
    Warning,
}

impl Fault {
    /// An error of the file as a whole.
    pub(super) fn of_file(file: &Path, line: Option<usize>, sentence: String) -> Self {
        Self {
            file: file.to_owned(),
            line,
            key: String::new(),
            sentence,
            severity: Severity::Error,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.display().fmt(f)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if self.severity == Severity::Warning {
            f.write_str(": warning")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.sentence)
    }
}

/// A configuration that cannot be used, with all that is wrong in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    faults: Vec<Fault>,
}

impl Refused {
    /// The faults, at least one.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Gives the faults away, at least one.
    pub fn into_faults(self) -> Vec<Fault> {
        self.faults
    }
}

impl From<Vec<Fault>> for Refused {
    fn from(mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| fault.line);
        Self { faults }
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self {
            faults: vec![fault],
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

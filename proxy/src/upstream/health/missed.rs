//! A health check that failed, in words.

use std::io::ErrorKind;

use super::Probe;
use crate::upstream::settings::HealthSettings;

/// A check that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missed {
    /// The server said something, if only that it is not well.
    pub(super) answered: bool,
    /// What was asked and what came of it.
    pub(super) words: String,
}

impl Missed {
    /// Describes what a check by these settings found; `None` if it did not fail.
    pub(super) fn of(probe: Probe, settings: &HealthSettings) -> Option<Self> {
        let found = match probe {
            Probe::Unwell(status) => {
                let path = settings.path.as_deref().unwrap_or_default();
                format!("{status} from GET {path}")
            }
            Probe::NotConnected(ErrorKind::NotFound) => "there is no such socket".to_owned(),
            Probe::NotConnected(kind) => kind.to_string(),
            Probe::BrokeOff => "broken off".to_owned(),
            Probe::Garbled => "the answer is not HTTP".to_owned(),
            Probe::TimedOut => format!("timed out after {:?}", settings.timeout),
            Probe::Passed | Probe::Draining | Probe::Distrusted(_) | Probe::NotAsked => {
                return None;
            }
        };
        Some(Self {
            answered: matches!(probe, Probe::Unwell(_) | Probe::Garbled),
            words: format!("health check: {found}"),
        })
    }
}

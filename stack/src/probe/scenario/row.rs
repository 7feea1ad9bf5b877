//! The rows of the figures table: each an event, and what it may cost.

use std::time::Duration;

use clap::ValueEnum;

/// An event under load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Row {
    /// An instance is killed with SIGKILL
    Kill,
    /// An instance is asked to end
    Stop,
    /// An instance is frozen
    Pause,
    /// An instance's network is cut (containers only)
    Cut,
    /// Instances are added and taken away again
    Scale,
    /// Every instance is replaced, one after another
    Recreate,
    /// An instance answers 502 to everything
    #[value(name = "5xx")]
    ServerErrors,
    /// An instance takes 2 s more for each answer
    Slow,
    /// Postgres is away for 5 s
    Database,
    /// The proxy reads its settings again, ten times
    Reload,
    /// Three times as many requests as the servers can bear
    Overload,
    /// 2 000 connections that send their heads byte by byte
    SlowHeads,
    /// 10 000 kept connections that send nothing
    Idle,
}

/// Where the stack runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// As plain processes.
    Native,
    /// In containers.
    Docker,
}

/// What an event may cost at most; `None`: it has no such figure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figure {
    /// What the worst answer took longer than before the event.
    pub extra: Option<Duration>,
    /// Until nobody is sent to the struck server any more.
    pub out: Option<Duration>,
    /// From the moment at which it could serve again until it does.
    pub back: Option<Duration>,
}

impl Row {
    /// All rows, in the table's order.
    pub const ALL: [Self; 13] = [
        Self::Kill,
        Self::Stop,
        Self::Pause,
        Self::Cut,
        Self::Scale,
        Self::Recreate,
        Self::ServerErrors,
        Self::Slow,
        Self::Database,
        Self::Reload,
        Self::Overload,
        Self::SlowHeads,
        Self::Idle,
    ];

    /// What happens, in the table's words.
    pub fn title(self, place: Place) -> &'static str {
        match (self, place) {
            (Self::Kill, Place::Native) => "`kill -9` of an API",
            (Self::Kill, Place::Docker) => "`docker kill` of an API",
            (Self::Stop, Place::Native) => "SIGTERM to an API",
            (Self::Stop, Place::Docker) => "`docker stop` of an API",
            (Self::Pause, Place::Native) => "SIGSTOP of an API",
            (Self::Pause, Place::Docker) => "`docker pause` of an API",
            (Self::Cut, _) => "`docker network disconnect` of an API",
            (Self::Scale, Place::Native) => "`stack scale api=3`, and back",
            (Self::Scale, Place::Docker) => "`up --scale api=3`, and back",
            (Self::Recreate, _) => "every API replaced in turn",
            (Self::ServerErrors, _) => "one API answers 502",
            (Self::Slow, _) => "one API slow (+2 s), still answering",
            (Self::Database, _) => "Postgres away for 5 s",
            (Self::Reload, _) => "ten reloads of the proxy",
            (Self::Overload, _) => "3 × the load that the servers bear",
            (Self::SlowHeads, _) => "slow heads",
            (Self::Idle, _) => "idle kept connections",
        }
    }

    /// What it may cost there.
    pub fn figure(self, place: Place) -> Figure {
        let ms = |number| Some(Duration::from_millis(number));
        let docker = place == Place::Docker;
        let (extra, out, back) = match self {
            Self::Kill if docker => (ms(300), None, ms(2000)),
            Self::Kill => (ms(50), None, ms(1000)),
            Self::Stop => (ms(20), ms(600), None),
            Self::Pause => (ms(800), ms(800), ms(1000)),
            Self::Cut => (ms(800), ms(800), ms(2000)),
            Self::Scale => (ms(300), ms(2000), ms(2000)),
            Self::Recreate => (ms(300), None, None),
            Self::ServerErrors => (ms(50), None, None),
            Self::Slow => (ms(2000), None, None),
            Self::Database => (None, None, ms(1000)),
            Self::Reload => (ms(0), None, None),
            Self::Overload | Self::SlowHeads | Self::Idle => (None, None, None),
        };
        Figure { extra, out, back }
    }

    /// Whether the event can be had in this place.
    pub fn is_for(self, place: Place) -> bool {
        match place {
            Place::Native => self != Self::Cut,
            Place::Docker => matches!(
                self,
                Self::Kill | Self::Stop | Self::Pause | Self::Cut | Self::Scale | Self::Recreate
            ),
        }
    }

    /// Whether servers that misbehave on purpose stand in for the API.
    pub fn needs_stand_ins(self) -> bool {
        matches!(
            self,
            Self::ServerErrors | Self::Slow | Self::Overload | Self::SlowHeads | Self::Idle
        )
    }

    /// Whether another proxy than ours can be struck by it.
    pub fn is_for_peers(self) -> bool {
        matches!(self, Self::Kill | Self::Pause | Self::Slow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_had_somewhere_and_is_listed_once() {
        for (index, row) in Row::ALL.iter().enumerate() {
            assert!(row.is_for(Place::Native) || row.is_for(Place::Docker));
            assert!(!Row::ALL[..index].contains(row), "{row:?}");
        }
        assert_eq!(Row::ALL.len(), Row::value_variants().len());
    }

    #[test]
    fn what_a_stand_in_plays_needs_no_container() {
        let rows = Row::ALL.into_iter().filter(|row| row.needs_stand_ins());
        assert!(rows.into_iter().all(|row| !row.is_for(Place::Docker)));
    }

    #[test]
    fn the_names_are_those_of_the_documents() {
        let name = |row: Row| row.to_possible_value().unwrap().get_name().to_owned();
        assert_eq!(name(Row::ServerErrors), "5xx");
        assert_eq!(name(Row::SlowHeads), "slow-heads");
    }
}

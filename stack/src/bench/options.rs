//! What `stack bench` is told.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What `stack bench` is told.
#[derive(Debug, Clone, Args)]
pub struct BenchOptions {
    /// Only these rows, with commas between them; by default all
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROW")]
    pub only: Vec<Row>,
    /// Rounds of each row; in each, every program has one turn
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// Seconds of one turn
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// Seconds of load in the row `memory`
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub memory_seconds: u32,
    /// Where figures and plots are written
    #[arg(long, default_value = "target/bench", value_name = "FOLDER")]
    pub out: PathBuf,
    /// Python environment of the Django peer; without one it is absent
    #[arg(long, default_value = "target/django", value_name = "FOLDER")]
    pub django: PathBuf,
    /// Measure nothing: write the tables into docs/performance.md and copy the plots to docs/plots
    #[arg(long)]
    pub docs: bool,
}

/// What `stack bench-origin` is told.
#[derive(Debug, Clone, Args)]
pub struct OriginOptions {
    /// Where it listens
    #[arg(required = true)]
    pub listen: Vec<SocketAddr>,
}

/// One row of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Row {
    /// A hop: small keep-alive GET
    HopSmall,
    /// A hop: answers of 8 KiB
    #[value(name = "hop-8k")]
    Hop8k,
    /// A hop: answers of 100 KiB
    #[value(name = "hop-100k")]
    Hop100k,
    /// A hop: a new client connection for each request
    HopClose,
    /// A hop: POST of 1 KiB
    HopPost,
    /// A hop: small GET over TLS 1.3
    HopTls,
    /// Full handshakes of TLS 1.3
    Handshakes,
    /// A file of 1 KiB, as it is and compressed beforehand
    StaticSmall,
    /// A file of 1 MiB, as it is and compressed beforehand
    #[value(name = "static-1m")]
    Static1m,
    /// Memory of an idle client connection
    Idle,
    /// Memory of the proxy at rest, with 1000 busy connections, and after them
    Memory,
    /// Throughput and latency of a hop by number of connections
    Connections,
    /// A hop through a configuration with 1 and with 100 servers and routes
    Servers,
    /// The whole stack: a list of three rows
    ApiList,
    /// The whole stack: one row
    ApiItem,
    /// The whole stack: an insert
    ApiPost,
    /// The whole stack: a page of 50 out of 100 000
    ApiPage,
    /// The whole stack with 1 to 8 instances and 1 to 256 connections
    Scale,
    /// The whole stack: a list of a million rows
    BigList,
}

impl Row {
    /// Its name on the command line, in tables and in the names of files.
    pub(super) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Those that were asked for, in the order of the table.
    pub(super) fn chosen(only: &[Self]) -> Vec<Self> {
        let all = Self::value_variants().iter().copied();
        all.filter(|row| only.is_empty() || only.contains(row))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_names_of_the_method() {
        let names: Vec<_> = Row::chosen(&[]).into_iter().map(Row::name).collect();
        for name in ["hop-small", "hop-100k", "static-1m", "api-list", "big-list"] {
            assert!(names.contains(&name.to_owned()), "{name}");
        }
        assert_eq!(Row::chosen(&[Row::Idle]), [Row::Idle]);
    }
}

//! The log: one line per request on stdout, everything else on stderr.

mod request_line;
mod writer;

use std::io::IsTerminal;

use tracing_subscriber::filter::{EnvFilter, LevelFilter, filter_fn};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Layer, Registry};

use crate::cli::LogArguments;
use crate::config::WrongSetting;
use request_line::{Form, RequestLines};
use writer::Lines;

pub use writer::Log;

/// The target of the line that is written for each request.
pub const REQUEST: &str = "request";

/// Starts logging for the whole process, or says which setting is wrong.
pub fn start(arguments: &LogArguments) -> Result<Log, Box<dyn std::error::Error>> {
    let wrong = |setting, problem: String| WrongSetting { setting, problem };
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(&arguments.filter)
        .map_err(|error| wrong("RUST_LOG (--log)", error.to_string()))?;
    let (requests_in_json, rest_in_json) = match arguments.format.as_str() {
        "auto" | "" => (
            !std::io::stdout().is_terminal(),
            !std::io::stderr().is_terminal(),
        ),
        "json" => (true, true),
        "text" => (false, false),
        other => {
            let problem = format!("must be auto, text or json, not {other:?}");
            return Err(wrong("LOG_FORMAT (--log-format)", problem).into());
        }
    };
    let form = match requests_in_json {
        true => Form::Json,
        false => Form::Text,
    };
    let lines_of_requests = Lines::start()?;
    let log = lines_of_requests.log();
    let requests = RequestLines::new(form, lines_of_requests)
        .with_filter(filter_fn(|metadata| metadata.target() == REQUEST));
    let rest = lines(rest_in_json, std::io::stderr)
        .with_filter(filter_fn(|metadata| metadata.target() != REQUEST));
    tracing_subscriber::registry()
        .with(requests.and_then(rest).with_filter(filter))
        .try_init()?;
    Ok(log)
}

fn lines<W>(json: bool, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    if json {
        lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed()
    } else {
        lines.with_target(false).with_ansi(false).boxed()
    }
}

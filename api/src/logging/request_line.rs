//! The line that is written for each request, in the two forms that `tracing_subscriber` gives all others.
//!
//! Written by hand, since there is one for each request: a general formatter costs as much as the answer.

use std::fmt::{self, Write as _};

use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::writer::Lines;
use crate::{json, moment};

/// Hands a line to the writer for each event that it gets.
pub(super) struct RequestLines {
    form: Form,
    lines: Lines,
}

/// How lines are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Text,
}

impl RequestLines {
    pub(super) fn new(form: Form, lines: Lines) -> Self {
        Self { form, lines }
    }
}

impl<S: Subscriber> Layer<S> for RequestLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::begin(self.form, OffsetDateTime::now_utc());
        line.level(event.metadata().level());
        event.record(&mut line);
        self.lines.send(line.end(event.metadata().target()));
    }
}

/// A line that is being written.
struct Line {
    form: Form,
    out: Vec<u8>,
}

impl Line {
    fn begin(form: Form, at: OffsetDateTime) -> Self {
        let mut out = Vec::with_capacity(256);
        if form == Form::Json {
            out.extend_from_slice(br#"{"timestamp":""#);
        }
        moment::write_in_full(&mut out, at);
        Self { form, out }
    }

    fn level(&mut self, level: &tracing::Level) {
        match self.form {
            Form::Json => self.out.extend_from_slice(br#"","level":""#),
            Form::Text => self.out.push(b' '),
        }
        let width = if self.form == Form::Text { 5 } else { 0 };
        self.display(&format_args!("{:>width$}", level.as_str()));
        if self.form == Form::Json {
            self.out.push(b'"');
        }
    }

    fn name(&mut self, field: &Field) {
        match self.form {
            Form::Json => {
                self.out.push(b',');
                json::write_text(&mut self.out, field.name());
                self.out.push(b':');
            }
            Form::Text => {
                self.out.push(b' ');
                self.out.extend_from_slice(field.name().as_bytes());
                self.out.push(b'=');
            }
        }
    }

    fn display(&mut self, value: &dyn fmt::Display) {
        // Nothing can fail that is written into a vector.
        let _ = write!(Utf8(&mut self.out), "{value}");
    }

    fn end(mut self, target: &str) -> Vec<u8> {
        if self.form == Form::Json {
            self.out.extend_from_slice(br#","target":"#);
            json::write_text(&mut self.out, target);
            self.out.push(b'}');
        }
        self.out.push(b'\n');
        self.out
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        match self.form {
            Form::Json => json::write_text(&mut self.out, value),
            Form::Text => self.display(&format_args!("{value:?}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        match self.form {
            Form::Json => json::write_text(&mut self.out, &format!("{value:?}")),
            Form::Text => self.display(&format_args!("{value:?}")),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.name(field);
        // JSON has no word for what is no number.
        match self.form == Form::Json && !value.is_finite() {
            true => self.out.extend_from_slice(b"null"),
            false => self.display(&format_args!("{value:?}")),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.name(field);
        json::write_number(&mut self.out, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        self.display(&value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.name(field);
        self.display(&value);
    }
}

/// Text at the end of bytes.
struct Utf8<'line>(&'line mut Vec<u8>);

impl fmt::Write for Utf8<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines;
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::prelude::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Sink {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// The line without its time.
    fn without_time(form: Form, line: &[u8]) -> String {
        let line = std::str::from_utf8(line).unwrap();
        let at = if form == Form::Json {
            r#"{"timestamp":""#.len()
        } else {
            0
        };
        let end = at + "2020-01-02T03:04:05.123456Z".len();
        assert_eq!(&line[end - 1..end], "Z", "{line}");
        format!("{}{}", &line[..at], &line[end..])
    }

    #[test]
    fn a_line_is_what_the_formatter_of_all_others_writes() {
        for form in [Form::Json, Form::Text] {
            let (sent, received) = Lines::to_memory();
            let sink = Sink::default();
            let subscriber = tracing_subscriber::registry()
                .with(lines(form == Form::Json, sink.clone()))
                .with(RequestLines::new(form, sent));
            tracing::subscriber::with_default(subscriber, || {
                for (path, elapsed_ms) in [
                    ("/api/music/", 0.1),
                    ("/\"a\\b\n\u{1}é/", 1.0),
                    ("", 12.345),
                ] {
                    let (method, odd) = (http::Method::GET, f64::MAX > 1.0);
                    tracing::info!(
                        target: super::super::REQUEST,
                        instance = %"api_1", %method, path, status = 200_u16, elapsed_ms, odd,
                        less = -1_i64, request_id = "r-1"
                    );
                }
            });
            let expected = sink.0.lock().unwrap().clone();
            let mut expected = expected.split_inclusive(|byte| *byte == b'\n');
            for _ in 0..3 {
                let line = received.line().unwrap();
                let expected = without_time(form, expected.next().unwrap());
                assert_eq!(without_time(form, &line), expected);
            }
        }
    }
}

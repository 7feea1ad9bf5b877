//! docs/methods.md shows what `proxy simulate` prints.

use clap::Parser;
use proxy::cli::{Cli, Command};
use proxy::simulate::draw;

use crate::run;

const PAGE: &str = include_str!("../../../docs/methods.md");

/// An output without the blanks at the ends of its lines, which the page leaves out.
fn trimmed(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n")
}

#[test]
fn every_output_in_the_page_is_that_of_its_command() {
    let mut commands = 0;
    for block in PAGE.split("```text\n$ proxy simulate ").skip(1) {
        let (flags, rest) = block.split_once('\n').unwrap();
        let (shown, _) = rest.split_once("```").unwrap();
        let words = ["proxy", "simulate"].into_iter().chain(flags.split(' '));
        let Command::Simulate(parsed) = Cli::try_parse_from(words).unwrap().command else {
            panic!("{flags}: another command");
        };
        let plan = parsed.plan().unwrap();
        let drawn = draw(&plan, &run(&plan));
        assert_eq!(trimmed(&drawn), trimmed(shown), "proxy simulate {flags}");
        commands += 1;
    }
    assert!(commands >= 13, "the page has a chapter for each method");
}

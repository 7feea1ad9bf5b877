//! The pages in a real browser: a headless Chromium, driven over `WebDriver`, before a stack of plain processes.
//!
//! `STACK_DRIVER=native cargo test -p stack --test browser [-- FILTER]` after a `cargo build` of all three packages; a
//! plain `cargo test` skips it. The scenarios run one after another on one stack. Each has a browser of its own, which
//! fails it for any word on the console and any request to another host. `SCREENSHOTS=FOLDER … -- screenshots` makes
//! the pictures of the docs.
#![expect(
    clippy::unwrap_used,
    reason = "what cannot be unwrapped here is a failed test"
)]

mod accessibility;
mod admin;
mod browser;
mod keyboard;
mod music;
mod odd_names;
mod screenshots;
mod site;
mod tls;
mod watch;
mod webdriver;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::OnceLock;

use libtest_mimic::{Arguments, Trial};
use site::Site;

/// One scenario: it panics when a page does not do what it should.
type Scenario = fn(&Site);

static SITE: OnceLock<Site> = OnceLock::new();

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    if std::env::var_os("STACK_DRIVER").is_none_or(|driver| driver != "native") {
        eprintln!("browser: skipped, because STACK_DRIVER is not native");
        return ExitCode::SUCCESS;
    }
    let mut trials = Vec::new();
    for (subject, scenarios) in [
        ("music", music::SCENARIOS),
        ("admin", admin::SCENARIOS),
        ("watch", watch::SCENARIOS),
        ("odd_names", odd_names::SCENARIOS),
        ("tls", tls::SCENARIOS),
        ("accessibility", accessibility::SCENARIOS),
        ("keyboard", keyboard::SCENARIOS),
        ("screenshots", screenshots::scenarios()),
    ] {
        // Without axe-core (scripts/axe fetches it) they are counted as skipped.
        let is_ignored = subject == "accessibility" && !accessibility::has_axe();
        for &(name, scenario) in scenarios {
            let trial = Trial::test(format!("{subject}::{name}"), move || {
                let site = SITE.get().ok_or("the stack is not up")?;
                site.settle();
                scenario(site);
                Ok(())
            });
            trials.push(trial.with_ignored_flag(is_ignored));
        }
    }
    if arguments.list {
        return libtest_mimic::run(&arguments, trials).exit_code();
    }
    let site = SITE.get_or_init(Site::new);
    let code = match catch_unwind(AssertUnwindSafe(|| site.up())) {
        Ok(()) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(_) => ExitCode::FAILURE,
    };
    if code != ExitCode::SUCCESS {
        eprintln!("the last lines of the stack's log:\n{}", site.last_lines());
    }
    // The verdict stands, even if something cannot be cleared away.
    let _ = catch_unwind(AssertUnwindSafe(|| site.down()));
    code
}

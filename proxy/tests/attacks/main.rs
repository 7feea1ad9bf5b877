//! Attacks from other addresses, and an honest client that must not feel them.
//!
//! [`table`] is the list: a name, how many, and what one of the attackers does. [`harness`] does
//! the rest: a proxy of its own for each, the honest client ([`honest`]) before, during and after,
//! the memory of the proxy. The measured table is printed.
//!
//! In short form, a tenth of each for a second and five times the room, this is part of `make test`.
//! `make attacks` runs it in full against a release build; `scripts/attacks WORD` the rows whose name
//! holds that word.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "its threads serve nobody, and the form of a test is not a setting"
)]

mod attack;
mod harness;
mod honest;
mod slow_http;
mod table;
mod target;

use std::sync::Mutex;

/// Whose turn it is: side by side, the attacks would disturb each other's figures.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn an_honest_client_does_not_feel_an_attack() {
    let _turn = TURN.lock();
    let form = harness::Form::of_environment();
    let only = std::env::var("ATTACKS_ONLY").unwrap_or_default();
    let rows: Vec<_> = table::ATTACKS
        .iter()
        .filter(|attack| attack.name.contains(&only))
        .map(|attack| harness::run(attack, &form))
        .collect();
    eprintln!("{}", harness::Row::HEAD);
    for row in &rows {
        eprintln!("{row}");
    }
    for row in &rows {
        row.judge();
    }
}

#[test]
fn slowhttptest_finds_the_service_available_in_all_its_modes() {
    let _turn = TURN.lock();
    slow_http::all_modes();
}

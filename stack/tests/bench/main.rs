//! `stack bench` itself, at its shortest: one round of one row, with whatever binaries and peers are here.
//! That figures come out is asserted, not what they are.
#![expect(
    clippy::unwrap_used,
    reason = "what cannot be unwrapped here is a failed test"
)]

use std::process::Command;

use serde_json::Value;

#[test]
fn one_round_of_one_row_brings_figures() {
    let out = tempfile::tempdir().unwrap();
    let mut bench = Command::new(env!("CARGO_BIN_EXE_stack"));
    bench
        .args(["bench", "--only", "hop-small", "--rounds", "1"])
        .args(["--seconds", "2", "--out"])
        .arg(out.path());
    let output = bench.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}{errors}");
    assert!(said.contains("| hop-small | CPU µs/request |"), "{said}");
    let text = read(&out.path().join("hop-small.json"));
    let record: Value = serde_json::from_str(&text).unwrap();
    let figures = record["figures"].as_array().unwrap();
    for unit in ["CPU µs/request", "requests/s"] {
        let figure = figures.iter().find(|f| f["unit"] == unit).unwrap();
        let ours = &figure["columns"][0];
        assert_eq!(ours["who"], "ours");
        let rounds = ours["rounds"].as_array().unwrap();
        assert_eq!(rounds.len(), 1);
        assert!(rounds[0].as_f64().unwrap() > 0.0, "{ours}");
    }
    let svg = read(&out.path().join("cpu-hop.svg"));
    assert!(svg.contains("<rect"));
}

#[expect(clippy::disallowed_methods, reason = "no worker runs here")]
fn read(path: &std::path::Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

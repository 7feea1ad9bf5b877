//! The program `slowhttptest`, which asks the service itself whether it still is available.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::honest;
use crate::target::Target;

/// Its modes: slow heads, slow bodies, overlapping ranges, slow reading.
const MODES: [(&str, &str, &[&str]); 4] = [
    ("-H", "/files/small.txt", &["-i", "1"]),
    ("-B", "/api/", &["-i", "1", "-s", "8192"]),
    ("-R", "/files/large.bin", &["-a", "10", "-b", "3000"]),
    (
        "-X",
        "/files/large.bin",
        &["-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3"],
    ),
];
/// How long each takes, in seconds, and with how many connections.
const SECONDS: &str = "4";
const CONNECTIONS: &str = "200";

/// Runs all modes side by side.
pub(crate) fn all_modes() {
    let target = Target::start();
    honest::ask_for(Duration::from_millis(300), target.addresses.plain);
    let running = MODES.map(|(mode, path, more)| {
        let address = target.addresses.plain;
        let program = Command::new("slowhttptest")
            .args([mode, "-u", &format!("http://{address}{path}")])
            .args([
                "-c",
                CONNECTIONS,
                "-r",
                CONNECTIONS,
                "-l",
                SECONDS,
                "-p",
                "3",
            ])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        program.expect("slowhttptest is missing: scripts/setup test installs it")
    });
    let honest = honest::ask_for(Duration::from_secs(3), target.addresses.plain);
    for (program, (mode, ..)) in running.into_iter().zip(MODES) {
        let output: Output = program.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let verdicts: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("service available:"))
            .collect();
        let is_available = verdicts.iter().all(|line| line.contains("YES"));
        assert!(!verdicts.is_empty() && is_available, "{mode}: {said}");
    }
    assert_eq!(honest.failed, 0, "{honest:?}");
}

//! `stack` as the keeper of its processes: only where it is the one who runs them.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Scenario;
use crate::driver::{Driver, Kind, free_address, must};
use crate::native::Native;
use crate::settings::refused;
use crate::world::{SECOND, World};

const SCENARIOS: &[(&str, Scenario)] = &[
    (
        "a_crashed_instance_is_started_again",
        a_crashed_instance_is_started_again,
    ),
    (
        "nothing_outlives_a_killed_stack",
        nothing_outlives_a_killed_stack,
    ),
    ("a_second_stack_is_refused", a_second_stack_is_refused),
    ("wrong_settings_are_refused", wrong_settings_are_refused),
    ("the_probe_tells_a_loss", the_probe_tells_a_loss),
];

/// The scenarios of this file, which make sense natively.
pub(crate) fn scenarios(kind: Kind) -> &'static [(&'static str, Scenario)] {
    match kind {
        Kind::Native => SCENARIOS,
        Kind::Compose => &[],
    }
}

fn a_crashed_instance_is_started_again(world: &World) {
    let before = world.births(&["api"]);
    let pid: i32 = before[0].parse().unwrap();
    let load = world.load(false);
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    world.eventually(5 * SECOND, "it is started again", || {
        let now = world.births(&["api"]);
        now != before && now != ["null"]
    });
    world.returns("api_1");
    let report = load.end();
    assert_eq!(report.lost_get, 0, "{report}");
    assert!(
        world
            .log()
            .contains("api_1 ended by itself (signal: 9 (SIGKILL))")
    );
}

fn nothing_outlives_a_killed_stack(world: &World) {
    let stack = Native::new(free_address(), world.clock);
    stack.up();
    let pids: Vec<i32> = stack
        .instances()
        .iter()
        .map(|instance| instance["pid"].as_i64().unwrap().try_into().unwrap())
        .collect();
    assert_eq!(pids.len(), 4);
    let own = Pid::from_raw(stack.pid().cast_signed());
    kill(own, Signal::SIGKILL).unwrap();
    assert!(!stack.ended());
    for pid in pids {
        world.eventually(5 * SECOND, &format!("process {pid} is gone"), || {
            !lives(pid)
        });
    }
    // And the next one finds its way past what was left.
    stack.up();
    stack.down();
}

/// A process that is dead but not yet collected by the machine's first process has gone, too.
fn lives(pid: i32) -> bool {
    let exists = kill(Pid::from_raw(pid), None).is_ok();
    let mut ps = Command::new("ps");
    let state = ps.args(["-o", "stat=", "-p", &pid.to_string()]).output();
    let state = state.map(|output| output.stdout).unwrap_or_default();
    exists && !state.is_empty() && !state.starts_with(b"Z")
}

fn a_second_stack_is_refused(world: &World) {
    let stack = Native::new(free_address(), world.clock);
    stack.up();
    let second = stack.command(&["up"]).output().unwrap();
    refused(&second, Some(1), "already");
    stack.down();
    let nobody = stack.command(&["stop", "api"]).output().unwrap();
    refused(&nobody, Some(1), "no stack is running");
}

fn wrong_settings_are_refused(world: &World) {
    let stack = Native::new(free_address(), world.clock);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let free = free_address().to_string();
    for (arguments, names) in [
        (["--listen", &taken, "--admin", &free], "--listen"),
        (["--admin", &taken, "--listen", &free], "--admin"),
    ] {
        let output = stack.command(&[&["up"], &arguments[..]].concat()).output();
        let output = output.unwrap();
        refused(&output, Some(1), names);
        refused(&output, Some(1), &taken);
    }
    let admin = free_address().to_string();
    let listeners = ["--listen", &free, "--admin", &admin];
    let with = |name, value| [&listeners[..], &[name, value]].concat();
    for (arguments, names) in [
        (vec!["--listen", &free, "--admin", &free], "meet"),
        (vec!["--listen", &free, "--admin", "0.0.0.0:9"], "--admin"),
        (with("--static", "/no/such/folder"), "/no/such/folder"),
        (with("--database-url", "nonsense"), "--database-url"),
    ] {
        let output = stack.command(&[&["up"], &arguments[..]].concat()).output();
        refused(&output.unwrap(), Some(1), names);
    }
    assert!(!stack.dir().join("data").exists(), "nothing was started");
    let unknown = world.births(&["no such service"]);
    assert!(unknown.is_empty());
}

fn the_probe_tells_a_loss(world: &World) {
    let stack = Native::new(free_address(), world.clock);
    let probe = |url: String, path: &str| {
        let mut command = stack.command(&["probe", &url, "--rate", "50", "--for", "2s"]);
        command.args(["--path", path]).stderr(Stdio::inherit());
        command.env("STACK_USER", world.admin());
        command
    };
    let url = format!("http://{}/", world.address);
    let clean = must(&mut probe(url.clone(), "/api/music/"));
    assert!(clean.trim_end().ends_with("nothing was lost"), "{clean}");
    let lost = probe(url, "/api/nothing/").output().unwrap();
    assert_eq!(lost.status.code(), Some(1), "{lost:?}");
    let table = String::from_utf8_lossy(&lost.stdout);
    assert!(table.contains(" × GET: 404"), "{table}");
    let elsewhere = stack.command(&["probe", "http://192.0.2.1/"]).output();
    refused(&elsewhere.unwrap(), Some(1), "--anywhere");
}

//! Wrong settings of each kind: one sentence that names the fault, and an end, before anything listens.

use std::path::Path;
use std::process::Output;

use crate::Scenario;
use crate::driver::Call;
use crate::world::World;

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("the_proxys_file_is_wrong", the_proxys_file_is_wrong),
    ("the_proxys_file_is_missing", the_proxys_file_is_missing),
    ("a_folder_is_missing", a_folder_is_missing),
    ("the_apis_settings_are_wrong", the_apis_settings_are_wrong),
    ("there_is_no_database", there_is_no_database),
];

const UPSTREAM: &str = "[[routes]]\npath = \"/\"\nupstream = \"music\"\n\n[upstreams.music]\nservers = [{ address = \"127.0.0.1:1\" }]\n";

/// Runs `proxy serve` with this file.
fn proxy(world: &World, toml: &str) -> Output {
    let folder = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let file = folder.path().join("proxy.toml");
    std::fs::write(&file, toml).unwrap();
    run_proxy(world, folder.path(), &file)
}

fn run_proxy(world: &World, folder: &Path, file: &Path) -> Output {
    world.program(&Call {
        program: "proxy",
        arguments: &["serve", "--config", file.to_str().unwrap()],
        environment: &[],
        folder: Some(folder),
    })
}

fn the_proxys_file_is_wrong(world: &World) {
    for (fault, names) in [
        ("listen = [\"127.0.0.1:0\"]\ntreads = 2\n", "treads"),
        ("listen = [\"nowhere\"]\n", "listen"),
        ("listen = [\"127.0.0.1:0\"\n", "proxy.toml"),
        (
            "listen = [\"127.0.0.1:0\"]\nadmin_token_file = \"/x\"\n",
            "admin_token_file",
        ),
    ] {
        let output = proxy(world, &format!("{fault}\n{UPSTREAM}"));
        refused(&output, Some(78), names);
    }
}

fn the_proxys_file_is_missing(world: &World) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nothing.toml");
    refused(
        &run_proxy(world, folder.path(), &file),
        Some(78),
        "nothing.toml",
    );
}

fn a_folder_is_missing(world: &World) {
    let toml =
        "listen = [\"127.0.0.1:0\"]\n[[routes]]\npath = \"/\"\nfiles = \"/no/such/folder\"\n";
    refused(&proxy(world, toml), Some(78), "/no/such/folder");
}

fn the_apis_settings_are_wrong(world: &World) {
    let database = ("DATABASE_URL", "postgres://music@127.0.0.1:1/music");
    for (environment, names) in [
        ([database, ("API_LISTEN", "nonsense")], "API_LISTEN"),
        ([database, ("API_PERMISSION", "maybe")], "API_PERMISSION"),
        (
            [database, ("API_TRUSTED_PROXIES", "everybody")],
            "API_TRUSTED_PROXIES",
        ),
        (
            [database, ("API_DATABASE_WAIT", "soon")],
            "API_DATABASE_WAIT",
        ),
        (
            [("DATABASE_URL", "nonsense"), ("API_LISTEN", "127.0.0.1:0")],
            "DATABASE_URL",
        ),
    ] {
        refused(&api(world, &environment), None, names);
    }
}

fn there_is_no_database(world: &World) {
    let output = api(
        world,
        &[
            ("DATABASE_URL", "postgres://music:secret@127.0.0.1:1/music"),
            ("API_DATABASE_WAIT", "1s"),
            ("API_LISTEN", "127.0.0.1:0"),
        ],
    );
    refused(&output, None, "database");
    let printed = format!("{output:?}");
    assert!(!printed.contains("secret"), "{printed}");
    assert!(!printed.contains("\"listening\""), "{printed}");
}

fn api(world: &World, environment: &[(&str, &str)]) -> Output {
    world.program(&Call {
        program: "api",
        arguments: &["serve"],
        environment,
        folder: None,
    })
}

/// Checks that a program ended with a failure and one sentence which names the fault.
pub(crate) fn refused(output: &Output, code: Option<i32>, names: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{output:?}");
    if code.is_some() {
        assert_eq!(output.status.code(), code, "{errors}");
    }
    // What is logged meanwhile, as JSON, is not the sentence.
    let sentences: Vec<_> = errors
        .lines()
        .filter(|line| !line.starts_with('{'))
        .collect();
    assert_eq!(sentences.len(), 1, "{errors}");
    assert!(
        sentences[0].to_lowercase().contains(&names.to_lowercase()),
        "{errors}"
    );
}

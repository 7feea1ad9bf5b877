//! `stack api …`: the API's own commands on the database of a stack without Docker.

use std::path::Path;
use std::process::{Command, Output};

use http::Method;
use serde_json::Value;
use stack::probe::scenario::Stage;

use crate::Scenario;
use crate::accounts::{SONG, post};
use crate::driver::Kind;
use crate::native::STACK;
use crate::settings::refused;
use crate::world::World;

const SCENARIOS: &[(&str, Scenario)] = &[
    (
        "an_account_and_its_token_are_made",
        an_account_and_its_token_are_made,
    ),
    ("without_a_stack_it_says_so", without_a_stack_it_says_so),
];

/// The scenarios of this file: on Docker, `docker-compose exec` does it.
pub(crate) fn scenarios(kind: Kind) -> &'static [(&'static str, Scenario)] {
    match kind {
        Kind::Native => SCENARIOS,
        Kind::Compose => &[],
    }
}

fn api(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(STACK);
    command.arg("--dir").arg(dir).arg("api").args(arguments);
    // What leads elsewhere is not for this database.
    command.env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none");
    command.env("DJANGO_SUPERUSER_PASSWORD", "a-password-of-zoe");
    command.output().unwrap()
}

fn an_account_and_its_token_are_made(world: &World) {
    let Stage::Native(native) = world.stage() else {
        panic!("plain processes were asked for");
    };
    let api = |arguments: &[&str]| api(&native.dir, arguments);
    let made = api(&["createsuperuser", "--noinput", "--username", "zoe"]);
    assert!(made.status.success(), "{made:?}");
    assert_eq!(made.stdout, b"Superuser zoe created.\n");
    let again = api(&["createsuperuser", "--noinput", "--username", "zoe"]);
    refused(&again, Some(1), "already");

    let token = String::from_utf8(api(&["token", "zoe"]).stdout).unwrap();
    let token = format!("Token {}", token.trim());
    let added = post(world, "/api/music/", &[("authorization", &token)], SONG);
    assert_eq!(added.status, 201, "{}", added.text());
    let path = format!("/api/music/{}/", added.json()["id"]);
    world.send(Method::DELETE, &path, &Value::Null);
    assert!(api(&["token", "zoe", "--revoke"]).status.success());
    // Nothing is left of her.
    assert!(world.sql("delete from account where name = 'zoe'"));

    let help = String::from_utf8(api(&["--help"]).stdout).unwrap();
    assert!(help.contains("createsuperuser"), "{help}");
    assert_eq!(api(&["sing"]).status.code(), Some(2), "as of the program");
}

fn without_a_stack_it_says_so(_: &World) {
    let folder = tempfile::tempdir().unwrap();
    let output = api(folder.path(), &["token", "leo"]);
    refused(&output, Some(1), "no stack is running in ");
}

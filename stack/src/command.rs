//! `stack api …`: a command of the API's own program, such as `createsuperuser`, on the database of the
//! running stack.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::Fault;
use crate::control::{Verb, converse};
use crate::plan::{FOREIGN, Programs};

/// Becomes that program, so that the terminal, signals and the exit code are its own; returns only
/// when it cannot.
pub(crate) async fn run(dir: &Path, arguments: Vec<OsString>) -> Result<(), Fault> {
    let program = Programs::find()?.api;
    let variables = database_variables(dir).await?;
    let mut command = Command::new(&program);
    command.args(arguments);
    for name in FOREIGN {
        command.env_remove(name);
    }
    let error = command.envs(variables).exec();
    Err(Fault::new(format!("{}: {error}", program.display())))
}

/// Asks the running stack where its database is: whose it is, only that stack was told.
async fn database_variables(dir: &Path) -> Result<HashMap<String, String>, Fault> {
    let mut text = String::new();
    converse(dir, &Verb::DatabaseVariables, |told| {
        told.clone_into(&mut text)
    })
    .await?;
    serde_json::from_str(&text).map_err(|error| Fault::new(format!("the running stack: {error}")))
}

//! Asks a person at a terminal.

use std::io::{self, IsTerminal, Write};

use tokio::task::spawn_blocking;

use crate::auth::accounts;

/// How often a password may be typed wrongly before it is given up.
const TRIES: usize = 3;

/// Says, where nobody can be asked, how to do without.
pub fn refuse_without_terminal(variables: &str) -> Result<(), String> {
    if io::stdin().is_terminal() {
        return Ok(());
    }
    Err(format!(
        "there is no terminal to ask at: use --noinput and set {variables}"
    ))
}

/// Asks for one line.
pub async fn line(what: &str) -> io::Result<String> {
    let question = format!("{what}: ");
    let answer = spawn_blocking(move || {
        let mut out = io::stdout();
        out.write_all(question.as_bytes())?;
        out.flush()?;
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        Ok::<_, io::Error>(line.trim().to_owned())
    });
    answer.await.map_err(io::Error::other)?
}

/// Asks for a new password, twice, and shows nothing of it.
pub async fn new_password() -> Result<String, Box<dyn std::error::Error>> {
    for _ in 0..TRIES {
        let password = hidden("Password: ").await?;
        if let Err(wrong) = accounts::check_password(&password) {
            writeln!(io::stderr(), "Error: {wrong}.")?;
            continue;
        }
        if hidden("Password (again): ").await? == password {
            return Ok(password);
        }
        writeln!(io::stderr(), "Error: the passwords are not the same.")?;
    }
    Err("no password was set".into())
}

async fn hidden(question: &'static str) -> io::Result<String> {
    let answer = spawn_blocking(move || rpassword::prompt_password(question));
    answer.await.map_err(io::Error::other)?
}

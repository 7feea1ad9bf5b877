//! Wrong settings: one sentence, and nothing listens.

use std::path::PathBuf;
use std::process::Output;

use tokio::process::Command;

use crate::support::Stack;

fn check(output: &Output, words: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{error}");
    for word in words {
        assert!(error.contains(word), "{word} in {error}");
    }
    assert_eq!(error.trim().lines().count(), 1, "one sentence: {error}");
}

fn beside(program: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_stack")).with_file_name(program)
}

pub(crate) async fn a_taken_port_is_said_in_one_sentence(stack: &Stack) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(beside("stack"))
        .arg("--dir")
        .arg(folder.path().join("other"))
        .args(["up", "--listen", &stack.driver.address.to_string()])
        .args(["--admin", "127.0.0.1:0"])
        .output()
        .await
        .unwrap();
    check(&output, &[&stack.driver.address.port().to_string()]);
}

pub(crate) async fn the_same_folder_twice_is_refused(stack: &Stack) {
    let output = Command::new(beside("stack"))
        .arg("--dir")
        .arg(stack.driver.folder())
        .args(["up", "--listen", "127.0.0.1:0"])
        .output()
        .await
        .unwrap();
    check(&output, &[]);
}

pub(crate) async fn wrong_settings_of_the_api_are_named(_: &Stack) {
    for (variable, value) in [
        ("API_PERMISSION", "everyone"),
        ("API_LISTEN", "nowhere"),
        ("API_TRUSTED_PROXIES", "10.0.0.0/99"),
        ("API_DATABASE_WAIT", "soon"),
        ("DATABASE_URL", "mysql://x"),
        ("PGPORT", "many"),
        ("PGPASSWORD_FILE", "/nonexistent"),
        ("LOG_FORMAT", "xml"),
    ] {
        let mut command = Command::new(beside("api"));
        command.arg("serve").env_clear().env(variable, value);
        if !matches!(variable, "DATABASE_URL" | "PGPORT" | "PGPASSWORD_FILE") {
            command.env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none");
        }
        if matches!(variable, "PGPORT" | "PGPASSWORD_FILE") {
            command.env("PGHOST", "127.0.0.1").env("PGUSER", "nobody");
        }
        check(&command.output().await.unwrap(), &[variable]);
    }
}

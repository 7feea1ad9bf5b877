//! What an operator does on the command line, by the program itself.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::Method;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdout, Command};
use tokio::time::timeout;

use crate::program::{SECRET, Serving, api, output, url};
use crate::support::{PATIENCE, eventually, request};

const NEW: &str = "a new password";

/// Runs a command that must succeed, and returns what it printed.
async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let (output, errors) = output(&mut api(arguments, environment)).await;
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that must fail, and returns its one sentence.
async fn refused(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let (output, errors) = output(&mut api(arguments, environment)).await;
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(
        !errors.contains(SECRET) && !errors.contains(NEW),
        "{errors}"
    );
    errors
}

async fn status(serving: &Serving, authorization: &str) -> u16 {
    let headers = [("authorization", authorization)];
    let asked = serving
        .send(request(Method::GET, "/api/", &headers, ""))
        .await;
    asked.status.as_u16()
}

#[sqlx::test(migrations = false)]
async fn accounts_and_tokens_are_made_without_a_terminal(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let url = url(&database);
    let at = ("DATABASE_URL", url.as_str());
    // "password123" and NEW, for leo.
    let (old, new) = (
        "Basic bGVvOnBhc3N3b3JkMTIz",
        "Basic bGVvOmEgbmV3IHBhc3N3b3Jk",
    );
    let create = ["createsuperuser", "--noinput", "--username", "leo"];
    let password = ("DJANGO_SUPERUSER_PASSWORD", "password123");
    assert_eq!(
        run(&create, &[at, password]).await,
        "Superuser leo created.\n"
    );
    let taken = refused(&create, &[at, password]).await;
    assert_eq!(
        taken,
        "api: there is an account of the name \"leo\" already\n"
    );

    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), "api_1", &database, &[]).await;
    assert_eq!(status(&serving, old).await, 200);
    let change = ["changepassword", "leo", "--noinput"];
    let changed = run(&change, &[at, ("API_NEW_PASSWORD", NEW)]).await;
    assert_eq!(changed, "Password of leo changed.\n");
    assert_eq!(
        (status(&serving, old).await, status(&serving, new).await),
        (403, 200)
    );

    let token = run(&["token", "leo"], &[at]).await;
    let token = format!("Token {}", token.trim());
    assert_eq!(status(&serving, &token).await, 200);
    assert_eq!(
        run(&["token", "leo", "--revoke"], &[at]).await,
        "Tokens of leo revoked: 1.\n"
    );
    assert_eq!(status(&serving, &token).await, 403);
}

#[sqlx::test(migrations = false)]
async fn what_is_missing_or_wrong_is_said_in_one_sentence(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let url = url(&database);
    let at = ("DATABASE_URL", url.as_str());
    run(&["migrate"], &[at]).await;
    let name = ("DJANGO_SUPERUSER_USERNAME", "leo");
    let password = |password| ("DJANGO_SUPERUSER_PASSWORD", password);
    for (arguments, environment, expected) in [
        (
            &["createsuperuser"][..],
            &[at][..],
            "there is no terminal to ask at: use --noinput",
        ),
        (
            &["changepassword", "leo"],
            &[at],
            "there is no terminal to ask at: use --noinput",
        ),
        (
            &["createsuperuser", "--noinput"],
            &[at, password(NEW)],
            "DJANGO_SUPERUSER_USERNAME",
        ),
        (
            &["createsuperuser", "--noinput"],
            &[at, name],
            "DJANGO_SUPERUSER_PASSWORD",
        ),
        (
            &["createsuperuser", "--noinput", "--username", "a b"],
            &[at, password(NEW)],
            "a name has 1 to 150 characters",
        ),
        (
            &["createsuperuser", "--noinput"],
            &[at, name, password("short")],
            "the password must have at least 8 characters",
        ),
        (
            &["changepassword", "mia", "--noinput"],
            &[at, ("API_NEW_PASSWORD", NEW)],
            "\"mia\"",
        ),
        (
            &["token", "mia"],
            &[at],
            "there is no account of the name \"mia\"",
        ),
        (
            &["token", "mia", "--revoke"],
            &[at],
            "there is no account of the name \"mia\"",
        ),
        (&["seed", "10"], &[], "DATABASE_URL (--database-url)"),
    ] {
        let said = refused(arguments, environment).await;
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    for command in [
        "serve",
        "migrate",
        "createsuperuser",
        "changepassword",
        "token",
        "seed",
        "healthcheck",
    ] {
        let help = run(&[command, "--help"], &[]).await;
        assert!(help.contains("Example: `"), "{command}: {help}");
    }
}

#[sqlx::test(migrations = false)]
async fn the_first_account_is_made_once_by_instances_that_start_at_once(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    tokio::fs::write(&file, format!("{NEW}\n")).await.unwrap();
    let first = [
        ("ADMIN_USERNAME", "leo"),
        ("ADMIN_PASSWORD_FILE", file.to_str().unwrap()),
    ];
    let start = |name: &'static str| Serving::start(folder.path(), name, &database, &first);
    let instances = join_all(["api_1", "api_2", "api_3"].map(start)).await;
    for serving in &instances {
        assert_eq!(status(serving, "Basic bGVvOmEgbmV3IHBhc3N3b3Jk").await, 200);
    }
    let mut logs = 0;
    for serving in &instances {
        logs += serving
            .log()
            .await
            .matches("made the first account")
            .count();
    }
    assert_eq!(logs, 1);
    // Where there is an account, another first one is not made.
    let second = [("ADMIN_USERNAME", "mia"), ("ADMIN_PASSWORD", NEW)];
    drop(Serving::start(folder.path(), "api_4", &database, &second).await);
    let pool = pool.connect_with(database).await.unwrap();
    let names: Vec<String> = sqlx::query_scalar("select name from account")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert_eq!(names, ["leo"]);
}

#[tokio::test]
async fn half_a_first_account_is_refused_by_name() {
    let url = ("DATABASE_URL", "postgres://music@127.0.0.1:1/music");
    let listen = ("API_LISTEN", "127.0.0.1:0");
    let name = ("ADMIN_USERNAME", "leo");
    for (more, setting) in [
        (&[name][..], "ADMIN_USERNAME (--admin-username)"),
        (
            &[("ADMIN_PASSWORD", NEW)],
            "ADMIN_USERNAME (--admin-username)",
        ),
        (
            &[name, ("ADMIN_PASSWORD", "short")],
            "ADMIN_PASSWORD (--admin-password)",
        ),
        (
            &[name, ("ADMIN_PASSWORD_FILE", "/nowhere/at-all")],
            "ADMIN_PASSWORD_FILE (--admin-password-file)",
        ),
        (
            &[("API_METRICS_LISTEN", "localhost")],
            "API_METRICS_LISTEN (--metrics-listen)",
        ),
    ] {
        let said = refused(&["serve"], &[&[url, listen], more].concat()).await;
        assert!(said.starts_with(&format!("api: {setting}: ")), "{said}");
    }
}

/// What a program at a terminal has shown, and how much of it was looked at.
struct Screen {
    output: ChildStdout,
    seen: String,
    read: usize,
}

impl Screen {
    /// Reads on until the text is there.
    async fn shows(&mut self, text: &str) {
        let reading = async {
            loop {
                if let Some(at) = self.seen[self.read..].find(text) {
                    self.read += at + text.len();
                    return;
                }
                let mut bytes = [0; 256];
                let count = self.output.read(&mut bytes).await.unwrap();
                assert_ne!(count, 0, "ended before {text:?}: {}", self.seen);
                self.seen
                    .push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        };
        timeout(PATIENCE, reading).await.unwrap();
    }
}

/// Waits until a terminal does not show what is typed.
async fn echo_is_off(terminal: &std::path::Path) {
    eventually("a terminal without echo", || async {
        let name = tokio::fs::read_to_string(terminal).await.unwrap();
        let mut stty = Command::new("stty");
        let state = stty.args(["-F", name.trim(), "-a"]).output().await.unwrap();
        String::from_utf8_lossy(&state.stdout).contains(" -echo ")
    })
    .await;
}

#[sqlx::test(migrations = false)]
async fn on_a_terminal_the_name_and_the_password_are_asked_for(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let folder = tempfile::tempdir().unwrap();
    let terminal = folder.path().join("terminal");
    // `script` gives the program a terminal; its name is for `stty`.
    let api = env!("CARGO_BIN_EXE_api");
    let program = format!("tty >{}; exec {api} createsuperuser", terminal.display());
    let mut child = Command::new("script")
        .args([
            "--quiet",
            "--return",
            "--flush",
            "--command",
            &program,
            "/dev/null",
        ])
        .env("DATABASE_URL", url(&database))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut screen = Screen {
        output: child.stdout.take().unwrap(),
        seen: String::new(),
        read: 0,
    };
    for (text, answer, hidden) in [
        ("Username: ", "leo\n", false),
        ("Password: ", "short\n", true),
        ("at least 8 characters", "", false),
        ("Password: ", "typed secret\n", true),
        ("Password (again): ", "typed sekret\n", true),
        ("not the same", "", false),
        ("Password: ", "typed secret\n", true),
        ("Password (again): ", "typed secret\n", true),
        ("Superuser leo created.", "", false),
    ] {
        screen.shows(text).await;
        if hidden {
            echo_is_off(&terminal).await;
        }
        input.write_all(answer.as_bytes()).await.unwrap();
    }
    let seen = screen.seen;
    drop(input);
    let ended = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0), "{seen}");
    assert!(
        !seen.contains("typed") && !seen.contains("short\r"),
        "{seen}"
    );
    let pool = pool.connect_with(database).await.unwrap();
    let staff: bool = sqlx::query_scalar("select is_staff from account where name = 'leo'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(staff);
}

#[sqlx::test(migrations = false)]
async fn music_is_made_up_quickly(pool: PgPoolOptions, database: PgConnectOptions) {
    let count: u64 = std::env::var_os("API_SEED_ROWS")
        .map_or(60_000, |count| count.to_str().unwrap().parse().unwrap());
    let url = url(&database);
    let started = Instant::now();
    let mut seed = api(&["seed", &count.to_string()], &[("DATABASE_URL", &url)]);
    let output = timeout(Duration::from_secs(300), seed.output()).await;
    let output = output.unwrap().unwrap();
    let took = started.elapsed();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(
        errors.contains(&format!("100 %  {count} of {count} songs")),
        "{errors}"
    );
    eprintln!("{count} rows in {took:?}");
    // A million in a minute, whatever the number.
    let bound = Duration::from_secs(20) + Duration::from_micros(60) * u32::try_from(count).unwrap();
    assert!(took < bound, "{took:?}");
    let pool = pool.connect_with(database).await.unwrap();
    let rows: i64 = sqlx::query_scalar("select count(*) from music")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(u64::try_from(rows).unwrap(), count);
}

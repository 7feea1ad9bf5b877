//! The description of the API: it is served, it is valid, and the API does what it says.
//!
//! The last two are asked of tools in Python that `scripts/python-tools` installs; where that could not be
//! done, `scripts/test` counts these tests as skipped.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use api::permission::Permission;
use http::Method;
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::{Api, Setup, add_admin, request};

/// One run of a tool takes no longer than this, on however slow a machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// Where a tool is, or `None` (and a sentence) if it was not installed.
fn tool(name: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_api")).ancestors().nth(2);
    let python = target.unwrap().join("python");
    if python.join("installed.txt").exists() {
        return Some(python.join("bin").join(name));
    }
    eprintln!("skipped: {name} is not there; scripts/python-tools installs it");
    None
}

/// Runs a tool in a folder of its own, where it may leave what it likes.
async fn run(tool: &Path, folder: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(tool);
    command
        .args(arguments)
        .env_clear()
        .env("HOME", folder.path())
        .env("PYTHONUTF8", "1")
        .current_dir(folder.path())
        .kill_on_drop(true);
    timeout(PATIENCE, command.output()).await.unwrap().unwrap()
}

fn all_of(output: &Output) -> String {
    let (said, errors) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(said).into_owned() + &String::from_utf8_lossy(errors)
}

/// Writes a document where a tool finds it.
async fn write(folder: &TempDir, document: &str) -> String {
    let path = folder.path().join("openapi.json");
    tokio::fs::write(&path, document).await.unwrap();
    path.to_str().unwrap().to_owned()
}

#[sqlx::test(migrations = "../migrations")]
async fn the_document_is_served_like_everything_else(_: PgPoolOptions, database: PgConnectOptions) {
    let api = Api::start(&database).await;
    let answer = api.get("/api/schema/").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json()["openapi"], "3.1.0");
    assert_eq!(api.get("/api/schema.json").await.body, answer.body);
    assert_eq!(
        api.get("/api/schema").await.header("location"),
        "/api/schema/"
    );
    for (accept, status) in [("application/yaml", 406), ("text/html", 200)] {
        let asked = request(Method::GET, "/api/schema/", &[("accept", accept)], "");
        assert_eq!(api.send(asked).await.status, status, "{accept}");
    }
    let known = [("if-none-match", answer.header("etag"))];
    let again = api
        .send(request(Method::GET, "/api/schema/", &known, ""))
        .await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    let refused = api.write(Method::POST, "/api/schema/", "{}").await;
    assert_eq!(
        (refused.status.as_u16(), refused.header("allow")),
        (405, "GET, HEAD, OPTIONS")
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn the_page_of_the_document_needs_nothing_of_another_host(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let api = Api::start(&database).await;
    assert_eq!(api.get("/api/docs").await.header("location"), "/api/docs/");
    let page = api.get("/api/docs/").await;
    assert_eq!(
        (page.status.as_u16(), page.header("content-type")),
        (200, "text/html")
    );
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'self';"), "{policy}");
    let mut files: Vec<_> = page.text().split(['"', ' ']).collect();
    files.retain(|word| {
        [".css", ".js", ".png"]
            .iter()
            .any(|end| word.ends_with(end))
    });
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        assert!(!file.contains("//"), "{file}");
        let path = format!("/api/docs/{}", file.trim_start_matches("./"));
        let answer = api.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        let known = [("if-none-match", answer.header("etag"))];
        let again = api.send(request(Method::GET, &path, &known, "")).await;
        assert_eq!(again.status, 304, "{path}");
    }
    let start = api.get("/api/docs/swagger-initializer.js").await;
    assert!(
        start.text().contains("\"url\": \"/api/schema.json\""),
        "{}",
        start.text()
    );
    // Else it would ask validator.swagger.io for a badge.
    assert!(
        start.text().contains("\"validatorUrl\": \"none\""),
        "{}",
        start.text()
    );
    for path in ["/api/docs/", "/api/docs/swagger-ui.css"] {
        for (method, status) in [(Method::OPTIONS, 200), (Method::POST, 405)] {
            let answer = api.send(request(method, path, &[], "")).await;
            assert_eq!(answer.status, status, "{path}");
            assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS", "{path}");
        }
    }
    for missing in ["nosuch.js", "..%2fCargo.toml", "%2e%2e", ".."] {
        let answer = api.get(&format!("/api/docs/{missing}")).await;
        assert_eq!(answer.status, 404, "{missing}");
        let path = format!("/api/docs/{missing}");
        let options = api.send(request(Method::OPTIONS, &path, &[], "")).await;
        assert_eq!(options.status, 404, "{missing}");
    }
}

#[tokio::test]
async fn a_validator_takes_the_document_of_each_permission() {
    let Some(validator) = tool("openapi-spec-validator") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for permission in ["open", "read-only", "authenticated"] {
        let environment = [("API_PERMISSION", permission)];
        let mut command = crate::program::api(&["openapi"], &environment);
        let (printed, errors) = crate::program::output(&mut command).await;
        let printed = String::from_utf8(printed.stdout).unwrap();
        let path = write(&folder, &printed).await;
        let verdict = run(&validator, &folder, &["--schema", "3.1", &path]).await;
        let said = all_of(&verdict);
        assert!(
            verdict.status.success() && said.contains("OK"),
            "{said}{errors}"
        );
    }
    // It does say no.
    let path = write(
        &folder,
        r#"{"openapi":"3.1.0","info":{"title":"x"},"paths":{}}"#,
    )
    .await;
    let verdict = run(&validator, &folder, &["--schema", "3.1", &path]).await;
    assert!(!verdict.status.success(), "{}", all_of(&verdict));
}

/// Takes the deadline out: one that has passed is rightly answered with 503, which is not what is looked for.
fn without_deadline(mut document: Value) -> String {
    let is_deadline = |parameter: &Value| {
        let reference = parameter["$ref"].as_str();
        reference.is_some_and(|name| name.ends_with("/request_deadline"))
    };
    let items = document["paths"].as_object_mut().unwrap().values_mut();
    for operation in items.flat_map(|item| item.as_object_mut().unwrap().values_mut()) {
        if let Some(parameters) = operation["parameters"].as_array_mut() {
            parameters.retain(|parameter| !is_deadline(parameter));
        }
    }
    document.to_string()
}

/// Has schemathesis make up requests for every operation, and check each answer against the document.
async fn check(database: &PgConnectOptions, permission: Permission) {
    let Some(schemathesis) = tool("schemathesis") else {
        return;
    };
    let setup = Setup {
        permission,
        ..Setup::default()
    };
    let api = Api::start_with(database, setup).await;
    let token = add_admin(database).await;
    let folder = tempfile::tempdir().unwrap();
    let document = without_deadline(api.get("/api/schema/").await.json());
    let path = write(&folder, &document).await;
    let config = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/schema/schemathesis.toml"
    );
    let (url, header) = (
        format!("http://{}", api.address),
        format!("Authorization: Token {token}"),
    );
    // More of them for a longer look: 10 are enough to go every way that there is.
    let asked = std::env::var_os("API_TEST_EXAMPLES");
    let examples = asked.as_ref().map_or("10", |count| count.to_str().unwrap());
    let arguments = [
        "--config-file",
        config,
        "run",
        &path,
        "--url",
        &url,
        "--header",
        &header,
        "--no-color",
        "--max-examples",
        examples,
    ];
    let output = run(&schemathesis, &folder, &arguments).await;
    let said = all_of(&output);
    assert!(output.status.success(), "{said}");
    // That it ran, and over everything.
    let tested = format!("Tested: {}", document.matches("\"tags\":[\"").count());
    assert!(said.contains(&tested), "{tested}: {said}");
    eprintln!("{said}");
}

#[sqlx::test(migrations = "../migrations")]
async fn no_request_is_answered_otherwise_than_described_where_all_may_write(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    check(&database, Permission::Open).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn no_request_is_answered_otherwise_than_described_where_all_may_read(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    check(&database, Permission::ReadOnly).await;
}

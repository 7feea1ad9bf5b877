//! Wrong settings: each is refused by its name, in one sentence, before anything else happens.

use tokio::net::TcpListener;

use crate::program::{SECRET, api, output};

#[tokio::test]
async fn every_wrong_setting_is_refused_by_its_name() {
    let url = (
        "DATABASE_URL",
        "postgres://music:hunter2-secret@127.0.0.1:1/music",
    );
    let listen = ("API_LISTEN", "127.0.0.1:0");
    let somebody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = somebody.local_addr().unwrap().to_string();
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("API_LISTEN", "localhost"), url], "API_LISTEN (--listen)"),
        (
            &[("API_LISTEN", "unix:relative.sock"), url],
            "API_LISTEN (--listen)",
        ),
        // Said at once, and not when Postgres has come.
        (&[("API_LISTEN", &taken), url], "API_LISTEN (--listen)"),
        (
            &[("API_LISTEN", "unix:/nowhere/at-all/1.sock"), url],
            "API_LISTEN (--listen)",
        ),
        (
            &[("INSTANCE_NAME", "a b"), listen, url],
            "INSTANCE_NAME (--instance-name)",
        ),
        (
            &[("API_PERMISSION", "closed"), listen, url],
            "API_PERMISSION (--permission)",
        ),
        (
            &[("API_TRUSTED_PROXIES", "10.0.0.0/8,nonsense"), listen, url],
            "API_TRUSTED_PROXIES (--trusted-proxies)",
        ),
        (
            &[("API_DATABASE_WAIT", "soon"), listen, url],
            "API_DATABASE_WAIT (--database-wait)",
        ),
        (
            &[("API_DATABASE_CONNECTIONS", "0"), listen, url],
            "API_DATABASE_CONNECTIONS (--database-connections)",
        ),
        (
            &[("LOG_FORMAT", "xml"), listen, url],
            "LOG_FORMAT (--log-format)",
        ),
        (
            &[("RUST_LOG", "api=loudly"), listen, url],
            "RUST_LOG (--log)",
        ),
        (&[listen], "DATABASE_URL (--database-url)"),
        (
            &[("DATABASE_URL", ""), listen],
            "DATABASE_URL (--database-url)",
        ),
        (
            &[("DATABASE_URL", "mysql://u:hunter2-secret@h/d"), listen],
            "DATABASE_URL (--database-url)",
        ),
        (
            &[
                ("DATABASE_URL", "postgres://u:hunter2-secret@h:port/d"),
                listen,
            ],
            "DATABASE_URL (--database-url)",
        ),
        (
            &[("DATABASE_URL_FILE", "/nowhere/at-all"), listen],
            "DATABASE_URL_FILE (--database-url-file)",
        ),
        (
            &[("DATABASE_URL_FILE", "/dev/null"), listen],
            "DATABASE_URL_FILE (--database-url-file)",
        ),
        (
            &[("DATABASE_URL_FILE", "/dev/null"), listen, url],
            "DATABASE_URL_FILE (--database-url-file)",
        ),
        (
            &[("PGHOST", "h"), ("PGPORT", "70000"), listen],
            "PGPORT (--pg-port)",
        ),
        (
            &[
                ("PGHOST", "h"),
                ("PGPASSWORD_FILE", "/nowhere/at-all"),
                listen,
            ],
            "PGPASSWORD_FILE (--pg-password-file)",
        ),
        (&[("PGHOST", "h"), listen], "PGUSER (--pg-user)"),
    ];
    for (environment, setting) in cases {
        let (output, errors) = output(&mut api(&["serve"], environment)).await;
        assert_eq!(output.status.code(), Some(1), "{environment:?}: {errors}");
        assert!(
            errors.starts_with(&format!("api: {setting}: ")),
            "{environment:?}: {errors}"
        );
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(!errors.contains(SECRET), "{errors}");
    }
}

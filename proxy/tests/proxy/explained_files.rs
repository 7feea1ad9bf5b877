//! `proxy explain` of paths that the proxy itself answers: which file, or why none.

use crate::binary::BINARY;
use crate::support::Proxy;

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_which_file_or_why_none() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    std::fs::write(folder.path().join("index.html"), "").unwrap();
    let root = folder.path().display();
    let proxy = Proxy::start(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        admin = "127.0.0.1:0"
        [[routes]]
        path = "/s"
        files = "{root}"
        [[routes]]
        path = "/app"
        files = "{root}"
        fallback = "index.html"
        "#
    ))
    .await;
    for (path, status, told) in [
        ("/s/index.html", 200, "file      index.html"),
        ("/s/", 200, "file      index.html"),
        (
            "/s",
            301,
            "file      a folder: 301 to the same path with a slash",
        ),
        (
            "/s/sub",
            301,
            "file      a folder: 301 to the same path with a slash",
        ),
        (
            "/s/nope",
            404,
            "refused   404: there is no such file below the folder, and no fallback",
        ),
        (
            "/app/nope",
            200,
            "file      index.html, the fallback: there is no such file",
        ),
        (
            "/s/.env",
            404,
            "refused   404: such a name is never served: one that begins with a dot, or an empty one",
        ),
        (
            "/s/../b",
            404,
            "refused   404: a path with a dot segment, encoded or not, takes no route",
        ),
        (
            "/s/%2e%2E/b",
            404,
            "refused   404: a path with a dot segment, encoded or not, takes no route",
        ),
        ("/none%2Fs//", 404, "no route matches: 404"),
        (
            "/s%2Fx",
            404,
            "refused   404: the path can be read in two ways, which take different routes",
        ),
        ("/none", 404, "no route matches: 404"),
    ] {
        assert_eq!(proxy.get(path).await.status, status, "{path}");
        let admin = proxy.admin.to_string();
        let output = tokio::process::Command::new(BINARY)
            .args(["explain", path, "--admin", &admin])
            .output()
            .await
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let last = text.trim_end().lines().last();
        assert_eq!(last, Some(told), "{path}: {text}");
    }
}

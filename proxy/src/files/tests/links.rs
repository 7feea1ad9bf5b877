//! Links, pipes and sockets in the root.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Outcome, Site, read};

#[tokio::test]
async fn links_are_followed_only_inside() {
    let site = Site::new();
    let outside = site.folder.path().join("secret.txt");
    symlink("../index.html", site.path("album/inside.html")).unwrap();
    symlink("album", site.path("inside")).unwrap();
    symlink("../secret.txt", site.path("out.txt")).unwrap();
    symlink("..", site.path("out")).unwrap();
    symlink("../root/index.html", site.path("out-and-in.html")).unwrap();
    symlink(&outside, site.path("absolute.txt")).unwrap();
    symlink(site.path("index.html"), site.path("absolute-inside.html")).unwrap();
    symlink("/dev/zero", site.path("zero")).unwrap();
    symlink("/proc/self/root/etc/passwd", site.path("magic")).unwrap();
    let inside = site.found("/album/inside.html").await;
    assert_eq!(read(inside.body).await.unwrap(), b"<p>home</p>");
    let inside = site.found("/inside/").await;
    assert_eq!(read(inside.body).await.unwrap(), b"<p>album</p>");
    for path in [
        "/out.txt",
        "/out",
        "/out/",
        "/out/secret.txt",
        "/out/root/index.html",
        "/out-and-in.html",
        "/absolute.txt",
        "/absolute-inside.html",
        "/zero",
        "/magic",
    ] {
        site.check_not_found(path).await;
    }
}

#[tokio::test]
async fn pipes_and_sockets_are_neither_served_nor_waited_for() {
    let site = Site::new();
    let pipe = site.path("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let _socket = UnixListener::bind(site.path("socket")).unwrap();
    for path in ["/pipe", "/pipe/", "/socket"] {
        let answer = tokio::time::timeout(Duration::from_secs(5), site.check_not_found(path));
        answer
            .await
            .unwrap_or_else(|_| panic!("{path} was waited for"));
    }
}

#[tokio::test]
async fn a_link_swapped_in_during_requests_never_leads_out() {
    let site = Site::new();
    fs::create_dir(site.folder.path().join("outside")).unwrap();
    fs::write(site.folder.path().join("outside/index.html"), "SECRET").unwrap();
    let done = AtomicBool::new(false);
    let (mut served, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for target in ["album", "../outside"] {
                    symlink(target, site.path("next")).unwrap();
                    fs::rename(site.path("next"), site.path("swapped")).unwrap();
                }
            }
        });
        // The thread above must be told to stop also when an assertion below fails.
        let stop = StopOnDrop(&done);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        std::thread::scope(|inner| {
            let requests = inner.spawn(|| {
                runtime.unwrap().block_on(async {
                    let deadline = Instant::now() + Duration::from_secs(20);
                    while (served < 200 || refused < 200) && Instant::now() < deadline {
                        // What is held in memory would hide the swap for a while.
                        site.root.memory.forget("swapped/index.html");
                        match site.get("/swapped/").await {
                            Outcome::Found(file) => {
                                assert_eq!(read(file.body).await.unwrap(), b"<p>album</p>");
                                served += 1;
                            }
                            Outcome::NotFound => refused += 1,
                            other => panic!("{other:?}"),
                        }
                    }
                });
            });
            requests.join().unwrap();
        });
        drop(stop);
    });
    assert!(
        served >= 200 && refused >= 200,
        "{served} served, {refused} refused"
    );
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

//! What is attacked: the proxy as a process of its own, before one server, with files and TLS.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Where the proxy listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) plain: SocketAddr,
    pub(crate) secure: SocketAddr,
}

/// A running proxy.
pub(crate) struct Target {
    pub(crate) addresses: Addresses,
    child: Child,
    _folder: TempDir,
}

impl Target {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("files")).unwrap();
        fs::write(at("files/small.txt"), "small\n").unwrap();
        let mut large = vec![0; 1 << 20];
        fastrand::Rng::with_seed(1).fill(&mut large);
        fs::write(at("files/large.bin"), large).unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(at("tls.crt"), made.cert.pem()).unwrap();
        fs::write(at("tls.key"), made.signing_key.serialize_pem()).unwrap();
        let config = format!(
            "listen = [\"127.0.0.1:0\"]\nlog.access = \"off\"\n\
             tls = {{ listen = \"127.0.0.1:0\", certificate = \"tls.crt\", key = \"tls.key\" }}\n\
             [[routes]]\npath = \"/files\"\nfiles = \"files\"\n\
             [[routes]]\npath = \"/api\"\nupstream = \"u\"\n\
             [upstreams.u]\nservers = [{{ address = \"{}\" }}]\n",
            serve_upstream()
        );
        fs::write(at("proxy.toml"), config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_proxy"))
            .args(["serve", "--config"])
            .arg(at("proxy.toml"))
            .env("LOG_FORMAT", "json")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let serving = log.find(|line| line.as_ref().unwrap().contains("\"serving\""));
        let serving: serde_json::Value = serde_json::from_str(&serving.unwrap().unwrap()).unwrap();
        std::thread::spawn(move || log.map_while(Result::ok).for_each(drop));
        let address = |key: &str| serving[key].as_str().unwrap().parse().unwrap();
        Self {
            addresses: Addresses {
                plain: address("listen"),
                secure: address("tls"),
            },
            child,
            _folder: folder,
        }
    }

    /// The memory that it holds, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let figure = line.unwrap().split_whitespace().nth(1);
        figure.unwrap().parse().unwrap()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that answers at once, on a thread of its own.
fn serve_upstream() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let app = axum::Router::new().fallback(|_: axum::body::Bytes| async { "fine" });
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
    });
    address
}

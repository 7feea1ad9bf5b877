//! A client of W3C `WebDriver` (<https://www.w3.org/TR/webdriver2/>) as far as these tests need it: JSON over HTTP to a
//! `chromedriver` of our own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use stack::ask::{Address, ask, request};
use tokio::runtime::Runtime;

/// The key under which an element's reference stands (section 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const PATIENCE: Duration = Duration::from_secs(60);

/// The program that starts browsers.
pub(crate) struct Chromedriver {
    child: Mutex<Child>,
    address: SocketAddr,
    runtime: Runtime,
}

impl Chromedriver {
    /// Starts it on a port of its own choice.
    pub(crate) fn start() -> Self {
        let mut command = Command::new("chromedriver");
        let spawned = command.arg("--port=0").stdout(Stdio::piped()).spawn();
        let mut child = spawned.expect("chromedriver is missing: run scripts/setup test");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse().ok()
            })
            .expect("chromedriver names no port");
        // It must never block on what nobody reads.
        std::thread::spawn(move || lines.map_while(Result::ok).count());
        Self {
            child: Mutex::new(child),
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            runtime: Runtime::new().unwrap(),
        }
    }

    /// Ends it, and with it the browsers that it started.
    pub(crate) fn end(&self) {
        let _ = self.send(Method::GET, "/shutdown", &Value::Null);
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Begins a session with these capabilities; returns its address here.
    pub(crate) fn begin(&self, capabilities: &Value) -> String {
        let wanted = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let begun = self.send(Method::POST, "/session", &wanted);
        let begun = begun.unwrap_or_else(|error| panic!("no browser: {error}"));
        format!("/session/{}", begun["sessionId"].as_str().unwrap())
    }

    /// Sends a command; returns its value, or the error's name and message.
    pub(crate) fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value, String> {
        let address = Address::Tcp(self.address);
        let body = if method == Method::POST {
            body.to_string()
        } else {
            String::new()
        };
        let request = request(method, &address, path, body.into()).unwrap();
        let answer = self.runtime.block_on(ask(&address, request, PATIENCE));
        let answer = answer.map_err(|error| format!("{path}: {error}"))?;
        let value = answer.json()["value"].clone();
        if answer.status == 200 {
            Ok(value)
        } else {
            let message = value["message"].as_str().unwrap_or_default();
            let first = message.lines().next().unwrap_or_default();
            Err(format!("{}: {first}", value["error"]))
        }
    }
}

/// The references in an answer to "find elements".
pub(crate) fn references(found: &Value) -> Vec<String> {
    let found = found.as_array().into_iter().flatten();
    found
        .filter_map(|element| element[ELEMENT].as_str().map(str::to_owned))
        .collect()
}

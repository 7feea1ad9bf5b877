//! One browser with one window, as a person uses it: it waits for what it is told to use, and looks in the end
//! whether anything was said on its console or asked of another host.

use std::cell::Cell;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use crate::site::{BOUND, PASSWORD, Site, eventually, pause};
use crate::webdriver::references;

/// How a browser is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scripts {
    /// As everybody has it.
    On,
    /// JavaScript is off.
    Off,
}

/// What a response said, out of the browser's log of the network.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) url: String,
    pub(crate) status: u64,
    pub(crate) instance: String,
    pub(crate) protocol: String,
}

/// A browser at work on one origin.
pub(crate) struct Browser<'a> {
    site: &'a Site,
    origin: String,
    session: String,
    profile: tempfile::TempDir,
    /// How many answers it had so far.
    answers: Cell<usize>,
}

impl<'a> Browser<'a> {
    /// A browser that knows the site in clear.
    pub(crate) fn new(site: &'a Site, scripts: Scripts) -> Self {
        Self::at(site, format!("http://{}", site.address), scripts)
    }

    /// A browser that knows it over TLS, and takes the certificate that was made for the test.
    pub(crate) fn over_tls(site: &'a Site) -> Self {
        Self::at(site, format!("https://{}", site.tls), Scripts::On)
    }

    fn at(site: &'a Site, origin: String, scripts: Scripts) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut prefs = json!({});
        if scripts == Scripts::Off {
            prefs["profile.managed_default_content_settings.javascript"] = json!(2);
        }
        let session = site.chromedriver.begin(&json!({
            "browserName": "chrome",
            "acceptInsecureCerts": origin.starts_with("https:"),
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "goog:chromeOptions": {
                "args": [
                    "--headless=new",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--hide-scrollbars",
                    "--no-first-run",
                    "--lang=en",
                    "--window-size=1200,900",
                    format!("--user-data-dir={}", profile.path().display()),
                ],
                "prefs": prefs,
                "perfLoggingPrefs": { "enableNetwork": true },
            },
        }));
        Self {
            site,
            origin,
            session,
            profile,
            answers: Cell::new(0),
        }
    }

    /// Opens a path of the site and waits until it is loaded.
    pub(crate) fn open(&self, path: &str) {
        let url = format!("{}{path}", self.origin);
        self.post("url", &json!({ "url": url }));
    }

    /// Loads the page again.
    pub(crate) fn reload(&self) {
        self.post("refresh", &json!({}));
    }

    /// The address bar, without the origin.
    pub(crate) fn address(&self) -> String {
        let url = self.get("url");
        let url = url.as_str().unwrap();
        url.strip_prefix(&self.origin).unwrap_or(url).to_owned()
    }

    /// Waits until the address bar holds this.
    pub(crate) fn is_at(&self, part: &str) {
        eventually(BOUND, &format!("{part} in the address"), || {
            self.address().contains(part)
        });
    }

    /// Whether something is on the page now.
    pub(crate) fn has(&self, css: &str) -> bool {
        !self.find("css selector", css).is_empty()
    }

    /// Waits until something is on the page, and shows this text.
    pub(crate) fn sees(&self, css: &str, text: &str) {
        let mut seen = String::new();
        let begin = Instant::now();
        while begin.elapsed() < BOUND {
            seen = self.text(css).unwrap_or_default();
            if self.has(css) && seen.contains(text) {
                return;
            }
            pause(Duration::from_millis(30));
        }
        panic!(
            "{css} at {} shows {seen:?}, not {text:?}; the page: {:?}",
            self.address(),
            self.text("body")
        );
    }

    /// The rendered text of the first match; `None` without one.
    pub(crate) fn text(&self, css: &str) -> Option<String> {
        let element = self.find("css selector", css).into_iter().next()?;
        // It may be gone by now: another page came.
        let text = self.try_get(&format!("element/{element}/text")).ok()?;
        text.as_str().map(str::to_owned)
    }

    /// Clicks the first match.
    pub(crate) fn click(&self, css: &str) {
        self.click_by("css selector", css);
    }

    /// Clicks the button or link that says this.
    pub(crate) fn press(&self, label: &str) {
        let says = format!("[normalize-space()=\"{label}\"]");
        self.click_by("xpath", &format!("//button{says} | //a{says}"));
    }

    /// Presses what leads to another page and waits until this one is gone: what comes next must not meet the
    /// fields of a page that is about to go.
    pub(crate) fn follow(&self, label: &str) {
        let here = self.wait_for("css selector", "html");
        self.press(label);
        eventually(BOUND, &format!("the page behind {label}"), || {
            self.try_get(&format!("element/{here}/name")).is_err()
        });
    }

    /// Chooses the option of a list that has this value.
    pub(crate) fn choose(&self, list: &str, value: &str) {
        self.click(&format!("{list} option[value=\"{value}\"]"));
    }

    /// Writes into a field, in place of what was in it.
    pub(crate) fn fill(&self, css: &str, text: &str) {
        let element = self.wait_for("css selector", css);
        self.post(&format!("element/{element}/clear"), &json!({}));
        if !text.is_empty() {
            let keys = json!({ "text": text });
            self.post(&format!("element/{element}/value"), &keys);
        }
    }

    /// Presses the tab key once.
    pub(crate) fn tab(&self) {
        let press = |kind: &str| json!({ "type": kind, "value": "\u{e004}" });
        let keys = json!({ "type": "key", "id": "keyboard", "actions": [press("keyDown"), press("keyUp")] });
        self.post("actions", &json!({ "actions": [keys] }));
    }

    /// What a field holds.
    pub(crate) fn value(&self, css: &str) -> String {
        let element = self.wait_for("css selector", css);
        let value = self.get(&format!("element/{element}/property/value"));
        value.as_str().unwrap().to_owned()
    }

    /// Evaluates a script of the test, which may end in `return`; the page's own settings do not matter to it.
    pub(crate) fn eval(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Evaluates a script that calls its last argument when it is done.
    pub(crate) fn eval_async(&self, script: &str) -> Value {
        self.post("execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Signs in on the page that asks for it, with a name and a password.
    pub(crate) fn sign_in(&self, name: &str, password: &str) {
        self.fill("#username", name);
        self.fill("#password", password);
        self.click("main button.primary");
    }

    /// Goes to the page for it and signs the administrator in; ends on `next`.
    pub(crate) fn sign_in_for(&self, next: &str) {
        self.open(&format!("/api-auth/login/?next={next}"));
        self.sign_in("admin", PASSWORD);
        eventually(BOUND, "the next page", || self.address() == next);
    }

    /// Sets width and height of the page in CSS pixels.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Prefers dark pages, or light ones.
    pub(crate) fn prefer_dark(&self, is_dark: bool) {
        let value = if is_dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.devtools(
            "Emulation.setEmulatedMedia",
            &json!({ "features": features }),
        );
    }

    /// What is on the screen, as a PNG.
    pub(crate) fn picture(&self) -> Vec<u8> {
        let picture = self.get("screenshot");
        STANDARD.decode(picture.as_str().unwrap()).unwrap()
    }

    /// Fails if the page is wider than the window.
    pub(crate) fn fits(&self) {
        let excess = self.eval(
            "const page = document.documentElement; return page.scrollWidth - page.clientWidth;",
        );
        assert_eq!(excess, 0, "{} scrolls sideways", self.address());
    }

    /// Fails if the console holds anything but one message on an answer of this status.
    pub(crate) fn was_refused(&self, status: u16) {
        let said = self.console();
        let expected = format!("the server responded with a status of {status} ");
        assert!(
            said.len() == 1 && said[0].contains(&expected),
            "{status} was expected: {said:?}"
        );
    }

    /// Fails if there is a word on the console.
    pub(crate) fn is_silent(&self) {
        let said = self.console();
        assert!(said.is_empty(), "{}: {said:?}", self.address());
    }

    /// All answers since the last call; fails if one came from elsewhere.
    pub(crate) fn received(&self) -> Vec<Received> {
        let entries = self.post("se/log", &json!({ "type": "performance" }));
        let mut received = Vec::new();
        for entry in entries.as_array().unwrap() {
            let event: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            let (method, params) = (&event["message"]["method"], &event["message"]["params"]);
            let response = if method == "Network.requestWillBeSent" {
                let url = params["request"]["url"].as_str().unwrap();
                assert!(self.is_ours(url) || !is_of_the_web(url), "asks {url}");
                &params["redirectResponse"]
            } else {
                &params["response"]
            };
            let url = response["url"].as_str().unwrap_or_default();
            if self.is_ours(url) {
                received.push(Received {
                    url: url.to_owned(),
                    status: response["status"].as_u64().unwrap_or_default(),
                    instance: field(&response["headers"], "x-instance"),
                    protocol: response["protocol"].as_str().unwrap_or_default().to_owned(),
                });
            }
        }
        self.answers.set(self.answers.get() + received.len());
        received
    }

    /// Ends the browser; fails if it has anything to say.
    pub(crate) fn close(self) {
        self.is_silent();
        self.received();
        assert!(self.answers.get() > 0, "the browser saw no answer");
    }

    fn is_ours(&self, url: &str) -> bool {
        let path = url.strip_prefix(&self.origin);
        path.is_some_and(|path| path.starts_with('/'))
    }

    fn console(&self) -> Vec<String> {
        let entries = self.post("se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().unwrap();
        entries
            .iter()
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .collect()
    }

    fn click_by(&self, strategy: &str, wanted: &str) {
        let element = self.wait_for(strategy, wanted);
        self.post(&format!("element/{element}/click"), &json!({}));
    }

    fn wait_for(&self, strategy: &str, wanted: &str) -> String {
        let mut found = Vec::new();
        eventually(BOUND, &format!("{wanted} at {}", self.address()), || {
            found = self.find(strategy, wanted);
            !found.is_empty()
        });
        found.swap_remove(0)
    }

    fn find(&self, strategy: &str, wanted: &str) -> Vec<String> {
        let sought = json!({ "using": strategy, "value": wanted });
        references(&self.post("elements", &sought))
    }

    fn devtools(&self, command: &str, params: &Value) {
        self.post(
            "goog/cdp/execute",
            &json!({ "cmd": command, "params": params }),
        );
    }

    fn get(&self, command: &str) -> Value {
        let value = self.try_get(command);
        value.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    fn try_get(&self, command: &str) -> Result<Value, String> {
        let path = format!("{}/{command}", self.session);
        self.site
            .chromedriver
            .send(Method::GET, &path, &Value::Null)
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        let path = format!("{}/{command}", self.session);
        let value = self.site.chromedriver.send(Method::POST, &path, body);
        value.unwrap_or_else(|error| panic!("{command} {body}: {error}"))
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        let end = self
            .site
            .chromedriver
            .send(Method::DELETE, &self.session, &Value::Null);
        if let Err(error) = end {
            eprintln!("{}: {error}", self.profile.path().display());
        }
    }
}

/// Whether others are asked for it: `data:` and the `chrome:` of a new tab stay within the browser.
fn is_of_the_web(url: &str) -> bool {
    ["http", "ws", "ftp"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
}

/// A field of an answer, whose names come in any case.
fn field(headers: &Value, name: &str) -> String {
    let mut fields = headers.as_object().into_iter().flatten();
    let found = fields.find(|(key, _)| key.eq_ignore_ascii_case(name));
    let value = found.and_then(|(_, value)| value.as_str());
    value.unwrap_or_default().to_owned()
}

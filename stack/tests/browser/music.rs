//! The browsable API as a person goes through it, with JavaScript and without.

use std::collections::BTreeSet;

use crate::Scenario;
use crate::browser::{Browser, Scripts};
use crate::site::{BOUND, PASSWORD, Site, eventually};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("from_log_in_to_log_out", |site| walk(site, Scripts::On)),
    ("from_log_in_to_log_out_without_scripts", |site| {
        walk(site, Scripts::Off);
    }),
    ("instances_take_turns", instances_take_turns),
    ("the_description_is_shown", the_description_is_shown),
    ("a_session_outlives_its_instance", |site| {
        session_outlives_instance(site, Scripts::On);
    }),
    ("a_session_outlives_its_instance_without_scripts", |site| {
        session_outlives_instance(site, Scripts::Off);
    }),
];

const LIST: &str = "/api/music/";
/// The form of the fields, not that of raw data.
const SEND: &str = "section[aria-labelledby=form-title] button[name=_method]";
const SEND_RAW: &str = "section[aria-labelledby=raw-title] button[name=_method]";

fn walk(site: &Site, scripts: Scripts) {
    let browser = Browser::new(site, scripts);
    log_in(&browser);
    break_a_field(&browser);
    add_edit_delete(&browser);
    send_raw_data(&browser);
    ask_for_options(&browser);
    find_and_turn_pages(site, &browser);
    browser.follow("Log out");
    browser.sees(".visitor", "Log in");
    assert!(!browser.has(SEND), "who is logged out sees a form");
    if scripts == Scripts::Off {
        browser.open("/");
        browser.sees("noscript", "This page asks the API by JavaScript");
    }
    browser.close();
}

fn log_in(browser: &Browser<'_>) {
    browser.open(LIST);
    assert!(!browser.has(SEND), "who may not write sees a form");
    browser.follow("Log in");
    browser.sign_in("admin", "not the password");
    browser.sees("[role=alert]", "Please enter a correct username");
    assert_eq!(browser.value("#username"), "admin");
    assert!(browser.address().starts_with("/api-auth/login/"));
    browser.is_silent();
    browser.sign_in("admin", PASSWORD);
    browser.sees(".visitor", "Logged in as admin");
    assert_eq!(browser.address(), LIST);
}

fn break_a_field(browser: &Browser<'_>) {
    browser.fill("#singer", "Nina");
    browser.click(SEND);
    browser.sees("#song-error", "This field may not be blank.");
    assert_eq!(browser.value("#singer"), "Nina");
    browser.sees(".answer", "HTTP 400");
    browser.was_refused(400);
}

fn add_edit_delete(browser: &Browser<'_>) {
    browser.open(LIST);
    browser.fill("#song", "Feeling Good");
    browser.fill("#singer", "Nina");
    browser.click(SEND);
    browser.sees(".done", "");
    browser.click(".done a");
    browser.sees("#json", "\"Feeling Good\"");
    let address = browser.address();
    assert_ne!(address, LIST);

    assert_eq!(browser.value("#song"), "Feeling Good");
    browser.fill("#song", "Sinnerman");
    browser.click(SEND);
    browser.sees("#json", "\"Sinnerman\"");
    browser.sees(".answer", "HTTP 200");
    browser.open(&address);
    browser.sees("#json", "\"Sinnerman\"");

    browser.follow("DELETE");
    browser.sees("#confirm-title", "Delete this for good?");
    browser.follow("No, keep it");
    browser.sees("#json", "\"Sinnerman\"");
    browser.follow("DELETE");
    browser.follow("Yes, delete it");
    browser.sees(".answer", "HTTP 204");
    browser.is_silent();
    browser.open(&address);
    browser.sees("main", "404");
    browser.was_refused(404);
}

fn send_raw_data(browser: &Browser<'_>) {
    browser.open(LIST);
    browser.fill("#raw-content", "{\"song\": \"Raw\", ");
    browser.click(SEND_RAW);
    browser.sees(".answer", "HTTP 400");
    assert_eq!(browser.value("#raw-content"), "{\"song\": \"Raw\", ");
    browser.was_refused(400);
    browser.fill("#raw-content", "{\"song\": \"\"}");
    browser.click(SEND_RAW);
    browser.sees("#problems", "Song: This field may not be blank.");
    browser.sees("#problems", "Singer: This field is required.");
    browser.was_refused(400);
    browser.fill(
        "#raw-content",
        "{\"song\": \"Raw\", \"singer\": \"Cooked\"}",
    );
    browser.click(SEND_RAW);
    browser.sees(".answer", "HTTP 201");
    browser.click(".done a");
    browser.sees("#json", "\"Cooked\"");
    browser.fill("#raw-content", "{\"singer\": \"Raw, too\"}");
    browser.follow("PATCH");
    browser.sees("#json", "\"Raw, too\"");
    browser.sees("#json", "\"Raw\"");
}

fn ask_for_options(browser: &Browser<'_>) {
    browser.open(LIST);
    browser.follow("OPTIONS");
    browser.sees(".request", "OPTIONS /api/music/");
    browser.sees("#json", "\"renders\"");
    browser.open("/api/music/?format=json");
    browser.sees("body", "[");
    assert!(!browser.has("main"), "JSON was asked for");
}

fn find_and_turn_pages(site: &Site, browser: &Browser<'_>) {
    for number in 0..12 {
        site.add(&format!("page {number:02}"), "Turner");
    }
    site.add("a needle in the hay", "Seeker");
    browser.open(LIST);
    browser.fill("#search", "needle");
    browser.follow("Find");
    browser.sees("#json", "a needle in the hay");
    let json = browser.text("#json").unwrap();
    assert!(!json.contains("Turner"), "{json}");
    browser.follow("All");
    browser.sees("#json", "Turner");

    browser.fill("#by-singer", "Turner");
    browser.choose("#limit", "10");
    browser.follow("Find");
    browser.is_at("limit=10");
    browser.sees("#json", "page 09");
    browser.follow("Next");
    browser.sees("#json", "page 11");
    let json = browser.text("#json").unwrap();
    assert!(!json.contains("page 09"), "{json}");
    browser.follow("Previous");
    browser.sees("#json", "page 00");
}

/// Swagger UI, which is others' work, is only asked to be quiet and to come whole from here.
fn the_description_is_shown(site: &Site) {
    let browser = Browser::new(site, Scripts::On);
    browser.open("/api/docs/");
    browser.sees(".swagger-ui .info .title", "");
    browser.sees(".swagger-ui", "/api/music/");
    browser.close();
}

fn instances_take_turns(site: &Site) {
    let browser = Browser::new(site, Scripts::Off);
    let mut names = BTreeSet::new();
    browser.open(LIST);
    for _ in 0..10 {
        names.insert(browser.text(".instance").unwrap());
        browser.reload();
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert_eq!(names, ["api2_1", "api_1"]);
    browser.close();
}

/// The instance that a browser that has just signed in was signed in by.
pub(crate) fn maker_of_the_session(browser: &Browser<'_>) -> String {
    let received = browser.received();
    let mut log_ins = received.iter().filter(|received| received.status == 302);
    let log_in = log_ins.next().expect("the log-in leads on");
    assert!(log_in.url.ends_with("/api-auth/login/"), "{log_in:?}");
    log_in.instance.clone()
}

/// The instance that made the session is killed. Nobody is asked to sign in again, nothing fails, nothing is lost.
fn session_outlives_instance(site: &Site, scripts: Scripts) {
    let browser = Browser::new(site, scripts);
    browser.sign_in_for(LIST);
    let maker = maker_of_the_session(&browser);
    browser.fill("#song", "Still here");
    browser.fill("#singer", &maker);
    site.verb("kill", &maker);
    browser.click(SEND);
    browser.sees(".answer", "HTTP 201");
    browser.click(".done a");
    browser.sees("#json", "\"Still here\"");
    for _ in 0..5 {
        browser.reload();
        browser.sees(".visitor", "Logged in as admin");
        assert_ne!(browser.text(".instance").unwrap(), maker);
    }
    site.verb("start", &maker);
    eventually(BOUND, "the killed instance knows the session", || {
        browser.reload();
        browser.sees(".visitor", "Logged in as admin");
        browser.text(".instance").unwrap() == maker
    });
    browser.close();
}

//! What axe-core finds on every page, light and dark, wide and on a small phone: nothing.
//!
//! `scripts/axe` fetches it. Without it these scenarios are skipped.

use std::path::PathBuf;

use http::Method;
use serde_json::{Value, json};

use crate::Scenario;
use crate::admin::add_user;
use crate::browser::{Browser, Scripts};
use crate::site::{Site, read, root};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("of_what_everybody_sees", of_what_everybody_sees),
    ("of_what_who_is_logged_in_sees", of_what_members_see),
    ("of_what_staff_see", of_what_staff_see),
    ("of_refusals", of_refusals),
    ("of_refusals_of_the_admin", of_refusals_to_staff),
    ("of_the_page_that_watches", of_the_page_that_watches),
];

/// The widths that every page is looked at with.
const WIDTHS: [u32; 2] = [1200, 320];

fn axe() -> PathBuf {
    root().join("target/axe/axe.min.js")
}

/// Whether axe-core is here.
pub(crate) fn has_axe() -> bool {
    axe().is_file()
}

fn of_what_everybody_sees(site: &Site) {
    let browser = Browser::new(site, Scripts::On);
    let number = site.add("Axe", "The Choppers");
    for path in [
        "/api/",
        "/api/music/",
        "/api/music/all_singer/",
        "/api-auth/login/",
        &format!("/api/music/{number}/"),
        &format!("/api/music/{number}/detail/"),
    ] {
        browser.open(path);
        has_no_barrier(&browser);
    }
    browser.close();
}

fn of_what_members_see(site: &Site) {
    let browser = Browser::new(site, Scripts::On);
    let number = site.add("Axe", "The Choppers");
    browser.sign_in_for("/api/music/");
    for path in ["/api/music/", "/api/music/?search=axe&limit=10&offset=0"] {
        browser.open(path);
        has_no_barrier(&browser);
    }
    for query in ["", "?confirm=delete"] {
        browser.open(&format!("/api/music/{number}/{query}"));
        has_no_barrier(&browser);
    }
    browser.open("/api/music/");
    browser.follow("OPTIONS");
    browser.sees(".request", "OPTIONS");
    has_no_barrier(&browser);
    browser.close();
}

fn of_what_staff_see(site: &Site) {
    let browser = Browser::new(site, Scripts::On);
    let number = site.add("Axe", "The Choppers");
    browser.sign_in_for("/admin/");
    for path in [
        "/admin/",
        "/admin/music/?search=axe",
        "/admin/music/add/",
        &format!("/admin/music/{number}/"),
        &format!("/admin/music/delete/?id={number}"),
        "/admin/users/",
        "/admin/users/add/",
        "/admin/users/1/",
        "/admin/password/",
        "/admin/music/?search=no+song+of+this+name",
        "/admin/music/delete/",
        "/api/schema/",
    ] {
        browser.open(path);
        has_no_barrier(&browser);
    }
    // The same form sends who opens it for themselves elsewhere.
    add_user(&browser, "axe-of-the-staff", "axes-and-choppers-1");
    let rights = browser.address();
    let rights = rights.split('?').next().unwrap();
    browser.open(&format!("{rights}password/"));
    browser.sees("h1", "axe-of-the-staff");
    has_no_barrier(&browser);
    browser.close();
}

fn of_refusals(site: &Site) {
    let browser = Browser::new(site, Scripts::On);
    for (path, status) in [("/api/music/999999999/", 404), ("/nowhere", 404)] {
        browser.open(path);
        has_no_barrier(&browser);
        browser.was_refused(status);
    }
    browser.open("/api-auth/login/");
    browser.sign_in("admin", "wrong");
    browser.sees("[role=alert]", "");
    has_no_barrier(&browser);
    browser.sign_in_for("/api/music/");
    browser.click("section[aria-labelledby=form-title] button[name=_method]");
    browser.sees("#song-error", "blank");
    has_no_barrier(&browser);
    browser.was_refused(400);
    browser.close();
}

fn of_refusals_to_staff(site: &Site) {
    let (name, password) = ("Axe-of-the-browser", "axes-and-choppers-1");
    let number = site.add("Axe", "The Choppers");
    let browser = Browser::new(site, Scripts::On);
    browser.sign_in_for("/admin/");
    browser.open("/admin/music/add/");
    browser.follow("Save");
    browser.sees("#song-error", "blank");
    has_no_barrier(&browser);
    browser.was_refused(400);

    browser.open(&format!("/admin/music/{number}/"));
    browser.fill("#song", "Adze");
    let meanwhile = json!({ "song": "Axes", "singer": "The Choppers" });
    site.send(
        Method::PUT,
        &format!("/api/music/{number}/"),
        Some(&meanwhile),
    );
    browser.follow("Save");
    browser.sees(".alert", "Somebody else has changed this song");
    assert_eq!(browser.value("#song"), "Adze");
    has_no_barrier(&browser);
    browser.was_refused(409);

    add_user(&browser, name, password);
    let rights = browser.address();
    let rights = rights.split('?').next().unwrap();
    browser.open(rights);
    let other = Browser::new(site, Scripts::On);
    other.sign_in_for("/admin/");
    other.open(rights);
    other.click("#is-staff");
    other.follow("Save");
    other.sees(".done", "The user was saved.");
    other.close();
    browser.follow("Save");
    browser.sees(".alert", "Somebody else has changed these rights");
    has_no_barrier(&browser);
    browser.was_refused(409);
    browser.follow("Open it again");
    browser.click("#is-staff");
    browser.follow("Save");
    browser.sees(".done", "The user was saved.");
    browser.close();

    let theirs = Browser::new(site, Scripts::On);
    theirs.open("/api-auth/login/?next=/api/music/");
    theirs.sign_in(name, password);
    theirs.sees(".visitor", name);
    theirs.open("/admin/music/?search=axe");
    theirs.sees("main", "not as somebody of the staff");
    has_no_barrier(&theirs);
    theirs.was_refused(403);
    // Whoever logs in from there comes back there.
    theirs.click("main a[href*=login]");
    theirs.is_at("next=%2Fadmin%2Fmusic%2F%3Fsearch%3Daxe");
    theirs.close();
}

fn of_the_page_that_watches(site: &Site) {
    let browser = Browser::new(site, Scripts::On);
    browser.open("/");
    browser.sees("#songs-hint", "");
    has_no_barrier(&browser);
    browser.press("Start");
    browser.sees("#shares", "api2_1");
    site.verb("stop", "api2");
    browser.choose("#rate", "20");
    browser.sees(".share.away .state", "silent");
    browser.press("Stop");
    has_no_barrier(&browser);
    site.verb("start", "api2");
    browser.close();
}

/// Fails if axe-core finds anything, or if the page scrolls sideways, in any of the looks.
pub(crate) fn has_no_barrier(browser: &Browser<'_>) {
    if browser.eval("return typeof window.axe;") == "undefined" {
        browser.eval(&read(&axe()));
    }
    let mut found = Vec::new();
    for is_dark in [false, true] {
        browser.prefer_dark(is_dark);
        for width in WIDTHS {
            browser.resize(width, 900);
            browser.fits();
            let violations = violations(browser);
            for violation in violations.as_array().unwrap() {
                found.push(format!("{width} px, dark: {is_dark}: {violation}"));
            }
        }
    }
    assert!(found.is_empty(), "{}: {found:#?}", browser.address());
}

fn violations(browser: &Browser<'_>) -> Value {
    browser.eval_async(
        "const done = arguments[arguments.length - 1];
         axe.run(document, { resultTypes: ['violations'] }).then(
           ({ violations }) => done(violations.map(({ id, nodes }) =>
             [id, ...nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`)])),
           (error) => done([`axe-core failed: ${error}`]));",
    )
}

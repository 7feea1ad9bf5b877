//! The admin as a member of the staff uses it.

use crate::Scenario;
use crate::browser::{Browser, Scripts};
use crate::site::{BOUND, Site, eventually};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("deletes_three_songs_at_once", |site| {
        deletes_three(site, Scripts::On);
    }),
    ("deletes_three_songs_at_once_without_scripts", |site| {
        deletes_three(site, Scripts::Off);
    }),
    ("makes_a_user_who_signs_in", makes_a_user),
];

fn deletes_three(site: &Site, scripts: Scripts) {
    let singer = format!("Doomed {scripts:?}");
    let numbers: Vec<_> = ["one", "two", "three", "four"]
        .iter()
        .map(|name| site.add(&format!("doomed {name}"), &singer))
        .collect();
    let browser = Browser::new(site, scripts);
    browser.sign_in_for("/admin/");
    browser.open("/admin/music/");
    browser.fill("#search", &singer);
    browser.press("Find");
    browser.is_at("search=");
    for number in &numbers[..3] {
        browser.click(&format!("input[name=id][value=\"{number}\"]"));
    }
    browser.press("Delete the chosen songs");
    browser.sees("#ask-title", "3 songs");
    browser.press("Yes, delete");
    browser.sees(".done", "3");
    browser.is_silent();
    for (place, number) in numbers.iter().enumerate() {
        browser.open(&format!("/api/music/{number}/"));
        if place < 3 {
            browser.was_refused(404);
        } else {
            browser.sees("#json", "doomed four");
        }
    }
    browser.close();
}

fn makes_a_user(site: &Site) {
    let (name, password) = ("Ella-of-the-browser", "a-tisket-a-tasket-38");
    let browser = Browser::new(site, Scripts::On);
    browser.sign_in_for("/admin/");
    browser.open("/admin/users/add/");
    browser.fill("#username", name);
    browser.fill("#password", password);
    browser.fill("#again", password);
    browser.press("Add");
    browser.sees(".done", "The user was added");
    browser.sees("h1", name);
    browser.press("Log out");
    browser.open("/api-auth/login/?next=/api/music/");
    browser.sign_in(name, password);
    eventually(BOUND, "the list", || browser.address() == "/api/music/");
    browser.sees(".visitor", &format!("Logged in as {name}"));
    // Who is no staff sees no way to the admin.
    assert!(!browser.has("a[href=\"/admin/\"]"));
    browser.close();
}

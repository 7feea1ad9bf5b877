//! The admin as a member of the staff uses it.

use crate::Scenario;
use crate::browser::{Browser, Scripts};
use crate::music::maker_of_the_session;
use crate::site::{BOUND, Site, eventually};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("deletes_three_songs_at_once", |site| {
        deletes_three(site, Scripts::On);
    }),
    ("deletes_three_songs_at_once_without_scripts", |site| {
        deletes_three(site, Scripts::Off);
    }),
    ("makes_a_user_who_signs_in", makes_a_user),
    (
        "goes_on_without_scripts_when_its_instance_is_killed",
        outlives_its_instance,
    ),
];

fn deletes_three(site: &Site, scripts: Scripts) {
    let singer = format!("Doomed {scripts:?}");
    let numbers: Vec<_> = ["one", "two", "three", "four"]
        .iter()
        .map(|name| site.add(&format!("doomed {name}"), &singer))
        .collect();
    let browser = Browser::new(site, scripts);
    browser.sign_in_for("/admin/");
    choose(&browser, &singer, &numbers[..3]);
    browser.follow("Delete the chosen songs");
    browser.sees("#ask-title", "3 songs");
    browser.follow("Yes, delete");
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

/// Finds the songs of a singer and ticks some of them.
fn choose(browser: &Browser<'_>, singer: &str, numbers: &[u64]) {
    browser.open("/admin/music/");
    browser.fill("#search", singer);
    browser.follow("Find");
    browser.is_at("search=");
    for number in numbers {
        browser.click(&format!("input[name=id][value=\"{number}\"]"));
    }
}

/// Fills in the form for a user and sends it.
pub(crate) fn add_user(browser: &Browser<'_>, name: &str, password: &str) {
    browser.open("/admin/users/add/");
    browser.fill("#username", name);
    browser.fill("#password", password);
    browser.fill("#again", password);
    browser.follow("Add");
    browser.sees(".done", "The user was added");
    browser.sees("h1", name);
}

fn makes_a_user(site: &Site) {
    let (name, password) = ("Ella-of-the-browser", "a-tisket-a-tasket-38");
    let browser = Browser::new(site, Scripts::On);
    browser.sign_in_for("/admin/");
    add_user(&browser, name, password);
    browser.follow("Log out");
    browser.open("/api-auth/login/?next=/api/music/");
    browser.sign_in(name, password);
    eventually(BOUND, "the list", || browser.address() == "/api/music/");
    browser.sees(".visitor", &format!("Logged in as {name}"));
    // Who is no staff sees no way to the admin.
    assert!(!browser.has("a[href=\"/admin/\"]"));
    browser.close();
}

/// The instance that made the session is killed while a form is open. Nothing is asked again, and all is done.
fn outlives_its_instance(site: &Site) {
    let (name, password) = ("Billie-of-the-browser", "strange-fruit-1939");
    let singer = "Doomed with its instance";
    let numbers = ["one", "two", "three"].map(|name| site.add(name, singer));
    let browser = Browser::new(site, Scripts::Off);
    browser.sign_in_for("/admin/");
    let maker = maker_of_the_session(&browser);
    choose(&browser, singer, &numbers);
    site.verb("kill", &maker);
    browser.follow("Delete the chosen songs");
    browser.sees("#ask-title", "3 songs");
    browser.follow("Yes, delete");
    browser.sees(".done", "3 songs were deleted.");
    browser.sees(".visitor", "Logged in as admin");
    add_user(&browser, name, password);
    assert_ne!(browser.text(".instance").unwrap(), maker);

    let theirs = Browser::new(site, Scripts::Off);
    theirs.open("/api-auth/login/?next=/api/music/");
    theirs.sign_in(name, password);
    theirs.sees(".visitor", &format!("Logged in as {name}"));
    site.verb("start", &maker);
    for browser in [&browser, &theirs] {
        browser.open("/api/music/?limit=10");
        eventually(BOUND, "the killed instance knows the session", || {
            browser.reload();
            browser.sees(".visitor", "Logged in as");
            browser.text(".instance").unwrap() == maker
        });
    }
    browser.close();
    theirs.close();
}

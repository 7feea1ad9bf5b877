//! The page at `/`, which watches who answers.

use std::time::Duration;

use crate::Scenario;
use crate::browser::{Browser, Scripts};
use crate::site::{BOUND, Site, eventually, pause};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("shows_turns_and_shares", shows_turns_and_shares),
    ("shows_an_instance_that_is_gone", shows_who_is_gone),
    ("adds_a_song", adds_a_song),
];

fn shows_turns_and_shares(site: &Site) {
    let browser = Browser::new(site, Scripts::On);
    browser.open("/");
    browser.sees("#last-name", "nobody yet");
    browser.choose("#rate", "20");
    browser.press("Start");
    watches(&browser);
    let shares = shares(&browser);
    assert_eq!(shares.len(), 2, "{shares:?}");
    for ((name, share), (expected_name, expected)) in
        shares.iter().zip([("api_1", 40.0), ("api2_1", 60.0)])
    {
        assert_eq!(name, expected_name);
        // At most one turn of the last, unfinished cycle is amiss.
        assert!((share - expected).abs() < 8.0, "{shares:?}");
    }
    assert_eq!(browser.text("#count-other").unwrap(), "0");
    browser.press("Stop");
    eventually(BOUND, "it rests", || {
        let before = browser.text("#count-ok");
        pause(Duration::from_millis(250));
        browser.text("#count-ok") == before
    });
    browser.press("Clear");
    browser.sees("#count-ok", "0");
    browser.close();
}

/// Waits for some cycles, and sees the bars change meanwhile.
pub(crate) fn watches(browser: &Browser<'_>) {
    let mut widths = std::collections::BTreeSet::new();
    eventually(BOUND, "30 answers", || {
        let width = browser.eval(
            "const fill = document.querySelector('.fill'); return fill ? fill.style.inlineSize : '';",
        );
        widths.insert(width.as_str().unwrap().to_owned());
        let count = browser.text("#count-ok").unwrap_or_default();
        count.parse::<u32>().is_ok_and(|count| count >= 30)
    });
    assert!(widths.len() > 1, "the bars stand still: {widths:?}");
}

/// Who has which share of the answers, in percent of the bar.
fn shares(browser: &Browser<'_>) -> Vec<(String, f64)> {
    let shares = browser.eval(
        "return [...document.querySelectorAll('.share')].map((share) => [
           share.querySelector('.name').textContent,
           parseFloat(share.querySelector('.fill').style.inlineSize)]);",
    );
    let shares = shares.as_array().unwrap().iter();
    shares
        .map(|share| {
            let name = share[0].as_str().unwrap().to_owned();
            (name, share[1].as_f64().unwrap())
        })
        .collect()
}

fn shows_who_is_gone(site: &Site) {
    let browser = Browser::new(site, Scripts::On);
    browser.open("/?start&rate=20&weights=4,6");
    eventually(BOUND, "both have a bar", || shares(&browser).len() == 2);
    site.verb("stop", "api2");
    browser.sees(".share.away .name", "api2_1");
    browser.sees(".share.away .state", "silent");
    browser.sees("#events", "silent for");
    site.verb("start", "api2");
    browser.sees("#events", "is back");
    eventually(BOUND, "it is shown as back", || !browser.has(".share.away"));
    for errors in ["#count-503", "#count-other"] {
        assert_eq!(browser.text(errors).unwrap(), "0", "{errors}");
    }
    browser.close();
}

fn adds_a_song(site: &Site) {
    let browser = Browser::new(site, Scripts::On);
    browser.open("/");
    add(&browser, "Nobody's song", "Nobody");
    browser.sees("#add-outcome", "Please log in first.");
    browser.was_refused(403);
    browser.click("#sign-in");
    browser.sign_in("admin", crate::site::PASSWORD);
    eventually(BOUND, "back at the page", || browser.address() == "/");
    add(&browser, "", "Nobody");
    browser.sees("#song-error", "This field may not be blank.");
    browser.was_refused(400);
    add(&browser, "Somebody's song", "Somebody");
    browser.sees("#add-outcome", "Added by api");
    browser.sees("#songs", "Somebody's song");
    browser.close();
}

/// Adds a song by the form of the page.
pub(crate) fn add(browser: &Browser<'_>, song: &str, singer: &str) {
    browser.fill("#song", song);
    browser.fill("#singer", singer);
    browser.click("#add button");
}

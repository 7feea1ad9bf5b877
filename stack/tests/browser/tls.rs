//! The pages over TLS, where browsers speak HTTP/2.

use crate::Scenario;
use crate::browser::Browser;
use crate::site::Site;
use crate::watch;

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[("pages_come_by_http2", pages_come_by_http2)];

fn pages_come_by_http2(site: &Site) {
    let browser = Browser::over_tls(site);
    browser.open("/");
    let protocol =
        browser.eval("return performance.getEntriesByType('navigation')[0].nextHopProtocol;");
    assert_eq!(protocol, "h2");
    browser.choose("#rate", "20");
    browser.press("Start");
    watch::watches(&browser);
    browser.press("Stop");
    browser.sign_in_for("/");
    watch::add(&browser, "Over TLS", "Cipher");
    browser.sees("#add-outcome", "Added by api");
    browser.open("/api/music/?search=Over+TLS");
    browser.sees(".visitor", "Logged in as admin");
    browser.sees("#json", "\"Over TLS\"");
    let received = browser.received();
    // Files may come out of the browser's own cache.
    let mut answers = received.iter().filter(|one| one.url.contains("/api"));
    let other = answers.find(|one| one.protocol != "h2");
    assert!(other.is_none(), "{other:?}");
    browser.close();
}

//! Pages by the keyboard alone: the tab key goes to everything that can be used, in the order in which it stands there,
//! and one sees where one is.

use serde_json::{Value, json};

use crate::Scenario;
use crate::browser::{Browser, Scripts};
use crate::site::Site;

pub(crate) const SCENARIOS: &[(&str, Scenario)] =
    &[("the_tab_key_goes_everywhere_in_order", goes_everywhere)];

/// No page has more stops than this.
const MOST: usize = 200;

fn goes_everywhere(site: &Site) {
    let number = site.add("Tab", "The Keys");
    let browser = Browser::new(site, Scripts::On);
    goes_through(&browser, "/nowhere");
    browser.was_refused(404);
    for path in ["/", "/api-auth/login/", "/api/music/"] {
        goes_through(&browser, path);
    }
    browser.sign_in_for("/api/music/");
    for path in [
        "/api/music/?search=tab&limit=10",
        &format!("/api/music/{number}/"),
        &format!("/api/music/{number}/?confirm=delete"),
        "/admin/",
        "/admin/music/?search=tab",
        &format!("/admin/music/{number}/"),
        "/admin/users/",
        "/admin/users/add/",
        "/admin/password/",
    ] {
        goes_through(&browser, path);
    }
    browser.close();
}

/// Presses the tab key until the end of a page.
fn goes_through(browser: &Browser<'_>, path: &str) {
    browser.open(path);
    let usable = browser.eval(
        "window.usable = [...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
           .filter((one) => !one.disabled && one.getClientRects().length > 0);
         return window.usable.length;",
    );
    let usable = usable.as_u64().unwrap();
    assert!(usable > 0, "{path}: there is nothing");
    // A page that is all about one form begins in it.
    let begin = browser.eval("return window.usable.indexOf(document.activeElement) + 1;");
    let mut visited = Vec::new();
    for _ in 0..MOST {
        browser.tab();
        let stop = browser.eval(
            "const one = document.activeElement;
             if (!one || one === document.body || one === document.documentElement) return null;
             const { outlineStyle, outlineWidth } = getComputedStyle(one);
             return { at: window.usable.indexOf(one), html: one.outerHTML.slice(0, 120),
                      seen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 };",
        );
        // Behind the last one it goes out of the page, or to the first one again.
        if stop == Value::Null || stop["at"] == 0 && !visited.is_empty() {
            break;
        }
        assert_eq!(stop["seen"], json!(true), "{path}: {stop}");
        // What is no control is something long that can be scrolled.
        visited.extend(stop["at"].as_u64());
    }
    let expected: Vec<u64> = (begin.as_u64().unwrap()..usable).collect();
    assert_eq!(visited, expected, "{path}");
}

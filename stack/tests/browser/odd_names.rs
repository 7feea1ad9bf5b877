//! Songs whose names would do something, if a page did not show every text as text.

use http::Method;

use crate::Scenario;
use crate::browser::{Browser, Scripts};
use crate::site::{BOUND, Site, eventually};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("are_shown_as_text", are_shown_as_text),
    ("are_shown_as_text_in_the_admin", are_shown_as_text_to_staff),
];

const SINGER: &str = "odd <i>singer</i> & co";

fn odd_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "<b>bold</b>",
        "<script>window.pwned = 1</script>",
        "\"><img src=x onerror=\"window.pwned = 1\">",
        "</textarea></pre><script>window.pwned = 1</script>",
        "' onfocus='window.pwned=1' autofocus='",
        "&lt;&amp;&#x27;&nbsp;",
        "{{ 7 * 7 }} {% now %} ${7*7}",
        "javascript:window.pwned=1",
        "http://example.com/\"onmouseover=\"window.pwned=1",
        "\u{202e}desrever\u{202c} \u{2067}שלום\u{2069} \u{200f}.",
        "🎸 👩‍🎤 𝄞 é e\u{301}",
        "line\u{2028}separator\u{feff}",
        "two\nlines\tand a tab",
    ]
    .map(str::to_owned)
    .into();
    names.push("x".repeat(10_000));
    names.push("🎵 ".repeat(3_000) + "end");
    names
}

/// Adds a song of each name; returns their numbers, and the names as they are stored: what the API says to a client is
/// what a page has to show.
fn add_all(site: &Site) -> (Vec<u64>, Vec<String>) {
    let numbers: Vec<_> = odd_names()
        .iter()
        .map(|name| site.add(name, SINGER))
        .collect();
    let stored = numbers.iter().map(|number| {
        let path = format!("/api/music/{number}/");
        let answer = site.send(Method::GET, &path, None).json();
        answer["song"].as_str().unwrap().to_owned()
    });
    let stored = stored.collect();
    (numbers, stored)
}

fn are_shown_as_text(site: &Site) {
    let (numbers, stored) = add_all(site);
    let browser = Browser::new(site, Scripts::On);
    browser.sign_in_for("/api/music/");
    browser.resize(320, 640);

    browser.open("/api/music/?singer=odd+%3Ci%3Esinger%3C%2Fi%3E+%26+co&limit=100");
    let listed = browser.eval(
        "const rows = JSON.parse(document.getElementById('json').textContent);
         return (rows.results ?? rows).map((row) => row.song);",
    );
    let mut listed: Vec<String> = serde_json::from_value(listed).unwrap();
    let mut expected = stored.clone();
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
    is_harmless(&browser);

    for (number, name) in numbers.iter().zip(&stored) {
        for query in ["", "?confirm=delete"] {
            browser.open(&format!("/api/music/{number}/{query}"));
            let song = browser
                .eval("return JSON.parse(document.getElementById('json').textContent).song;");
            assert_eq!(song, *name);
            if query.is_empty() {
                assert_eq!(browser.value("#song"), *name);
            }
            is_harmless(&browser);
        }
    }

    browser.open("/");
    let mut shown: Vec<String> = Vec::new();
    eventually(BOUND, "the page at / lists all of them", || {
        let titles = browser.eval(
            "return [...document.querySelectorAll('#songs .title')].map((title) => title.textContent);",
        );
        shown = serde_json::from_value(titles).unwrap();
        stored.iter().all(|name| shown.contains(name))
    });
    browser.fits();
    let pwned = browser.eval("return typeof window.pwned;");
    assert_eq!(pwned, "undefined");
    browser.close();
    delete_all(site, &numbers);
}

fn are_shown_as_text_to_staff(site: &Site) {
    let (numbers, stored) = add_all(site);
    let browser = Browser::new(site, Scripts::On);
    browser.sign_in_for("/admin/");
    browser.resize(320, 640);
    // Long ones are cut in a list, and whole in the form.
    let cut = |end: &str| -> Vec<String> {
        let cut = |name: &String| match name.char_indices().nth(200) {
            Some((at, _)) => format!("{}{end}", &name[..at]),
            None => name.clone(),
        };
        stored.iter().map(cut).collect()
    };

    browser.open("/admin/music/?search=%22odd+%3Ci%3Esinger%3C%2Fi%3E+%26+co%22&ordering=id");
    assert_eq!(texts(&browser, "td.long a bdi"), cut("…"));
    is_harmless(&browser);
    for (number, name) in numbers.iter().zip(&stored) {
        browser.open(&format!("/admin/music/{number}/"));
        assert_eq!(browser.value("#song"), *name);
        assert_eq!(browser.value("#singer"), SINGER);
        is_harmless(&browser);
    }
    let ids: Vec<_> = numbers
        .iter()
        .map(|number| format!("id={number}"))
        .collect();
    browser.open(&format!("/admin/music/delete/?{}", ids.join("&")));
    assert_eq!(texts(&browser, ".songs .title"), cut(""));
    is_harmless(&browser);
    browser.follow("Yes, delete");
    browser.sees(".done", &format!("{} songs were deleted.", numbers.len()));
    browser.close();
}

/// The text of all elements that a selector finds.
fn texts(browser: &Browser<'_>, css: &str) -> Vec<String> {
    let found = browser.eval(&format!(
        "return [...document.querySelectorAll('{css}')].map((element) => element.textContent);"
    ));
    serde_json::from_value(found).unwrap()
}

fn delete_all(site: &Site, numbers: &[u64]) {
    for number in numbers {
        site.send(Method::DELETE, &format!("/api/music/{number}/"), None);
    }
}

/// A page of the API holds no script, no picture, nothing bold or bent that came from a name.
fn is_harmless(browser: &Browser<'_>) {
    let made =
        browser.eval("return document.querySelectorAll('script, img, b, i, [onfocus]').length;");
    assert_eq!(made, 0, "{}", browser.address());
    assert_eq!(browser.eval("return typeof window.pwned;"), "undefined");
    browser.fits();
    browser.is_silent();
}

//! The pictures of the docs, made from the running product: `scripts/screenshots`.

use std::path::{Path, PathBuf};

use crate::Scenario;
use crate::browser::{Browser, Scripts};
use crate::site::{Site, write};
use crate::watch;

const SCENARIOS: &[(&str, Scenario)] = &[("are_made", are_made)];
const PHONE: (u32, u32) = (390, 780);
const DESK: (u32, u32) = (1080, 760);

/// The scenarios of this file: none, unless `SCREENSHOTS` names the folder for them.
pub(crate) fn scenarios() -> &'static [(&'static str, Scenario)] {
    if folder().is_some() { SCENARIOS } else { &[] }
}

fn folder() -> Option<PathBuf> {
    std::env::var_os("SCREENSHOTS").map(PathBuf::from)
}

fn are_made(site: &Site) {
    let folder = folder().unwrap();
    let mut number = 0;
    for (song, singer) in [
        ("Feeling Good", "Nina Simone"),
        ("So What", "Miles Davis"),
        ("Blue in Green", "Bill Evans"),
    ] {
        number = site.add(song, singer);
    }
    let browser = Browser::new(site, Scripts::On);
    let take = |name: &str, (width, height): (u32, u32), is_dark: bool| {
        browser.resize(width, height);
        browser.prefer_dark(is_dark);
        write(&file(&folder, name), browser.picture());
    };
    browser.open("/api-auth/login/?next=/api/music/");
    take("login", (760, 480), false);
    browser.sign_in_for("/api/music/");
    browser.open("/api/music/?limit=10");
    take("api", DESK, false);
    take("api-dark", DESK, true);
    take("api-phone", PHONE, false);
    browser.open("/admin/music/");
    take("admin", DESK, false);
    take("admin-dark", DESK, true);
    take("admin-phone", (320, 640), false);
    browser.open(&format!("/admin/music/{number}/"));
    take("admin-song", (760, 560), false);
    browser.open("/admin/users/");
    take("admin-users", (760, 480), false);
    browser.open("/?start&rate=20&weights=4,6");
    watch::watches(&browser);
    take("watch", (1080, 900), false);
    take("watch-phone", PHONE, true);
    browser.close();
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.png"))
}

//! Reads the small files of a root before the first request, so that their encoded forms are made.
//!
//! Blocking, at load. Bounded: what is left is read when it is first asked for.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cap_std::fs::Dir;

use super::memory::Memory;
use super::open::{self, Opened};

/// How long a load may take for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many names are looked at.
const MOST_NAMES: usize = 10_000;
/// How deep folders are entered.
const DEEPEST: usize = 16;

/// Reads small files into the memory, folder by folder; links to folders are not entered.
pub(super) fn fill(memory: &Memory, folder: &Dir) {
    let end = Instant::now() + PATIENCE;
    let mut names = 0;
    let mut waiting = vec![(PathBuf::new(), 0)];
    while let Some((below, depth)) = waiting.pop() {
        let here = if depth == 0 { Path::new(".") } else { &below };
        let Ok(entries) = folder.read_dir(here) else {
            continue;
        };
        for entry in entries.flatten() {
            names += 1;
            if names > MOST_NAMES || Instant::now() >= end {
                return;
            }
            let file_name = entry.file_name();
            let Some(name) = file_name.to_str().filter(|name| !name.starts_with('.')) else {
                continue;
            };
            let path = below.join(name);
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < DEEPEST => waiting.push((path, depth + 1)),
                Ok(kind) if kind.is_file() => read(memory, folder, &path),
                _ => {}
            }
        }
    }
}

fn read(memory: &Memory, folder: &Dir, path: &Path) {
    let Some(name) = path.to_str() else { return };
    if let Ok(Opened::Small(held)) = open::open(folder, name, None) {
        memory.keep(name, held, Instant::now());
    }
}

//! What programs use: CPU time and memory, of a process and of all that descend from it.

use std::collections::HashMap;
use std::path::Path;

use crate::Fault;

/// Clock ticks in a second, in which /proc counts: the same on every Linux that Rust's tier 1 knows.
const TICKS: f64 = 100.0;

/// One process as `/proc/PID/stat` describes it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Process {
    parent: i32,
    /// Its own CPU time and that of children which ended and were waited for, in ticks.
    ticks: f64,
}

/// CPU time in microseconds of these processes and their descendants, those that have ended included.
pub(super) async fn cpu_micros(roots: &[i32]) -> Result<f64, Fault> {
    let all = processes().await?;
    let ticks: f64 = family(&all, roots)
        .iter()
        .filter_map(|pid| all.get(pid))
        .map(|process| process.ticks)
        .sum();
    Ok(ticks / TICKS * 1e6)
}

/// Memory in bytes that these processes and their descendants hold; what they share counts once.
pub(super) async fn memory(roots: &[i32]) -> Result<f64, Fault> {
    let all = processes().await?;
    let mut kib = 0.0;
    for pid in family(&all, roots) {
        let path = format!("/proc/{pid}/smaps_rollup");
        // One that ended meanwhile holds nothing.
        let text = tokio::fs::read_to_string(path).await.unwrap_or_default();
        kib += kib_of(&text, "Pss:").unwrap_or_default();
    }
    Ok(kib * 1024.0)
}

/// Forgets how much memory a process has held at most.
pub(super) async fn reset_peak(pid: i32) -> Result<(), Fault> {
    let path = format!("/proc/{pid}/clear_refs");
    let written = tokio::fs::write(&path, "5").await;
    written.map_err(|error| Fault::new(format!("{path}: {error}")))
}

/// The memory in bytes that a process holds, and the most that it has held since [`reset_peak`].
pub(super) async fn resident(pid: i32) -> Result<(f64, f64), Fault> {
    let path = format!("/proc/{pid}/status");
    let text = tokio::fs::read_to_string(&path).await;
    let text = text.map_err(|error| Fault::new(format!("{path}: {error}")))?;
    let bytes = |key| kib_of(&text, key).unwrap_or_default() * 1024.0;
    Ok((bytes("VmRSS:"), bytes("VmHWM:")))
}

fn kib_of(text: &str, key: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

async fn processes() -> Result<HashMap<i32, Process>, Fault> {
    let failed = |error| Fault::new(format!("/proc: {error}"));
    let mut found = HashMap::new();
    let mut entries = tokio::fs::read_dir("/proc").await.map_err(failed)?;
    while let Some(entry) = entries.next_entry().await.map_err(failed)? {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        if let Some(process) = read(&entry.path()).await {
            found.insert(pid, process);
        }
    }
    Ok(found)
}

async fn read(folder: &Path) -> Option<Process> {
    // One that ended meanwhile has no file.
    parse(&tokio::fs::read_to_string(folder.join("stat")).await.ok()?)
}

/// Reads one line of `proc_pid_stat(5)`; the name in brackets may hold anything.
fn parse(stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = fields.get(11..15)?.iter();
    Some(Process {
        parent: fields.get(1)?.parse().ok()?,
        ticks: ticks.filter_map(|field| field.parse::<f64>().ok()).sum(),
    })
}

fn family(all: &HashMap<i32, Process>, roots: &[i32]) -> Vec<i32> {
    let belongs = |mut pid: i32| {
        // A loop cannot be, but a number may be used again while /proc is read.
        for _ in 0..64 {
            if roots.contains(&pid) {
                return true;
            }
            match all.get(&pid) {
                Some(process) => pid = process.parent,
                None => return false,
            }
        }
        false
    };
    all.keys().copied().filter(|pid| belongs(*pid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_name() {
        let line = "7 (a ) b) S 3 7 7 0 -1 0 1 2 3 4 10 20 300 4000 20 0 1 0 5";
        let process = parse(line).unwrap();
        assert_eq!((process.parent, process.ticks), (3, 4330.0));
        assert_eq!(parse("7 (a) S 3"), None);
    }

    #[test]
    fn descendants_count_and_strangers_do_not() {
        let process = |parent| Process { parent, ticks: 1.0 };
        let all = HashMap::from([
            (1, process(0)),
            (5, process(1)),
            (6, process(5)),
            (9, process(1)),
        ]);
        let mut found = family(&all, &[5]);
        found.sort_unstable();
        assert_eq!(found, [5, 6]);
    }

    #[tokio::test]
    async fn work_of_our_own_is_seen() {
        let own = [i32::try_from(std::process::id()).unwrap()];
        let before = cpu_micros(&own).await.unwrap();
        while cpu_micros(&own).await.unwrap() < before + 20_000.0 {
            std::hint::spin_loop();
        }
        assert!(memory(&own).await.unwrap() > 100_000.0);
        assert!(resident(own[0]).await.unwrap().0 > 100_000.0);
    }
}

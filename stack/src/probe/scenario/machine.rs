//! Where and when figures were measured, in a sentence.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Says by which command, on what day and on which machine.
pub(super) async fn described(command: &str) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpuinfo = tokio::fs::read_to_string("/proc/cpuinfo").await;
    let build = if cfg!(debug_assertions) {
        "a debug build, so the times are not worth comparing"
    } else {
        "an optimised build"
    };
    format!(
        "Measured by `{command}` on {}, {cores} cores ({}), {build}. In brackets: what it may be.\n",
        today(),
        processor(&cpuinfo.unwrap_or_default())
    )
}

/// The name of the processor in `/proc/cpuinfo`.
pub(crate) fn processor(cpuinfo: &str) -> &str {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':'));
    name.map_or("unknown", |(_, name)| name.trim())
}

/// The day of today, in UTC, as 2026-01-31.
pub(crate) fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    date(since.unwrap_or_default())
}

/// The day, in UTC, as 2026-01-31. (The civil calendar from days since 1970, by whole eras of 400 years.)
fn date(since_epoch: Duration) -> String {
    let days = since_epoch.as_secs() / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Years begin in March here, so that a leap day is a year's last.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_709_164_800, "2024-02-29"),
            (1_735_689_599, "2024-12-31"),
            (1_772_323_200, "2026-03-01"),
        ] {
            assert_eq!(date(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn the_processor_is_named() {
        assert_eq!(processor("flags: x\nmodel name\t: AMD EPYC\n"), "AMD EPYC");
        assert_eq!(processor(""), "unknown");
    }
}

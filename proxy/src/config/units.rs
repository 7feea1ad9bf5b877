//! How durations and sizes are written: a whole number and its unit, never a bare number.

use std::time::Duration;

/// The longest duration that a setting may have.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads a duration such as `250ms`, `10s`, `2m` or `1h`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let duration = Duration::from_millis(number.checked_mul(millis)?);
    Some(duration).filter(|&duration| duration <= LONGEST)
}

/// Reads a size such as `512 B`, `64 KiB`, `75 MiB` or `1 GiB`, in bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let bytes: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(bytes)
}

/// Parts the number from the unit; one space may stand between them.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("0s", 0),
            ("250ms", 250),
            ("10s", 10_000),
            ("10 s", 10_000),
            ("2m", 120_000),
            ("24h", 86_400_000),
        ] {
            assert_eq!(
                duration(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for wrong in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "1d",
            "10S",
            "10  s",
            " 10s",
            "10s ",
            "25h",
            "1m30s",
            "18446744073709551616ms",
            "18446744073709551615h",
        ] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0 B", 0),
            ("512 B", 512),
            ("64KiB", 65_536),
            ("75 MiB", 78_643_200),
            ("1 GiB", 1_073_741_824),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for wrong in [
            "",
            "512",
            "1 MB",
            "1 kib",
            "1M",
            "-1 B",
            "1.5 MiB",
            "99999999999 GiB",
        ] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}

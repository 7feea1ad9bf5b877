//! A JSON number as text, as Python writes it: that is what the original stores for `{"song": 1e3}`.

/// Writes a number that is already known to be valid JSON.
pub(super) fn as_text(json: &str) -> String {
    if json.contains(['.', 'e', 'E']) {
        json.parse().map_or_else(|_| json.to_owned(), float)
    } else if json == "-0" {
        "0".to_owned()
    } else {
        json.to_owned()
    }
}

/// Writes the shortest decimal that reads back the same, with an exponent where Python puts one.
fn float(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = value.to_string();
        return if plain.contains('.') {
            plain
        } else {
            plain + ".0"
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::as_text;

    #[test]
    fn numbers_are_written_as_python_writes_them() {
        for (json, expected) in [
            ("123", "123"),
            ("-5", "-5"),
            ("-0", "0"),
            ("-0.0", "-0.0"),
            ("4.50", "4.5"),
            ("1e3", "1000.0"),
            ("1.0", "1.0"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("1E-7", "1e-07"),
            ("1.5e-10", "1.5e-10"),
            ("9999999999999998.0", "9999999999999998.0"),
            ("1e16", "1e+16"),
            ("100000000000000000000.0", "1e+20"),
            ("1e400", "inf"),
            ("-1e400", "-inf"),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
        ] {
            assert_eq!(as_text(json), expected, "{json}");
        }
    }
}

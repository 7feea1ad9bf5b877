//! A secret that is given directly or in a file.

use super::{WrongSetting, set};

/// Returns the value that is given directly or in a file, but not in both.
pub(super) fn secret(
    (setting, value): (&'static str, Option<&str>),
    (file_setting, file): (&'static str, Option<&str>),
) -> Result<Option<String>, WrongSetting> {
    match (set(value), set(file)) {
        (Some(_), Some(_)) => Err(WrongSetting::new(
            file_setting,
            format!("cannot be set together with {setting}"),
        )),
        (Some(value), None) => Ok(Some(value.to_owned())),
        (None, Some(path)) => {
            #[expect(clippy::disallowed_methods, reason = "no worker serves a request yet")]
            let text = std::fs::read_to_string(path).map_err(|error| {
                WrongSetting::new(file_setting, format!("cannot read {path:?}: {error}"))
            })?;
            let text = text.trim_end_matches(['\r', '\n']);
            if text.is_empty() {
                return Err(WrongSetting::new(
                    file_setting,
                    format!("{path:?} is empty"),
                ));
            }
            Ok(Some(text.to_owned()))
        }
        (None, None) => Ok(None),
    }
}

//! The password of the first account: a file beside the database, which knows it for as long as it lives.

use std::path::Path;

use tokio::fs::{self, OpenOptions};
use tokio::io::AsyncWriteExt;

use crate::Fault;
use crate::layout::Layout;

/// Makes the file if there is none: with what `given` holds, else with something random.
pub async fn make(layout: &Layout, given: Option<&Path>) -> Result<(), Fault> {
    let file = layout.admin_password();
    if fs::try_exists(&file).await.unwrap_or(false) {
        return Ok(());
    }
    let password = match given {
        Some(given) => fs::read_to_string(given).await.map_err(|error| {
            Fault::new(format!(
                "--admin-password-file {}: {error}",
                given.display()
            ))
        })?,
        None => random()?,
    };
    let failed = |error: std::io::Error| Fault::new(format!("{}: {error}", file.display()));
    // Under another name first: a file of this name is always complete.
    let new = file.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut writer = options.open(&new).await.map_err(failed)?;
    writer
        .write_all(password.as_bytes())
        .await
        .map_err(failed)?;
    writer.flush().await.map_err(failed)?;
    fs::rename(&new, &file).await.map_err(failed)
}

fn random() -> Result<String, Fault> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Fault::new(format!("no random password: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn it_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::Builder::new()
            .permissions(PermissionsExt::from_mode(0o755))
            .tempdir()
            .unwrap();
        let layout = Layout::find(folder.path()).await.unwrap();
        layout.make_folders().await.unwrap();
        make(&layout, None).await.unwrap();
        let first = fs::read_to_string(layout.admin_password()).await.unwrap();
        assert_eq!(first.len(), 32);
        let mode = fs::metadata(layout.admin_password()).await.unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);

        let given = folder.path().join("given");
        fs::write(&given, "another password").await.unwrap();
        make(&layout, Some(&given)).await.unwrap();
        let kept = fs::read_to_string(layout.admin_password()).await.unwrap();
        assert_eq!(kept, first, "the database knows the first one");
    }
}

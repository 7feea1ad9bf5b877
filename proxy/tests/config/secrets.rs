//! What `proxy check` doubts of certificates, keys and tokens, which depends on files and on the day.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proxy::config;
use rcgen::{CertificateParams, KeyPair};
use time::{Duration, OffsetDateTime};

/// Writes a pair that is good for these days from now, and a token.
fn write(folder: &Path, begin: i64, end: i64, mode: u32) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let now = OffsetDateTime::now_utc();
    params.not_before = now + Duration::days(begin);
    params.not_after = now + Duration::days(end) + Duration::hours(1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    for (name, text) in [
        ("tls.crt", certificate.pem()),
        ("tls.key", key.serialize_pem()),
        ("token", "x".repeat(20)),
    ] {
        fs::write(folder.join(name), text).unwrap();
        fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).unwrap();
    }
}

/// What is told of a configuration with these settings for TLS, without the file's name.
fn told(folder: &Path, listen: &str, tls: &str, files: &str) -> Vec<String> {
    let file = folder.join("proxy.toml");
    let text = format!(
        "listen = [\"{listen}:8080\"]\nadmin_token_file = \"token\"\n[tls]\ncertificate = \"tls.crt\"\n\
         key = \"tls.key\"\n{tls}\n[[routes]]\npath = \"/\"\nfiles = \"{files}\"\n"
    );
    fs::write(&file, text).unwrap();
    let here = folder.display().to_string();
    let faults = config::check(&file);
    let faults = faults
        .iter()
        .map(|fault| fault.to_string().replace(&here, ""));
    faults.collect()
}

#[test]
fn certificates_and_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir_all(folder.join("public/.hidden")).unwrap();
    fs::write(folder.join("public/index.html"), "").unwrap();
    let redirect = "redirect = true";
    for (begin, end, expected) in [
        (-1, 100, None),
        (-1, 15, None),
        (-1, 13, Some("the certificate expires in 13 days")),
        (-9, -1, Some("the certificate has expired")),
        (1, 100, Some("the certificate is not valid yet")),
    ] {
        write(folder, begin, end, 0o600);
        let expected =
            expected.map(|told| format!("/proxy.toml:4: warning: tls.certificate: {told}"));
        let got = told(folder, "0.0.0.0", redirect, "public");
        assert_eq!(got, Vec::from_iter(expected), "{begin} to {end}");
    }
    write(folder, -1, 100, 0o644);
    assert_eq!(
        told(folder, "0.0.0.0", redirect, "."),
        [
            "/proxy.toml:2: warning: admin_token_file: everyone on this machine may read it: /token",
            "/proxy.toml:5: warning: tls.key: everyone on this machine may read it: /tls.key",
            "/proxy.toml:9: warning: routes[0].files: the file of `admin_token_file` is served: /token",
            "/proxy.toml:9: warning: routes[0].files: the file of `tls.key` is served: /tls.key",
        ]
    );
    write(folder, -1, 100, 0o640);
    let plain = "/proxy.toml:3: warning: tls.redirect: clients of the plain ports are not sent here: \
                 what they say can be read";
    assert_eq!(told(folder, "0.0.0.0", "", "public"), [plain]);
    assert!(told(folder, "127.0.0.1", "", "public").is_empty());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "there is no worker to block")]
fn each_file_of_a_pair_is_at_fault_by_its_own_key_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("public")).unwrap();
    fs::write(folder.join("public/index.html"), "").unwrap();
    let told = || told(folder, "127.0.0.1", "", "public");
    let no_certificate =
        "/proxy.toml:4: tls.certificate: expected a certificate in PEM: there is none in /tls.crt";
    let no_key = "/proxy.toml:5: tls.key: expected a private key in PEM: there is none in /tls.key";
    let key_is_missing = "/proxy.toml:5: tls.key: there is no such file: /tls.key";

    write(folder, -1, 100, 0o600);
    let certificate = fs::read(folder.join("tls.crt")).unwrap();
    let key = fs::read(folder.join("tls.key")).unwrap();
    fs::write(folder.join("tls.key"), &certificate).unwrap();
    assert_eq!(told(), [no_key]);
    fs::write(folder.join("tls.crt"), &key).unwrap();
    assert_eq!(told(), [no_certificate, no_key]);
    fs::remove_file(folder.join("tls.key")).unwrap();
    assert_eq!(told(), [no_certificate, key_is_missing]);
    fs::write(folder.join("tls.crt"), &certificate).unwrap();
    assert_eq!(told(), [key_is_missing]);

    write(folder, -1, 100, 0o600);
    fs::write(folder.join("tls.crt"), &certificate).unwrap();
    let told = told();
    assert_eq!(told.len(), 1, "{told:?}");
    let unfit = "/proxy.toml:4: tls.certificate: the certificate and the key do not fit: ";
    assert!(told[0].starts_with(unfit), "{told:?}");
}

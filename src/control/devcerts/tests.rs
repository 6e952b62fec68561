//! Made, reused, renewed, refused; and a handshake with the result.

use std::os::unix::fs::PermissionsExt as _;

use jiff::SignedDuration;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::tokens::Level;

/// The four files, and the modes they must have.
const FILES: [(&str, u32); 4] = [
    ("ca.pem", 0o644),
    ("ca.key", 0o600),
    ("server.pem", 0o644),
    ("server.key", 0o600),
];

/// No further name.
const NONE: [&str; 0] = [];

/// Some day.
fn day(days: i64) -> Timestamp {
    let first: Timestamp = "2026-11-22T14:00:00Z".parse().unwrap();
    first + SignedDuration::from_hours(24 * days)
}

/// A directory where a first start has been.
fn started() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let made = ensure(directory.path(), &NONE, day(0)).unwrap();
    assert_eq!(made.made, Made::Authority);
    assert!(made.warnings.is_empty(), "{:?}", made.warnings);
    directory
}

/// The content of the four files.
fn contents(directory: &TempDir) -> [Vec<u8>; 4] {
    FILES.map(|(name, _)| std::fs::read(directory.path().join(name)).unwrap_or_default())
}

/// The mode of a file.
fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// What a start makes, and that it changes just these files and leaves a pair that works.
#[track_caller]
fn check(directory: &TempDir, names: &[&str], now: Timestamp, expected: Made) {
    let before = contents(directory);
    let result = ensure(directory.path(), names, now).unwrap();
    let after = contents(directory);
    assert_eq!(result.made, expected);
    let changed = FILES
        .iter()
        .zip(before.iter().zip(&after))
        .filter(|(_, (before, after))| before != after);
    let changed: Vec<_> = changed.map(|((name, _), _)| *name).collect();
    let wanted: &[&str] = match expected {
        Made::Nothing => &[],
        Made::Certificate => &["server.pem", "server.key"],
        Made::Authority => &["ca.pem", "ca.key", "server.pem", "server.key"],
    };
    assert_eq!(changed, wanted);
    let [ca, server] = ["ca.pem", "server.pem"].map(|name| certificate(directory, name));
    assert!(is_trusted(&server, &ca, &all_names(names).unwrap(), now));
}

/// A certificate that was written.
fn certificate(directory: &TempDir, name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(directory.path().join(name)).unwrap()
}

#[test]
fn the_second_start_changes_nothing() {
    let directory = started();
    check(&directory, &NONE, day(0), Made::Nothing);
    check(
        &directory,
        &["LOCALHOST", "127.0.0.1"],
        day(365),
        Made::Nothing,
    );
    for (name, expected) in FILES {
        assert_eq!(mode(&directory.path().join(name)), expected, "{name}");
    }
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        FILES.len()
    );
}

#[test]
fn a_missing_directory_is_made_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/certs");
    ensure(&path, &NONE, day(0)).unwrap();
    assert_eq!(mode(&path), 0o700);
}

#[test]
fn the_certificate_is_renewed_and_the_authority_kept() {
    let directory = started();
    check(&directory, &NONE, day(367), Made::Certificate);
    check(&directory, &NONE, day(367 + 365), Made::Nothing);
    // The authority ends on day 1826; the certificate of that last year ends with it.
    check(&directory, &NONE, day(1_790), Made::Certificate);
    check(&directory, &NONE, day(1_795), Made::Nothing);
    check(&directory, &NONE, day(1_797), Made::Authority);
    let (der, seconds) = (certificate(&directory, "server.pem"), |days| {
        day(days).as_second()
    });
    let (_, parsed) = X509Certificate::from_der(&der).unwrap();
    assert_eq!(
        parsed.validity().not_after.timestamp() - parsed.validity().not_before.timestamp(),
        397 * DAY
    );
    assert!(parsed.validity().not_before.timestamp() < seconds(1_797));
}

#[test]
fn a_new_name_renews_what_must_be() {
    let directory = started();
    // Within what the authority may sign for.
    check(
        &directory,
        &["todo.localhost", "127.0.0.2"],
        day(1),
        Made::Certificate,
    );
    check(&directory, &["todo.localhost"], day(1), Made::Nothing);
    check(
        &directory,
        &["box.lan", "192.168.1.7"],
        day(1),
        Made::Authority,
    );
    check(&directory, &["box.lan"], day(1), Made::Nothing);
    check(&directory, &["192.168.1.8"], day(1), Made::Authority);
    check(&directory, &["2001:db8::1"], day(1), Made::Authority);
}

#[test]
fn names_that_no_certificate_can_have_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["", "two words", "http://x", "a..b", "x\ny", "[::1]"] {
        let error = ensure(directory.path(), &[name], day(0)).unwrap_err();
        assert!(matches!(&error, Error::Name(bad) if bad == name), "{error}");
    }
    let many: Vec<_> = (0..MAX_NAMES).map(|n| format!("h{n}.lan")).collect();
    assert!(matches!(
        ensure(directory.path(), &many, day(0)).unwrap_err(),
        Error::Names(103)
    ));
    assert!(contents(&directory).iter().all(Vec::is_empty));
}

#[test]
fn a_pair_that_does_not_belong_together_is_made_again() {
    let directory = started();
    let file = |name: &str| directory.path().join(name);
    std::fs::copy(file("ca.key"), file("server.key")).unwrap();
    check(&directory, &NONE, day(1), Made::Certificate);
    std::fs::remove_file(file("server.key")).unwrap();
    check(&directory, &NONE, day(1), Made::Certificate);
    std::fs::write(file("server.key"), "not a key").unwrap();
    check(&directory, &NONE, day(1), Made::Certificate);
    for name in ["server.key", "server.pem"] {
        std::fs::remove_file(file(name)).unwrap();
    }
    check(&directory, &NONE, day(1), Made::Certificate);
    // Without its key an authority is as good as long as nothing has to be signed.
    std::fs::remove_file(file("ca.key")).unwrap();
    check(&directory, &NONE, day(1), Made::Nothing);
    std::fs::remove_file(file("server.key")).unwrap();
    check(&directory, &NONE, day(1), Made::Authority);
    std::fs::copy(file("server.key"), file("ca.key")).unwrap();
    check(&directory, &NONE, day(1), Made::Nothing);
    check(&directory, &NONE, day(368), Made::Authority);
    // A certificate of another authority of ours.
    let other = started();
    for name in ["ca.pem", "ca.key"] {
        std::fs::copy(other.path().join(name), file(name)).unwrap();
    }
    check(&directory, &NONE, day(1), Made::Certificate);
}

/// What a start says, and that it changes nothing.
#[track_caller]
fn check_refused(directory: &TempDir, expected: &str) {
    let before = contents(directory);
    let error = ensure(directory.path(), &NONE, day(400))
        .unwrap_err()
        .to_string();
    assert!(error.contains(expected), "{error}");
    assert!(
        error.starts_with(directory.path().to_str().unwrap()),
        "{error}"
    );
    assert_eq!(contents(directory), before);
}

#[test]
fn what_was_not_made_here_is_never_overwritten() {
    let foreign = rcgen::generate_simple_self_signed(["todo.example.com".to_owned()]).unwrap();
    for name in ["ca", "server"] {
        let directory = tempfile::tempdir().unwrap();
        let file = |ending: &str| directory.path().join(format!("{name}.{ending}"));
        std::fs::write(file("key"), foreign.signing_key.serialize_pem()).unwrap();
        check_refused(
            &directory,
            &format!("/{name}.key has no certificate beside it; move it away"),
        );
        std::fs::write(file("pem"), foreign.cert.pem()).unwrap();
        check_refused(
            &directory,
            &format!("/{name}.pem was not made by `plugway dev`; move it away"),
        );
        std::fs::write(file("pem"), "").unwrap();
        check_refused(
            &directory,
            &format!("/{name}.pem is not a certificate in PEM; move it away"),
        );
        std::fs::write(file("pem"), vec![b'x'; 2 << 20]).unwrap();
        check_refused(
            &directory,
            &format!("/{name}.pem is far too long; move it away"),
        );
        std::fs::remove_file(file("pem")).unwrap();
        std::fs::create_dir(file("pem")).unwrap();
        check_refused(
            &directory,
            &format!("/{name}.pem is not a file; move it away"),
        );
    }
}

#[test]
fn a_directory_that_is_a_file_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = ensure(file.path(), &NONE, day(0)).unwrap_err().to_string();
    assert!(error.starts_with(file.path().to_str().unwrap()), "{error}");
    assert!(
        error.contains("make the directory above it writable"),
        "{error}"
    );
}

#[test]
fn an_open_key_is_closed_and_told() {
    let directory = started();
    for name in ["ca.key", "server.key"] {
        let path = directory.path().join(name);
        for open in [0o644, 0o640, 0o604] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(open)).unwrap();
            let warnings = ensure(directory.path(), &NONE, day(1)).unwrap().warnings;
            let [warning] = &*warnings else {
                panic!("{warnings:?}")
            };
            let expected = format!("{} was open to others (mode {open:04o})", path.display());
            assert!(warning.starts_with(&expected), "{warning}");
            assert_eq!(mode(&path), 0o600);
        }
    }
    assert!(
        ensure(directory.path(), &NONE, day(1))
            .unwrap()
            .warnings
            .is_empty()
    );
}

#[test]
fn a_leaked_authority_is_of_no_use_elsewhere() {
    let directory = started();
    let ca = certificate(&directory, "ca.pem");
    let key = std::fs::read_to_string(directory.path().join("ca.key")).unwrap();
    let issuer = Issuer::from_ca_cert_der(&ca, KeyPair::from_pem(&key).unwrap()).unwrap();
    for (name, expected) in [
        ("localhost", true),
        ("127.200.0.1", true),
        ("::1", true),
        ("example.com", false),
        ("localhost.example.com", false),
        ("10.0.0.1", false),
        ("::2", false),
    ] {
        let names = [ServerName::try_from(name.to_owned()).unwrap()];
        let forged = issue(&issuer, &names, day(0), i64::MAX).unwrap();
        assert_eq!(
            is_trusted(&forged.certificate, &ca, &names, day(0)),
            expected,
            "{name}"
        );
    }
}

#[test]
fn starts_at_the_same_time_agree() {
    let directory = tempfile::tempdir().unwrap();
    let made: Vec<_> = std::thread::scope(|scope| {
        let starts =
            [(); 4].map(|()| scope.spawn(|| ensure(directory.path(), &NONE, day(0)).unwrap().made));
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    assert_eq!(
        made.iter().filter(|made| **made == Made::Authority).count(),
        1,
        "{made:?}"
    );
    check(&directory, &NONE, day(0), Made::Nothing);
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_connects() {
    let directory = tempfile::tempdir().unwrap();
    let certs = ensure(directory.path(), &NONE, Timestamp::now()).unwrap();
    let stranger = tempfile::tempdir().unwrap();
    let other = ensure(stranger.path(), &NONE, Timestamp::now()).unwrap();
    for name in ["localhost", "127.0.0.1", "::1"] {
        assert_eq!(handshake(&certs, &certs.ca, name).await.unwrap(), "hello");
    }
    assert!(handshake(&certs, &certs.ca, "example.com").await.is_err());
    assert!(handshake(&certs, &other.ca, "localhost").await.is_err());
}

/// A server with the pair greets a client that trusts an authority.
async fn handshake(certs: &DevCerts, ca: &Path, name: &'static str) -> std::io::Result<String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = CertificateDer::pem_file_iter(&certs.certificate)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(&certs.key).unwrap())
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(ca).unwrap())
        .unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (near, far) = tokio::io::duplex(64 << 10);
    let serve = async {
        let mut stream = TlsAcceptor::from(Arc::new(server)).accept(far).await?;
        stream.write_all(b"hello").await?;
        stream.shutdown().await
    };
    let ask = async {
        let name = ServerName::try_from(name).unwrap();
        let mut stream = TlsConnector::from(Arc::new(client))
            .connect(name, near)
            .await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text)
    };
    let (_, answer) = tokio::join!(serve, ask);
    answer
}

/// Makes `LEVEL-ROUND`.
fn tokens(directory: &TempDir, round: u32) -> Result<DevTokens, Error> {
    let make = |level: Level| format!("{level:?}-{round}");
    let valid = |level: Level, token: &str| token.starts_with(&format!("{level:?}-"));
    ensure_tokens(directory.path(), make, valid)
}

#[test]
fn tokens_are_made_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dev-tokens.json");
    let first = tokens(&directory, 1).unwrap();
    assert_eq!(
        (first.service.as_str(), first.user.as_str()),
        ("Service-1", "User-1")
    );
    assert_eq!(mode(&path), 0o600);
    assert_eq!(tokens(&directory, 2).unwrap(), first);
    assert_eq!(format!("{first:?}"), "DevTokens(..)");

    // One that is of another form or level is replaced, the other stays.
    std::fs::write(&path, r#"{"service":"User-1","user":"User-9"}"#).unwrap();
    let mended = tokens(&directory, 3).unwrap();
    assert_eq!(
        (mended.service.as_str(), mended.user.as_str()),
        ("Service-3", "User-9")
    );
    assert_eq!(tokens(&directory, 4).unwrap(), mended);

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = tokens(&directory, 5).unwrap().warnings;
    assert!(warnings[0].starts_with(&format!(
        "{} was open to others (mode 0644)",
        path.display()
    )));
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn an_unreadable_token_file_is_named_and_not_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dev-tokens.json");
    for text in [
        "",
        "secret",
        r#"{"service":{"secret":1}}"#,
        r#"["secret"]x"#,
        r#""secret""#,
    ] {
        std::fs::write(&path, text).unwrap();
        let error = anyhow::Error::from(tokens(&directory, 1).unwrap_err());
        for text in [format!("{error:#}"), format!("{error:?}")] {
            assert!(
                text.contains("dev-tokens.json is not an object with service and user"),
                "{text}"
            );
            assert!(!text.contains("secret"), "{text}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

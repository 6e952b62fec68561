//! The certificates and tokens of `plugway dev`: made once, kept in `certs/`, reused.
//!
//! Two rules hold. A private key and a token are readable by their owner alone from the moment
//! that their file exists. And a file that was not made here is never overwritten: someone may
//! have put a real certificate where the default configuration looks for one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData,
    SanType,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

pub use error::Error;
pub use tokens::{DevTokens, ensure_tokens};

mod error;
mod files;
mod tokens;

/// Where the pair is, and what had to be done for it.
#[derive(Debug, Clone)]
pub struct DevCerts {
    /// The authority's certificate, which clients are told to trust.
    pub ca: PathBuf,
    /// The server's certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// What is new.
    pub made: Made,
    /// What people should know, one sentence each.
    pub warnings: Vec<String>,
}

/// What was made on this start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// Everything is as it was.
    Nothing,
    /// The server's pair; who trusts the authority need do nothing.
    Certificate,
    /// The authority too; it has to be trusted anew.
    Authority,
}

/// Finds or makes `ca.pem`, `ca.key`, `server.pem` and `server.key` in a directory, which is
/// created if it is missing.
///
/// The server's certificate is for `localhost`, `127.0.0.1`, `::1` and `names` (DNS names or
/// addresses). It is made again when it ends within 30 days, lacks a name, is not the
/// authority's, or does not belong to its key. The authority is kept until it ends, since
/// people trust it by hand; it is made again when its key is gone, or when a new name lies
/// outside of what it may sign for: it is bound to the names that it was made for, so that its
/// key, should it leak, is of no use on the internet.
pub fn ensure(
    directory: &Path,
    names: &[impl AsRef<str>],
    now: Timestamp,
) -> Result<DevCerts, Error> {
    let names = all_names(names)?;
    let _lock = files::prepare(directory)?;
    let mut warnings = Vec::new();
    let (ca, server) = (Paths::new(directory, "ca"), Paths::new(directory, "server"));
    let old_ca = ca.read(Of::Authority, &mut warnings)?;
    let old_server = server.read(Of::Server, &mut warnings)?;
    let mut made = Made::Nothing;
    if !old_server
        .as_ref()
        .is_some_and(|pair| is_good(pair, old_ca.as_ref(), &names, now))
    {
        made = make(&ca, &server, old_ca, &names, now)?;
    }
    Ok(DevCerts {
        ca: ca.certificate,
        certificate: server.certificate,
        key: server.key,
        made,
        warnings,
    })
}

/// Whether a server's pair can be used for another while.
fn is_good(
    server: &Pair,
    ca: Option<&Pair>,
    names: &[ServerName<'static>],
    now: Timestamp,
) -> bool {
    let Some(ca) = ca.filter(|ca| ca.lasts(now)) else {
        return false;
    };
    let later = now.checked_add(RENEW_BEFORE).unwrap_or(Timestamp::MAX);
    server.matching_key().is_some()
        && [now, later]
            .into_iter()
            .all(|at| is_trusted(&server.certificate, &ca.certificate, names, at))
}

/// Makes the server's pair, by the old authority if that may and can sign it.
fn make(
    ca: &Paths,
    server: &Paths,
    old: Option<Pair>,
    names: &[ServerName<'static>],
    now: Timestamp,
) -> Result<Made, Error> {
    if let Some(old) = old.filter(|old| old.lasts(now))
        && let Some(key) = old.matching_key()
    {
        let issuer = Issuer::from_ca_cert_der(&old.certificate, key)?;
        let made = issue(&issuer, names, now, old.ends)?;
        if is_trusted(&made.certificate, &old.certificate, names, now) {
            server.write(&made)?;
            return Ok(Made::Certificate);
        }
    }
    let key = KeyPair::generate()?;
    let params = authority(names, now)?;
    let certificate = params.self_signed(&key)?;
    let ends = params.not_after.unix_timestamp();
    ca.write(&NewPair {
        certificate: certificate.der().clone(),
        certificate_pem: certificate.pem(),
        key_pem: key.serialize_pem(),
    })?;
    server.write(&issue(&Issuer::new(params, key), names, now, ends)?)?;
    Ok(Made::Authority)
}

/// What an authority for these names says of itself (RFC 5280 §4.2.1.10 for its bounds).
fn authority(names: &[ServerName<'static>], now: Timestamp) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    set_validity(&mut params, now, now.as_second() + AUTHORITY_DAYS * DAY);
    params.distinguished_name = named(AUTHORITY);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let mut permitted = vec![GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix(
        [127, 0, 0, 0],
        8,
    ))];
    for name in names {
        permitted.push(match name {
            ServerName::IpAddress(address) => match IpAddr::from(*address) {
                IpAddr::V4(v4) if v4.is_loopback() => continue,
                IpAddr::V4(v4) => GeneralSubtree::IpAddress(CidrSubnet::V4(v4.octets(), [0xff; 4])),
                IpAddr::V6(v6) => {
                    GeneralSubtree::IpAddress(CidrSubnet::V6(v6.octets(), [0xff; 16]))
                }
            },
            name => GeneralSubtree::DnsName(name.to_str().into_owned()),
        });
    }
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: permitted,
        excluded_subtrees: Vec::new(),
    });
    Ok(params)
}

/// A new key with a certificate, which ends no later than its authority (seconds since 1970).
fn issue(
    issuer: &Issuer<'_, KeyPair>,
    names: &[ServerName<'static>],
    now: Timestamp,
    authority_ends: i64,
) -> Result<NewPair, Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    for name in names {
        params.subject_alt_names.push(match name {
            ServerName::IpAddress(address) => SanType::IpAddress(IpAddr::from(*address)),
            name => SanType::DnsName(name.to_str().as_ref().try_into()?),
        });
    }
    let end = now.as_second() + SERVER_DAYS * DAY;
    set_validity(&mut params, now, end.min(authority_ends));
    params.distinguished_name = named("plugway development server");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    Ok(NewPair {
        certificate: certificate.der().clone(),
        certificate_pem: certificate.pem(),
        key_pem: key.serialize_pem(),
    })
}

/// Whether a client that trusts the authority takes the certificate for each of the names. It
/// asks the verifier that a rustls client has, so that nothing is checked in another way here.
fn is_trusted(
    certificate: &CertificateDer<'static>,
    ca: &CertificateDer<'static>,
    names: &[ServerName<'static>],
    at: Timestamp,
) -> bool {
    let mut roots = RootCertStore::empty();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    if roots.add(ca.clone()).is_err() {
        return false;
    }
    let Ok(verifier) =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()
    else {
        return false;
    };
    let seconds = u64::try_from(at.as_second()).unwrap_or_default();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let takes = |name| {
        verifier
            .verify_server_cert(certificate, &[], name, &[], at)
            .is_ok()
    };
    names.iter().all(takes)
}

/// A certificate's file and its key's.
#[derive(Debug)]
struct Paths {
    /// PEM.
    certificate: PathBuf,
    /// PEM, for its owner alone.
    key: PathBuf,
}

/// Which of the two pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// `ca`
    Authority,
    /// `server`
    Server,
}

/// A pair that was made before.
struct Pair {
    /// The certificate.
    certificate: CertificateDer<'static>,
    /// Its last second, since 1970.
    ends: i64,
    /// The private key, PEM, if it is there.
    key: Option<String>,
}

/// A pair that was made just now.
struct NewPair {
    /// The certificate.
    certificate: CertificateDer<'static>,
    /// The same, PEM.
    certificate_pem: String,
    /// The private key, PEM.
    key_pem: String,
}

impl Paths {
    /// `NAME.pem` and `NAME.key`.
    fn new(directory: &Path, name: &str) -> Self {
        Self {
            certificate: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
        }
    }

    /// The pair, if there is one. What was not made here is an error.
    fn read(&self, of: Of, warnings: &mut Vec<String>) -> Result<Option<Pair>, Error> {
        let renew = "delete it and the certificate beside it";
        let key = files::read_private(&self.key, renew, warnings)?;
        let Some(pem) = files::read(&self.certificate)? else {
            return match key {
                None => Ok(None),
                Some(_) => Err(Error::strange(&self.key, "has no certificate beside it")),
            };
        };
        let certificate = CertificateDer::from_pem_slice(&pem).ok();
        let parsed = certificate
            .as_ref()
            .and_then(|der| X509Certificate::from_der(der).ok());
        let Some((_, parsed)) = parsed else {
            return Err(Error::strange(
                &self.certificate,
                "is not a certificate in PEM",
            ));
        };
        let name = match of {
            Of::Authority => parsed.subject(),
            Of::Server => parsed.issuer(),
        };
        let ours = name
            .iter_common_name()
            .any(|name| name.as_str().is_ok_and(|name| name == AUTHORITY));
        if !ours {
            return Err(Error::strange(
                &self.certificate,
                "was not made by `plugway dev`",
            ));
        }
        let ends = parsed.validity().not_after.timestamp();
        let key = key.and_then(|key| String::from_utf8(key).ok());
        Ok(certificate.map(|certificate| Pair {
            certificate,
            ends,
            key,
        }))
    }

    /// Replaces both files. The certificate goes first: when it is interrupted here, what is left
    /// is recognised as ours on the next start.
    fn write(&self, pair: &NewPair) -> Result<(), Error> {
        files::write(&self.certificate, pair.certificate_pem.as_bytes(), 0o644)?;
        files::write(&self.key, pair.key_pem.as_bytes(), 0o600)
    }
}

impl Pair {
    /// Whether it does not end soon.
    fn lasts(&self, now: Timestamp) -> bool {
        self.ends.saturating_sub(now.as_second()) > RENEW_BEFORE.as_secs()
    }

    /// The key, if it is there and belongs to the certificate.
    fn matching_key(&self) -> Option<KeyPair> {
        let key = KeyPair::from_pem(self.key.as_deref()?).ok()?;
        let (_, parsed) = X509Certificate::from_der(&self.certificate).ok()?;
        (key.subject_public_key_info() == parsed.public_key().raw).then_some(key)
    }
}

/// The names of every machine, and the given ones; each once.
fn all_names(given: &[impl AsRef<str>]) -> Result<Vec<ServerName<'static>>, Error> {
    let loopback = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ];
    let mut names: Vec<_> = loopback.into_iter().map(ServerName::from).collect();
    for name in ["localhost"]
        .into_iter()
        .chain(given.iter().map(AsRef::as_ref))
    {
        let bad = |_| Error::Name(name.to_owned());
        let name = ServerName::try_from(name.to_ascii_lowercase()).map_err(bad)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    match names.len() {
        ..=MAX_NAMES => Ok(names),
        count => Err(Error::Names(count)),
    }
}

/// A name that holds nothing but this.
fn named(common_name: &str) -> rcgen::DistinguishedName {
    let mut name = rcgen::DistinguishedName::new();
    name.push(DnType::OrganizationName, "plugway");
    name.push(DnType::CommonName, common_name);
    name
}

/// Sets from when to when a certificate is valid: from a day in the past, for clients whose clock
/// is behind, to `end` (seconds since 1970).
fn set_validity(params: &mut CertificateParams, now: Timestamp, end: i64) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let seconds = |second: i64| Duration::from_secs(u64::try_from(second).unwrap_or_default());
    params.not_before = epoch + seconds(now.as_second() - DAY);
    params.not_after = epoch + seconds(end);
}

/// How an authority of ours is recognised.
const AUTHORITY: &str = "plugway development CA";
/// Seconds.
const DAY: i64 = 24 * 60 * 60;
/// Five years.
const AUTHORITY_DAYS: i64 = 5 * 365 + 1;
/// With the day before: 397, the most that browsers take.
const SERVER_DAYS: i64 = 396;
/// What ends within 30 days is made again.
const RENEW_BEFORE: jiff::SignedDuration = jiff::SignedDuration::from_hours(30 * 24);
/// Names of a certificate.
const MAX_NAMES: usize = 100;

#[cfg(test)]
mod tests;

//! TLS material: certificates chosen by name for the listeners, roots for the upstreams.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use x509_parser::extensions::GeneralName;

use crate::config;
use crate::problems::Problems;

/// The one provider. Always named, never taken from a process default.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// What is known of a certificate that is served.
#[derive(Debug, Clone)]
pub struct CertificateFacts {
    /// Its file.
    pub path: std::path::PathBuf,
    /// DNS names and addresses, lower case.
    pub names: Vec<String>,
    /// End of its validity, Unix seconds.
    pub not_after: i64,
}

/// The listeners' TLS, and what it was made of.
#[derive(Debug, Clone, Default)]
pub(super) struct Served {
    pub(super) config: Option<Arc<ServerConfig>>,
    pairs: Vec<Arc<Pair>>,
}

/// A certificate with its key, as it was read and as it is used.
#[derive(Debug)]
struct Pair {
    read: config::Certificate,
    key: Arc<CertifiedKey>,
    names: Vec<String>,
    /// Its validity, Unix seconds.
    not_before: i64,
    not_after: i64,
}

impl Served {
    /// What is known of the certificates.
    pub(super) fn facts(&self) -> Vec<CertificateFacts> {
        let fact = |pair: &Arc<Pair>| CertificateFacts {
            path: pair.read.certificate_path.clone(),
            names: pair.names.clone(),
            not_after: pair.not_after,
        };
        self.pairs.iter().map(fact).collect()
    }

    /// The same pair, if it was read before.
    fn known(&self, read: &config::Certificate) -> Option<Arc<Pair>> {
        self.pairs.iter().find(|pair| pair.read == *read).cloned()
    }
}

/// The listeners' TLS: one configuration for all, certificates chosen by SNI. `before` is what
/// serves now: pairs that did not change are not read again.
///
/// `tickets` is made once per process, so that sessions survive a change of certificates.
pub(super) fn server_config(
    certificates: &[config::Certificate],
    tickets: &Arc<dyn ProducesTickets>,
    before: &Served,
    now: jiff::Timestamp,
    problems: &mut Problems,
) -> Served {
    let mut pairs = Vec::new();
    for certificate in certificates {
        let pair = match before.known(certificate) {
            Some(pair) => Ok(pair),
            None => certified(certificate).map(Arc::new),
        };
        match pair {
            Err(fault) => fault.tell(certificate, problems),
            Ok(pair) => {
                if let Some(message) = validity(pair.not_before, pair.not_after, now) {
                    problems.warn(&certificate.at, message);
                }
                pairs.push(pair);
            }
        }
    }
    let unchanged = pairs.len() == before.pairs.len()
        && pairs
            .iter()
            .zip(&before.pairs)
            .all(|(now, before)| Arc::ptr_eq(now, before))
        && before
            .config
            .as_ref()
            .is_some_and(|config| Arc::ptr_eq(&config.ticketer, tickets));
    let config = if unchanged {
        before.config.clone()
    } else {
        listening(&pairs, tickets).unwrap_or_else(|error| {
            problems.add(
                &certificates[0].at,
                format!("TLS can not be set up: {error}"),
            );
            None
        })
    };
    Served { config, pairs }
}

/// TLS with these certificates; `None` without any.
fn listening(
    pairs: &[Arc<Pair>],
    tickets: &Arc<dyn ProducesTickets>,
) -> Result<Option<Arc<ServerConfig>>, rustls::Error> {
    let mut resolver = ByName::default();
    for pair in pairs {
        resolver.add(&pair.names, Arc::clone(&pair.key));
    }
    if resolver.fallback.is_none() {
        return Ok(None);
    }
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = Arc::clone(tickets);
    // One ticket is what a client uses; each costs a record and an encryption.
    config.send_tls13_tickets = 1;
    // Records are sealed and opened by `tls`, with the keys that a handshake has made.
    config.enable_secret_extraction = true;
    Ok(Some(Arc::new(config)))
}

fn validity(not_before: i64, not_after: i64, now: jiff::Timestamp) -> Option<String> {
    let day = |seconds| {
        jiff::Timestamp::from_second(seconds)
            .map_or_else(|_| "an unknown day".to_owned(), |at| at.to_string())
    };
    if now.as_second() >= not_after {
        Some(format!("the certificate expired at {}", day(not_after)))
    } else if now.as_second() < not_before {
        Some(format!(
            "the certificate is not valid before {}",
            day(not_before)
        ))
    } else {
        None
    }
}

/// What is wrong with a pair.
struct Fault {
    /// It is the key, not the certificate.
    of_key: bool,
    message: String,
    help: &'static str,
}

impl Fault {
    fn tell(self, pair: &config::Certificate, problems: &mut Problems) {
        let at = if self.of_key { &pair.key_at } else { &pair.at };
        problems.add(at, self.message).help(self.help);
    }
}

fn certified(pair: &config::Certificate) -> Result<Pair, Fault> {
    let fault = |message: String, help| Fault {
        of_key: false,
        message,
        help,
    };
    let of_key = |message: String, help| Fault {
        of_key: true,
        ..fault(message, help)
    };
    let path = pair.certificate_path.display();
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pair.certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| fault(format!("{path} is not PEM: {error}"), PEM_HELP))?;
    let Some(leaf) = chain.first() else {
        if PrivateKeyDer::from_pem_slice(&pair.certificate).is_ok() {
            let message = format!("{path} holds a private key and no certificate");
            let help = "`certificate` is a PEM chain, `key` its private key: perhaps one stands in place of the other";
            return Err(fault(message, help));
        }
        return Err(fault(format!("{path} holds no certificate"), PEM_HELP));
    };
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf).map_err(|error| {
        fault(
            format!("{path}: the first certificate can not be read: {error}"),
            PEM_HELP,
        )
    })?;
    let names = names(&parsed);
    let validity = parsed.validity();
    let (not_before, not_after) = (
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    );
    let key_path = pair.key_path.display();
    let key = PrivateKeyDer::from_pem_slice(pair.key.expose()).map_err(|_| {
        of_key(
            format!("{key_path} holds no private key"),
            "an unencrypted PEM key: PKCS#8, PKCS#1 or SEC1",
        )
    })?;
    let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => of_key(
            format!("{key_path} is not the key of {path}"),
            "both are read again as soon as either changes: write the pair that belongs together",
        ),
        error => of_key(
            format!("{key_path} can not be used: {error}"),
            "RSA, ECDSA (P-256, P-384) or Ed25519",
        ),
    })?;
    Ok(Pair {
        read: pair.clone(),
        key: Arc::new(key),
        names,
        not_before,
        not_after,
    })
}

const PEM_HELP: &str = "a PEM chain, the certificate of the key first";

/// The names of these certificates, as far as they can be read.
pub fn names_of(certificates: &[config::Certificate]) -> Vec<String> {
    let of = |certificate: &config::Certificate| {
        let mut chain = CertificateDer::pem_slice_iter(&certificate.certificate);
        let leaf = chain.next()?.ok()?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&leaf).ok()?;
        Some(names(&parsed))
    };
    certificates.iter().filter_map(of).flatten().collect()
}

/// Subject alternative names; the common name only where there are none.
fn names(certificate: &x509_parser::certificate::X509Certificate<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    if let Ok(Some(alternative)) = certificate.subject_alternative_name() {
        for name in &alternative.value.general_names {
            match name {
                GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress(bytes) => names.extend(address(bytes)),
                _ => {}
            }
        }
    }
    if names.is_empty() {
        let common = certificate
            .subject()
            .iter_common_name()
            .filter_map(|name| name.as_str().ok());
        names.extend(common.map(str::to_ascii_lowercase));
    }
    names
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(bytes).to_string());
    }
    <[u8; 16]>::try_from(bytes)
        .ok()
        .map(|bytes| std::net::Ipv6Addr::from(bytes).to_string())
}

/// Certificates by name; the first one for clients that send no name or an unknown one.
#[derive(Debug, Default)]
struct ByName {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// `example.com` for `*.example.com`.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
    fallback: Option<Arc<CertifiedKey>>,
}

impl ByName {
    /// The certificate that was written first keeps a name that two have.
    fn add(&mut self, names: &[String], key: Arc<CertifiedKey>) {
        for name in names {
            let (map, name) = match name.strip_prefix("*.") {
                Some(parent) => (&mut self.wildcard, parent),
                None => (&mut self.exact, name.as_str()),
            };
            map.entry(name.to_owned())
                .or_insert_with(|| Arc::clone(&key));
        }
        self.fallback.get_or_insert(key);
    }

    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        self.exact
            .get(name)
            .or_else(|| self.wildcard.get(name.split_once('.')?.1))
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // rustls gives the name in lower case.
        hello
            .server_name()
            .and_then(|name| self.find(name))
            .or(self.fallback.as_ref())
            .cloned()
    }
}

/// Whether a name is covered by a certificate's names.
pub fn covers(names: &[String], host: &str) -> bool {
    names.iter().any(|name| match name.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
        None => name == host,
    })
}

/// What is presented to an upstream; a problem if it can not be.
pub(super) fn presented(pair: &config::Certificate, problems: &mut Problems) -> Option<Presented> {
    match certified(pair) {
        Ok(pair) => Some(Arc::new(SingleCertAndKey::from(Arc::clone(&pair.key)))),
        Err(fault) => {
            fault.tell(pair, problems);
            None
        }
    }
}

/// A certificate with its key, for whoever asks.
pub(super) type Presented = Arc<SingleCertAndKey>;

/// TLS towards an upstream: HTTP/2 or HTTP/1.1, as it chooses.
pub(super) fn client_config(
    roots: Arc<RootCertStore>,
    presented: Option<Presented>,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots);
    let mut config = match presented {
        Some(presented) => builder.with_client_cert_resolver(presented),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The roots of a PEM file.
pub fn roots_of(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("it is not PEM: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("a certificate in it can not be used: {error}"))?;
    }
    if roots.is_empty() {
        Err("it holds no certificate".to_owned())
    } else {
        Ok(roots)
    }
}

/// The roots in the binary (Mozilla's, as old as the binary).
pub fn bundled_roots() -> RootCertStore {
    RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    }
}

//! Against rustls on the other side, and beside rustls on the same side.

mod misbehaviour;
mod pieces;
mod traffic;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, default_provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite, version};
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio_rustls::{TlsConnector, client};

use super::{Stream, accept};

/// A client and a server that agree on this suite.
struct Sides {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Sides {
    fn of(suite: SupportedCipherSuite) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = CertificateDer::from(made.cert.der().to_vec());
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(CryptoProvider {
            cipher_suites: vec![suite],
            ..default_provider()
        });
        let versions = [if suite.tls13().is_some() {
            &version::TLS13
        } else {
            &version::TLS12
        }];
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        server.alpn_protocols = vec![b"h2".to_vec()];
        server.enable_secret_extraction = true;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"h2".to_vec()];
        client.enable_secret_extraction = true;
        Self {
            server: Arc::new(server),
            client: Arc::new(client),
        }
    }

    /// Both after their handshake, over a pipe that holds so many bytes.
    async fn meet(&self, held: usize) -> (Stream<DuplexStream>, client::TlsStream<DuplexStream>) {
        let (near, far) = duplex(held);
        let server = async {
            let mut stream = accept(Arc::clone(&self.server), near).await.unwrap();
            stream.flush().await.unwrap();
            stream
        };
        tokio::join!(server, self.connect(far))
    }

    async fn connect(&self, io: DuplexStream) -> client::TlsStream<DuplexStream> {
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::clone(&self.client));
        connector.connect(name, io).await.unwrap()
    }
}

/// Those of this provider that both versions have, with certificates for elliptic curves.
fn suites() -> impl Iterator<Item = SupportedCipherSuite> {
    let suites = ALL_CIPHER_SUITES.iter().copied();
    let suites: Vec<_> = suites
        .filter(|suite| !format!("{:?}", suite.suite()).contains("_RSA_"))
        .collect();
    assert_eq!(suites.len(), 6, "three of each version");
    suites.into_iter()
}

fn suite_of(name: &str) -> SupportedCipherSuite {
    suites()
        .find(|suite| format!("{:?}", suite.suite()) == name)
        .unwrap()
}

/// Bytes none of which is where another could be.
fn bytes(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from(at * 31 % 251).unwrap())
        .collect()
}

//! Speaks to a running gateway over its admin socket or its admin address.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, IF_MATCH};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::args::{Gateway, config_is_named, typed};
use super::{Unsettled, misuse};
use crate::control;
use crate::snapshot;
use crate::unwritable::unread;

/// How long an answer may take: a reload fetches documents.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long what goes through all tokens may take: there may be a million.
const LONG_PATIENCE: Duration = Duration::from_mins(15);

fn patience(path: &str) -> Duration {
    let many = [
        "/tokens?",
        "/tokens/import?",
        "/tokens/export",
        "/audit",
        "/state/backup",
    ];
    if many.iter().any(|begin| path.starts_with(begin)) {
        LONG_PATIENCE
    } else {
        PATIENCE
    }
}

/// Where a gateway's admin API is.
#[derive(Debug, Clone)]
pub(super) struct Address {
    way: Way,
    /// What is said with it where nobody answers: what else it may be, or where it is from.
    hint: Option<String>,
}

/// How it is reached.
#[derive(Debug, Clone)]
enum Way {
    /// A socket in the file system.
    Unix(PathBuf),
    /// An address, and the credential for it.
    Tcp(SocketAddr, HeaderValue),
    /// A host and a port, the credential for it, and who vouches for it.
    Tls(Box<Secured>),
}

/// A gateway that is reached over TLS.
#[derive(Debug, Clone)]
pub(super) struct Secured {
    host: String,
    port: u16,
    credential: HeaderValue,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

/// A request that a gateway answered, whatever it said.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoReply {
    /// Nobody listens there.
    NoGateway(String),
    /// Anything else.
    Failed(anyhow::Error),
}

impl From<NoReply> for anyhow::Error {
    fn from(reason: NoReply) -> Self {
        match reason {
            NoReply::NoGateway(sentence) => Self::msg(sentence),
            NoReply::Failed(error) => error,
        }
    }
}

impl Address {
    /// A socket.
    pub(super) fn unix(path: PathBuf) -> Self {
        Self {
            way: Way::Unix(path),
            hint: None,
        }
    }
}

/// Where the admin API is: as said, or as the configuration says.
pub(super) fn address(gateway: &Gateway) -> anyhow::Result<Address> {
    let Some((text, typed)) = gateway.admin() else {
        is_there(gateway)?;
        let found = control::whereabouts(&gateway.config);
        let assumed = if found.assumed {
            ": that its state is in `state` is assumed"
        } else {
            ""
        };
        return Ok(Address {
            way: Way::Unix(found.socket),
            hint: found.fault.map(|fault| format!("{fault}{assumed}")),
        });
    };
    Ok(Address {
        way: way(text, gateway)?,
        hint: (!typed).then(|| "that is the address in $PLUGWAY_ADMIN".to_owned()),
    })
}

/// A configuration that somebody named and that is not there: what answers at the usual place may be
/// another gateway. A broken one still says where its gateway is, as far as it can be read.
fn is_there(gateway: &Gateway) -> Result<(), Unsettled> {
    let named = if typed("--config") {
        "--config"
    } else if config_is_named() {
        "$PLUGWAY_CONFIG"
    } else {
        return Ok(());
    };
    if gateway.config.try_exists().unwrap_or(true) {
        return Ok(());
    }
    let how = beside().unwrap_or("--admin names a gateway whose configuration is gone");
    Err(Unsettled(format!(
        "{} can not be read: {named} names it, and there is no such file ({how})",
        gateway.config.display()
    )))
}

/// How a gateway is reached at an address that was said.
fn way(text: &str, gateway: &Gateway) -> anyhow::Result<Way> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(Way::Unix(PathBuf::from(path)));
    }
    if text.starts_with("https://") {
        return secured(text, gateway.admin_ca.as_deref());
    }
    let bare = text.strip_prefix("http://").unwrap_or(text);
    let bare = bare.replace("localhost", "127.0.0.1");
    let Ok(address) = bare.trim_end_matches('/').parse::<SocketAddr>() else {
        return Err(misuse(format!(
            "`{text}` is no admin address: write unix:PATH, an address such as 127.0.0.1:9091, or https://HOST:PORT"
        )));
    };
    if !address.ip().is_loopback() {
        return Err(misuse(format!(
            "{address} is no loopback address: write https://{address}, an admin token does not cross a network in the clear"
        )));
    }
    Ok(Way::Tcp(address, credential()?))
}

/// `https://HOST:PORT`
fn secured(text: &str, ca: Option<&Path>) -> anyhow::Result<Way> {
    let wrong = || {
        misuse(format!(
            "`{text}` is no admin address: write https://HOST:PORT"
        ))
    };
    let url = url::Url::parse(text).map_err(|_| wrong())?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(wrong());
    };
    let host = host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host.clone()).map_err(|_| wrong())?;
    let roots = match ca {
        Some(path) => {
            let pem = std::fs::read(path)
                .map_err(|error| anyhow::Error::msg(unread(path, &error)))
                .with_context(|| path.display().to_string())?;
            let roots = snapshot::roots_of(&pem).map_err(anyhow::Error::msg);
            roots.with_context(|| path.display().to_string())?
        }
        None => control::system_roots(),
    };
    let mut config = ClientConfig::builder_with_provider(snapshot::provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Way::Tls(Box::new(Secured {
        name,
        host,
        port,
        credential: credential()?,
        config: Arc::new(config),
    })))
}

fn credential() -> anyhow::Result<HeaderValue> {
    let secret = std::env::var("PLUGWAY_ADMIN_TOKEN").map_err(|_| {
        misuse("an admin address wants an admin token in $PLUGWAY_ADMIN_TOKEN: `plugway token create --level admin` makes one")
    })?;
    let mut credential =
        HeaderValue::try_from(format!("Bearer {}", secret.trim())).map_err(|_| {
            misuse("$PLUGWAY_ADMIN_TOKEN is no token: it holds what no header can carry")
        })?;
    credential.set_sensitive(true);
    Ok(credential)
}

/// Asks, and gives the answer's JSON; an answer that is none of success is an error.
pub(super) fn ask(address: &Address, method: &str, path: &str) -> anyhow::Result<Value> {
    let reply = send(address, method, path, None)?;
    if !reply.status.is_success() {
        let problem: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("no reason is given");
        bail!("the gateway answered {}: {detail}", reply.status);
    }
    Ok(serde_json::from_slice(&reply.body)?)
}

/// A body and its media type.
pub(super) type Sent = (&'static str, Vec<u8>);

/// Sends, and gives what came back.
pub(super) fn send(
    address: &Address,
    method: &str,
    path: &str,
    body: Option<Sent>,
) -> Result<Reply, NoReply> {
    send_if(address, (method, path), body, None)
}

/// The same, only if this generation serves.
pub(super) fn send_if(
    address: &Address,
    (method, path): (&str, &str),
    body: Option<Sent>,
    generation: Option<u64>,
) -> Result<Reply, NoReply> {
    let failed = |error: anyhow::Error| NoReply::Failed(error);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(error.into()))?;
    let exchanged = async {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "plugway");
        if let Some((media, _)) = &body {
            request = request.header(CONTENT_TYPE, *media);
        }
        if let Some(generation) = generation {
            request = request.header(IF_MATCH, format!("\"{generation}\""));
        }
        match &address.way {
            Way::Tcp(_, credential) => request = request.header(AUTHORIZATION, credential),
            Way::Tls(to) => request = request.header(AUTHORIZATION, &to.credential),
            Way::Unix(_) => {}
        }
        let bytes = body.map_or_else(Bytes::new, |(_, bytes)| bytes.into());
        let request = request
            .body(Full::new(bytes))
            .map_err(|error| failed(error.into()))?;
        let hint = address.hint.as_deref();
        let unreached = |place: &str, error| unreached(place, hint, error);
        match &address.way {
            Way::Unix(path) => {
                let shown = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                let stream = tokio::net::UnixStream::connect(path).await;
                let place = format!("unix:{}", shown.display());
                exchange(stream.map_err(|error| unreached(&place, error))?, request).await
            }
            Way::Tcp(address, _) => {
                let stream = tokio::net::TcpStream::connect(address).await;
                let place = address.to_string();
                exchange(stream.map_err(|error| unreached(&place, error))?, request).await
            }
            Way::Tls(to) => {
                let place = format!("https://{}:{}", to.host, to.port);
                let stream = tokio::net::TcpStream::connect((&*to.host, to.port)).await;
                let stream = stream.map_err(|error| unreached(&place, error))?;
                let connector = TlsConnector::from(Arc::clone(&to.config));
                let stream = connector.connect(to.name.clone(), stream).await;
                exchange(stream.map_err(|error| unreached(&place, error))?, request).await
            }
        }
    };
    runtime.block_on(async {
        match tokio::time::timeout(patience(path), exchanged).await {
            Ok(reply) => reply,
            Err(_) => Err(NoReply::Failed(anyhow::anyhow!(
                "the gateway does not answer"
            ))),
        }
    })
}

/// Where `plugway dev` has its admin socket.
const DEV: &str = "state/dev/admin.sock";

/// What is said to whoever asks in vain in the folder of a `plugway dev` that runs.
pub(super) fn beside() -> Option<&'static str> {
    std::os::unix::net::UnixStream::connect(DEV).ok()?;
    Some("`plugway dev` runs here: --admin unix:state/dev/admin.sock")
}

fn unreached(place: &str, hint: Option<&str>, error: io::Error) -> NoReply {
    let usual = "is it running? --admin or --config says where it listens";
    let hint = beside().or(hint).unwrap_or(usual);
    let sentence = format!("no gateway answers at {place} ({hint})");
    match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::ConnectionRefused => NoReply::NoGateway(sentence),
        _ => {
            NoReply::Failed(anyhow::Error::new(error).context(format!("the admin API at {place}")))
        }
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
) -> Result<Reply, NoReply> {
    let failed = |error: hyper::Error| NoReply::Failed(error.into());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        let status = response.status();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(failed)?
            .to_bytes();
        Ok(Reply { status, body })
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        ended = connection => {
            ended.map_err(failed)?;
            // What it said before may still be on its way from there to here.
            answer.await.map_err(|_| {
                NoReply::Failed(anyhow::anyhow!("the gateway closed the connection"))
            })
        }
    }
}

//! Speaks to a running gateway over its admin socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use super::args::Gateway;
use crate::control;

/// How long an answer may take: a reload fetches documents.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where the admin socket is: as said, or as the configuration says.
pub(super) fn socket(gateway: &Gateway) -> anyhow::Result<PathBuf> {
    match &gateway.admin {
        Some(address) => match address.strip_prefix("unix:") {
            Some(path) => Ok(PathBuf::from(path)),
            None => bail!("`{address}` is no admin address: write unix:PATH"),
        },
        None => Ok(control::admin_socket(&gateway.config)),
    }
}

/// Asks, and gives the answer's JSON.
pub(super) fn ask(socket: &Path, method: &str, path: &str) -> anyhow::Result<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let asked = runtime
        .block_on(async { tokio::time::timeout(PATIENCE, exchange(socket, method, path)).await });
    asked.context("the gateway does not answer")?
}

async fn exchange(socket: &Path, method: &str, path: &str) -> anyhow::Result<Value> {
    let stream = tokio::net::UnixStream::connect(socket).await.with_context(|| {
        let shown = std::path::absolute(socket).unwrap_or_else(|_| socket.to_owned());
        format!("no gateway answers at unix:{} (is it running? --admin or --config says where it listens)", shown.display())
    })?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "plugway")
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        anyhow::ensure!(
            status.is_success(),
            "the gateway answered {status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(serde_json::from_slice(&body)?)
    };
    tokio::select! {
        answer = answer => answer,
        ended = connection => {
            ended?;
            bail!("the gateway closed the connection")
        }
    }
}

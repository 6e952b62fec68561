//! Listening sockets: made here, and nowhere else.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

pub use crate::config::ListenerKind as Kind;

/// A bound socket that nobody accepts from yet.
#[derive(Debug)]
pub struct Bound {
    /// What is spoken.
    pub kind: Kind,
    /// As configured (port 0 stays 0).
    pub asked: SocketAddr,
    /// The address that it really has.
    pub address: SocketAddr,
    /// Non-blocking.
    pub socket: TcpListener,
}

/// A listener could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("can not listen on {address}: {source}{}", hint(.source))]
pub struct BindError {
    /// Where.
    pub address: String,
    /// Why.
    #[source]
    pub source: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            " (another process has it: end that one, or choose another address in [listen])"
        }
        io::ErrorKind::PermissionDenied => {
            " (ports below 1024 need a privilege: choose one above, or grant CAP_NET_BIND_SERVICE)"
        }
        io::ErrorKind::AddrNotAvailable => " (this machine has no such address)",
        _ => "",
    }
}

/// Binds and listens. A port that another process holds is an error, never shared.
pub fn bind(kind: Kind, address: SocketAddr) -> Result<Bound, BindError> {
    let socket = listen(address).map_err(|source| BindError {
        address: address.to_string(),
        source,
    })?;
    let real = socket.local_addr().map_err(|source| BindError {
        address: address.to_string(),
        source,
    })?;
    Ok(Bound {
        kind,
        asked: address,
        address: real,
        socket,
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // Only lets us bind while connections of a predecessor are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    // Every connection has this from its listener: a response that may be silent for hours (an
    // event stream) must not keep the place of a client that vanished.
    let vanished = TcpKeepalive::new()
        .with_time(Duration::from_mins(1))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    socket.set_tcp_keepalive(&vanished)?;
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` are two listeners, on every system alike.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

/// Removes the file of a unix socket of ours, unless it is a successor's by now.
pub fn unbind_unix(path: &Path, socket: (u64, u64)) {
    if identity(path) == Some(socket) {
        let _ = std::fs::remove_file(path);
    }
}

/// Device and inode of a file.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let there = std::fs::symlink_metadata(path).ok()?;
    Some((there.dev(), there.ino()))
}

/// Binds a unix socket with mode 0600. A socket file that nobody listens on is replaced. With it
/// comes the identity for [`unbind_unix`].
pub fn bind_unix(path: &Path) -> Result<(UnixListener, (u64, u64)), BindError> {
    let failed = |source| BindError {
        address: format!("unix:{}", path.display()),
        source,
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(failed)?;
    if std::fs::symlink_metadata(path).is_ok_and(|there| !there.file_type().is_socket()) {
        let message = "something that is no socket is there, and is left alone: name another path";
        return Err(failed(io::Error::new(
            io::ErrorKind::AlreadyExists,
            message,
        )));
    }
    if UnixStream::connect(path).is_ok() {
        return Err(failed(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another plugway answers there: give each its own state.directory or listen.admin",
        )));
    }
    // Made in a folder that is ours alone and renamed, so that it never exists with a wider mode
    // and no client finds it half made.
    let private = tempfile::Builder::new()
        .prefix(".")
        .rand_bytes(4)
        .tempdir_in(folder);
    let hidden = private
        .as_ref()
        .map_err(|error| failed(io::Error::new(error.kind(), error.to_string())))?
        .path()
        .join("s");
    let listener = UnixListener::bind(&hidden).map_err(failed)?;
    std::fs::set_permissions(&hidden, Permissions::from_mode(0o600)).map_err(failed)?;
    std::fs::rename(&hidden, path).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok((listener, identity(path).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_socket_takes_no_other_file_and_no_other_gateways_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/admin.sock");
        let (first, identity) = bind_unix(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert!(bind_unix(&path).is_err(), "another gateway answers there");
        drop(first);
        let (_second, successor) = bind_unix(&path).unwrap();
        unbind_unix(&path, identity);
        assert!(path.exists(), "it is the successor's");
        unbind_unix(&path, successor);
        assert!(!path.exists());

        std::fs::write(&path, "precious").unwrap();
        assert!(bind_unix(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
}

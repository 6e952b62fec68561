//! Listening sockets: made here, and nowhere else.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

pub use crate::config::ListenerKind as Kind;
use crate::unwritable::advice;

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
#[error("can not listen on {address}: {source}{}", hint(.address, .source))]
pub struct BindError {
    /// Where.
    pub address: String,
    /// Why.
    #[source]
    pub source: io::Error,
}

fn hint(address: &str, error: &io::Error) -> String {
    if let Some(path) = address.strip_prefix("unix:") {
        return advice(Path::new(path), error).map_or(String::new(), |advice| {
            format!(" ({advice} or listen.admin)")
        });
    }
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => {
            " (another process has it: end that one, or choose another address)"
        }
        io::ErrorKind::PermissionDenied => {
            " (ports below 1024 need a privilege: choose one above, or grant CAP_NET_BIND_SERVICE)"
        }
        io::ErrorKind::AddrNotAvailable => " (this machine has no such address)",
        _ => "",
    };
    hint.to_owned()
}

/// Binds and listens. A port that another process holds is an error, never shared. `leaving` are
/// sockets of ours that are closed as soon as this one accepts: what waits at the same address is
/// taken over from them, and a wider or narrower address is no conflict with them.
pub fn bind(kind: Kind, address: SocketAddr, leaving: &[&TcpListener]) -> Result<Bound, BindError> {
    let failed = |source| BindError {
        address: address.to_string(),
        source,
    };
    let at = |socket: &&&TcpListener| {
        address.port() != 0 && socket.local_addr().is_ok_and(|known| known == address)
    };
    let socket = match leaving.iter().find(at) {
        Some(same) => same.try_clone(),
        None => beside(address, leaving),
    };
    let socket = socket.map_err(failed)?;
    let real = socket.local_addr().map_err(failed)?;
    Ok(Bound {
        kind,
        asked: address,
        address: real,
        socket,
    })
}

/// Shares the port with those of `leaving` that have it, and with nobody else: only for as long as
/// it takes to bind, so that no other process of the same user can join.
fn beside(address: SocketAddr, leaving: &[&TcpListener]) -> io::Result<TcpListener> {
    let has_port = |socket: &TcpListener| {
        let known = socket.local_addr();
        known.is_ok_and(|known| known.port() == address.port())
    };
    let sharing: Vec<SockRef<'_>> = leaving
        .iter()
        .filter(|socket| has_port(socket))
        .map(|socket| SockRef::from(*socket))
        .collect();
    let share = |socket: &SockRef<'_>, shared| socket.set_reuse_port(shared);
    sharing.iter().try_for_each(|socket| share(socket, true))?;
    let bound = listen(address, !sharing.is_empty());
    sharing.iter().try_for_each(|socket| share(socket, false))?;
    let bound = bound?;
    share(&SockRef::from(&bound), false)?;
    Ok(bound)
}

fn listen(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // Only lets us bind while connections of a predecessor are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    prepare(&SockRef::from(&socket))?;
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` are two listeners, on every system alike.
        socket.set_only_v6(true)?;
    }
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

/// What every listening socket of ours has, wherever it comes from.
pub(super) fn prepare(socket: &SockRef<'_>) -> io::Result<()> {
    // Every connection has this from its listener: a response that may be silent for hours (an
    // event stream) must not keep the place of a client that vanished.
    let vanished = TcpKeepalive::new()
        .with_time(Duration::from_mins(1))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    socket.set_tcp_keepalive(&vanished)?;
    socket.set_nonblocking(true)
}

/// The file of a unix socket of ours: removed when this is dropped, unless it is a successor's by
/// then.
#[derive(Debug)]
pub struct UnixName {
    path: PathBuf,
    socket: Option<(u64, u64)>,
}

impl UnixName {
    /// As it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Device and inode of the file, by which another process can tell whose it is.
    pub fn identity(&self) -> Option<(u64, u64)> {
        self.socket
    }

    /// Whether another path leads to it too.
    pub fn is_at(&self, path: &Path) -> bool {
        self.socket.is_some() && identity(path) == self.socket
    }
}

impl Drop for UnixName {
    fn drop(&mut self) {
        if self.is_at(&self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Device and inode of a file.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let there = std::fs::symlink_metadata(path).ok()?;
    Some((there.dev(), there.ino()))
}

/// Binds a unix socket with mode 0600. A socket file that nobody listens on is replaced, and so is
/// one that is to be `succeeded`, by its [identity](UnixName::identity), and still answers.
pub fn bind_unix(
    path: &Path,
    succeeded: &[(u64, u64)],
) -> Result<(UnixListener, UnixName), BindError> {
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
    let ours = identity(path).is_some_and(|there| succeeded.contains(&there));
    if !ours && UnixStream::connect(path).is_ok() {
        return Err(failed(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another plugway answers there: `plugway serve --take-over` follows it without a gap, \
             and two beside each other need a state.directory and listen.admin each",
        )));
    }
    // Made in a folder that is ours alone and renamed, so that it never exists with a wider mode
    // and no client finds it half made.
    let private = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o700))
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
    let name = UnixName {
        path: path.to_owned(),
        socket: identity(path),
    };
    Ok((listener, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_can_not_be_written_is_named() {
        let said = |address: &str| {
            let source = io::ErrorKind::PermissionDenied.into();
            let address = address.to_owned();
            BindError { address, source }.to_string()
        };
        let folder = tempfile::tempdir().unwrap();
        let shown = folder.path().display();
        let unix = said(&format!("unix:{shown}/admin.sock"));
        let place = format!("the folder {shown} can not be written by uid");
        assert!(unix.contains(&place), "{unix}");
        assert!(!unix.contains("1024"), "{unix}");
        assert!(said("0.0.0.0:443").contains("1024"));
    }

    #[test]
    fn an_admin_socket_takes_no_other_file_and_no_other_gateways_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/admin.sock");
        let (first, name) = bind_unix(&path, &[]).unwrap();
        let mode = std::fs::metadata(&path).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let refused = bind_unix(&path, &[]);
        assert!(refused.is_err(), "another gateway answers there");
        let refused = bind_unix(&path, &[(0, 0)]);
        assert!(refused.is_err(), "that is not who is succeeded");
        let identity = name.identity().unwrap();
        let (second, taken) = bind_unix(&path, &[identity]).unwrap();
        assert!(!name.is_at(&path) && taken.is_at(&path));
        drop((first, name));
        assert!(path.exists(), "it is the successor's");
        let name = taken;
        drop(second);
        let (_third, successor) = bind_unix(&path, &[]).unwrap();
        assert!(!name.is_at(&path) && successor.is_at(&path));
        drop(name);
        assert!(path.exists(), "it is the successor's");
        drop(successor);
        assert!(!path.exists());

        std::fs::write(&path, "precious").unwrap();
        assert!(bind_unix(&path, &[]).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    fn local(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn anywhere(port: u16) -> SocketAddr {
        SocketAddr::from(([0, 0, 0, 0], port))
    }

    #[test]
    fn another_kind_at_the_same_address_takes_over_what_waits_there() {
        let first = bind(Kind::Http, local(0), &[]).unwrap();
        let address = first.address;
        let waiting = std::net::TcpStream::connect(address).unwrap();
        let second = bind(Kind::Https, address, &[&first.socket]).unwrap();
        drop(first);
        let (_, peer) = second.socket.accept().unwrap();
        assert_eq!(peer, waiting.local_addr().unwrap());
        assert!(bind(Kind::Http, address, &[]).is_err(), "it is taken");
    }

    #[test]
    fn a_wider_or_narrower_address_is_bound_beside_the_one_that_leaves() {
        for (from, to) in [
            (local as fn(u16) -> _, anywhere as fn(u16) -> _),
            (anywhere, local),
        ] {
            let first = bind(Kind::Http, from(0), &[]).unwrap();
            let port = first.address.port();
            assert!(
                bind(Kind::Http, to(port), &[]).is_err(),
                "it does not leave"
            );
            let second = bind(Kind::Http, to(port), &[&first.socket]).unwrap();
            assert!(
                bind(Kind::Http, to(port), &[]).is_err(),
                "nobody else may join"
            );
            drop(first);
            let _client = std::net::TcpStream::connect(local(port)).unwrap();
            second.socket.set_nonblocking(false).unwrap();
            second.socket.accept().unwrap();
        }
    }
}

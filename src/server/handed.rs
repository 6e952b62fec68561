//! Listening sockets that come from outside: from whoever started the process (`LISTEN_FDS`,
//! `sd_listen_fds(3)`), or from the gateway that it takes over from.

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use socket2::SockRef;

use super::ListenerId;
use super::listener::{BindError, Bound, Kind, prepare};

/// A listening socket on its way from a gateway to its successor.
#[derive(Debug)]
pub struct Passed {
    /// What it is for there, as configured.
    pub listener: ListenerId,
    /// Whether whoever started that gateway has it too.
    pub kept: bool,
    /// The socket.
    pub socket: TcpListener,
}

/// A socket that came from outside.
#[derive(Debug)]
struct Given {
    socket: TcpListener,
    address: SocketAddr,
    /// Its name in `LISTEN_FDNAMES`.
    name: String,
    /// What it was for in a predecessor.
    listener: Option<ListenerId>,
    /// Whether a copy stays here while nothing listens on it. Whoever started us has it as well:
    /// the address is not free for another socket, however often ours is closed.
    kept: bool,
    adopted: Cell<bool>,
}

/// All sockets that came from outside.
#[derive(Debug, Default)]
pub struct Handed {
    given: Vec<Given>,
    /// What is no listening TCP socket.
    faults: Vec<String>,
}

impl Handed {
    /// Those that whoever started the process put at descriptor 3 and further. Takes them out of
    /// the environment, which no other thread may read meanwhile.
    pub fn activated() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut descriptors = ListenFd::from_env();
        let mut handed = Self::default();
        for index in 0..descriptors.len() {
            let name = names.get(index).copied().unwrap_or_default();
            match descriptors.take_tcp_listener(index) {
                Ok(Some(socket)) => {
                    let added = handed.add(socket, name, None, true);
                    if let Err(error) = added {
                        handed
                            .faults
                            .push(format!("{}: {error}", show(index, name)));
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    // Closed, where it is a socket of another kind.
                    let _ = descriptors.take_unix_listener(index);
                    let _ = descriptors.take_udp_socket(index);
                    let _ = descriptors.take_unix_datagram(index);
                    handed
                        .faults
                        .push(format!("{}: {error}", show(index, name)));
                }
            }
        }
        handed
    }

    /// One of a predecessor.
    ///
    /// # Errors
    /// It is no listening TCP socket.
    pub fn pass(&mut self, socket: OwnedFd, listener: ListenerId, kept: bool) -> io::Result<()> {
        self.add(socket.into(), "", Some(listener), kept)
    }

    fn add(
        &mut self,
        socket: TcpListener,
        name: &str,
        listener: Option<ListenerId>,
        kept: bool,
    ) -> io::Result<()> {
        if !SockRef::from(&socket).is_listener()? {
            return Err(io::Error::other("is no socket that listens"));
        }
        self.given.push(Given {
            address: socket.local_addr()?,
            socket,
            name: name.to_owned(),
            listener,
            kept,
            adopted: Cell::new(false),
        });
        Ok(())
    }

    /// The socket for a listener, if there is one: that which had the same words in the
    /// predecessor's configuration, else one that has its address.
    pub fn adopt(&self, kind: Kind, asked: SocketAddr) -> Option<Result<Bound, BindError>> {
        let same = |given: &&Given| given.listener == Some((kind, asked));
        let there = |given: &&Given| given.address == asked;
        let mut given = self.given.iter();
        let found = given.clone().find(same).or_else(|| given.find(there))?;
        let bound = found.copy(kind, asked).map_err(|source| BindError {
            address: asked.to_string(),
            source,
        });
        found.adopted.set(bound.is_ok());
        Some(bound)
    }

    /// Whether a socket stays here while nothing listens on it.
    pub fn keeps(&self, address: SocketAddr) -> bool {
        self.given
            .iter()
            .any(|given| given.kept && given.address == address)
    }

    /// Everything listens: closes what was not adopted, and says what that is unless it was a
    /// predecessor's, who closes its own in good order.
    pub fn settle(&mut self) -> Vec<String> {
        let mut said = std::mem::take(&mut self.faults);
        for given in &self.given {
            if !given.adopted.get() && given.listener.is_none() {
                let name = &given.name;
                let name = if name.is_empty() {
                    String::new()
                } else {
                    format!(" ({name})")
                };
                said.push(format!(
                    "{}{name}: no listener of the configuration has this address",
                    given.address
                ));
            }
        }
        self.given.retain(|given| given.kept && given.adopted.get());
        said
    }

    /// Closes all of them: the process ends.
    pub fn close(&mut self) {
        self.given.clear();
    }
}

impl Given {
    fn copy(&self, kind: Kind, asked: SocketAddr) -> io::Result<Bound> {
        let socket = self.socket.try_clone()?;
        prepare(&SockRef::from(&socket))?;
        Ok(Bound {
            kind,
            asked,
            address: self.address,
            socket,
        })
    }
}

/// A descriptor, as whoever started us may know it.
fn show(index: usize, name: &str) -> String {
    if name.is_empty() {
        format!("descriptor {}", index + 3)
    } else {
        format!("descriptor {} ({name})", index + 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> (TcpListener, SocketAddr) {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    #[test]
    fn the_same_words_come_before_the_same_address() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (mut handed, (one, first), (two, second)) = (Handed::default(), socket(), socket());
        handed.add(one, "web", None, true).unwrap();
        handed.pass(two.into(), (Kind::Http, any), false).unwrap();

        let adopted = handed.adopt(Kind::Http, any).unwrap().unwrap();
        assert_eq!((adopted.asked, adopted.address), (any, second));
        assert!(handed.adopt(Kind::Https, any).is_none());
        assert!(handed.keeps(first) && !handed.keeps(second));
        assert_eq!(
            handed.settle(),
            [format!(
                "{first} (web): no listener of the configuration has this address"
            )]
        );
        assert!(handed.adopt(Kind::Https, first).is_none(), "it is closed");
    }

    #[test]
    fn what_was_adopted_once_can_be_adopted_again() {
        let (mut handed, (one, first)) = (Handed::default(), socket());
        handed.add(one, "", None, true).unwrap();
        let adopted = handed.adopt(Kind::Https, first).unwrap().unwrap();
        assert_eq!(handed.settle(), Vec::<String>::new());
        drop(adopted);
        let again = handed.adopt(Kind::Http, first).unwrap().unwrap();
        assert_eq!(again.address, first);
        let error = again.socket.accept().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(again);
        handed.close();
        assert!(TcpListener::bind(first).is_ok());
    }

    #[test]
    fn what_does_not_listen_is_none() {
        let (_socket, address) = socket();
        let client = std::net::TcpStream::connect(address).unwrap();
        let added = Handed::default().pass(client.into(), (Kind::Http, address), false);
        assert!(added.is_err());
    }
}

//! Whether a client is still there while bytes of it are unread.
//!
//! What is read of a connection is bounded, and its end comes behind all else: who has sent more than
//! is read now, and leaves, would hold what its request holds for as long as an upstream is silent. The
//! system knows at once, and can be asked.

use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::linger::Socket;
use super::sniff::Rewind;
use super::watch::Watched;
use crate::tls;

/// What is known of the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It is there.
    There,
    /// It sends nothing more.
    Ended,
    /// It is gone: nothing reaches it.
    Gone,
}

impl Presence {
    /// Of a socket.
    fn of(socket: impl AsFd) -> Self {
        let mut asked = [PollFd::new(&socket, PollFlags::RDHUP)];
        // What can not be asked shows itself when it is read or written to.
        if poll(&mut asked, Some(&Timespec::default())).is_err() {
            return Self::There;
        }
        let told = asked[0].revents();
        if told.intersects(PollFlags::ERR | PollFlags::HUP) {
            Self::Gone
        } else if told.contains(PollFlags::RDHUP) {
            Self::Ended
        } else {
            Self::There
        }
    }
}

/// A connection of which that can be asked.
pub(crate) trait Far {
    /// The other end.
    fn presence(&self) -> Presence;
}

impl Far for Socket {
    fn presence(&self) -> Presence {
        self.stream().map_or(Presence::Gone, Presence::of)
    }
}

impl<T: Far> Far for Watched<T> {
    fn presence(&self) -> Presence {
        self.inner().presence()
    }
}

impl<T: Far> Far for Rewind<T> {
    fn presence(&self) -> Presence {
        self.inner().presence()
    }
}

impl<T: Far> Far for tls::Stream<T> {
    fn presence(&self) -> Presence {
        self.inner().presence()
    }
}

/// Within the process nobody leaves without a word.
impl Far for tokio::io::DuplexStream {
    fn presence(&self) -> Presence {
        Presence::There
    }
}

#[cfg(test)]
impl Far for tokio::net::UnixStream {
    fn presence(&self) -> Presence {
        Presence::of(self)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    #[test]
    fn unread_bytes_hide_no_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for (leave, expected) in [
            (
                Box::new(|_: &TcpStream| ()) as Box<dyn Fn(&TcpStream)>,
                Presence::There,
            ),
            (
                Box::new(|client| client.shutdown(Shutdown::Write).unwrap()),
                Presence::Ended,
            ),
            (
                Box::new(|client| {
                    let client = socket2::SockRef::from(client);
                    client.set_linger(Some(Duration::ZERO)).unwrap();
                }),
                Presence::Gone,
            ),
        ] {
            let mut client = TcpStream::connect(address).unwrap();
            let (ours, _) = listener.accept().unwrap();
            client.write_all(b"unread").unwrap();
            leave(&client);
            let kept = (expected != Presence::Gone).then_some(client);
            assert_eq!(Presence::of(&ours), expected);
            drop(kept);
        }
    }
}

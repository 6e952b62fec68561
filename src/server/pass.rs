//! Lines, and listening sockets with them, over a unix socket (`SCM_RIGHTS`, unix(7)).

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Bytes of a line.
const LINE: usize = 64 << 10;
/// Sockets that one read may bring. One line has one, so that there are never so many.
const AT_ONCE: usize = 8;

/// One end.
#[derive(Debug)]
pub struct Channel {
    stream: UnixStream,
    /// Read, and no line yet.
    text: Vec<u8>,
    /// In the order in which they came.
    sockets: VecDeque<OwnedFd>,
}

impl Channel {
    /// Over this connection.
    pub fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            text: Vec::new(),
            sockets: VecDeque::new(),
        }
    }

    /// Says a line, which has no end of a line within, and gives a socket with it.
    ///
    /// # Errors
    /// The other side is gone.
    pub async fn say(&self, line: &str, socket: Option<&TcpListener>) -> io::Result<()> {
        let bytes = format!("{line}\n").into_bytes();
        let (mut sent, mut socket) = (0, socket);
        while sent < bytes.len() {
            let write = || {
                let given = socket.map(|socket| [socket.as_fd()]);
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                if let Some(given) = &given {
                    control.push(SendAncillaryMessage::ScmRights(given));
                }
                let rest = [IoSlice::new(&bytes[sent..])];
                Ok(sendmsg(
                    &self.stream,
                    &rest,
                    &mut control,
                    SendFlags::NOSIGNAL,
                )?)
            };
            sent += self.stream.async_io(Interest::WRITABLE, write).await?;
            // It went with the first byte.
            socket = None;
        }
        Ok(())
    }

    /// The next line; `None`: the other side is gone.
    ///
    /// # Errors
    /// It is too long, or no text.
    pub async fn hear(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                let line = self.text.drain(..=end).take(end).collect();
                let line = String::from_utf8(line);
                return line.map(Some).map_err(io::Error::other);
            }
            if self.text.len() > LINE {
                return Err(io::Error::other("a line is too long"));
            }
            if !self.read().await? {
                return Ok(None);
            }
        }
    }

    /// The first socket that came and was not taken yet.
    pub fn socket(&mut self) -> Option<OwnedFd> {
        self.sockets.pop_front()
    }

    async fn read(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 4096];
        let (stream, sockets) = (&self.stream, &mut self.sockets);
        let read = || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut room = [IoSliceMut::new(&mut bytes)];
            let got = recvmsg(stream, &mut room, &mut control, RecvFlags::CMSG_CLOEXEC)?;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(came) = message {
                    sockets.extend(came);
                }
            }
            Ok(got.bytes)
        };
        let length = stream.async_io(Interest::READABLE, read).await?;
        self.text.extend_from_slice(&bytes[..length]);
        Ok(length > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_and_sockets_come_in_order() {
        let (here, there) = UnixStream::pair().unwrap();
        let (here, mut there) = (Channel::new(here), Channel::new(there));
        let sockets: Vec<_> = (0..20)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        here.say("begin", None).await.unwrap();
        for (number, socket) in sockets.iter().enumerate() {
            here.say(&number.to_string(), Some(socket)).await.unwrap();
        }
        here.say("end", None).await.unwrap();
        drop(here);
        assert_eq!(there.hear().await.unwrap().as_deref(), Some("begin"));
        for (number, socket) in sockets.iter().enumerate() {
            assert_eq!(there.hear().await.unwrap(), Some(number.to_string()));
            let came = TcpListener::from(there.socket().unwrap());
            assert_eq!(came.local_addr().unwrap(), socket.local_addr().unwrap());
        }
        assert_eq!(there.hear().await.unwrap().as_deref(), Some("end"));
        assert!(there.socket().is_none());
        assert_eq!(there.hear().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_refused() {
        let (here, there) = UnixStream::pair().unwrap();
        let (here, mut there) = (Channel::new(here), Channel::new(there));
        let long = "x".repeat(2 * LINE);
        let (said, heard) = tokio::join!(here.say(&long, None), async {
            let heard = there.hear().await;
            drop(there);
            heard
        });
        assert!(heard.is_err());
        drop(said);
    }
}

//! The handshake: rustls says what is to be sent and read.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::records;
use super::session::Session;
use super::stream::Stream;

/// Bytes that are read at a time: a client's first flight, and most of its later ones.
const READ: usize = 4 << 10;
/// Bytes that a handshake may hold: a message has 64 KiB at the most, and comes in records.
const HELD: usize = 128 << 10;

/// Shakes hands with a client.
///
/// # Errors
/// The connection broke, or the client and this side do not agree; it has been told why.
pub(crate) async fn accept<T>(config: Arc<ServerConfig>, io: T) -> io::Result<Stream<T>>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let connection = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
    let mut shake = Handshake {
        io,
        connection,
        came: Vec::new(),
        window: 0,
        out: Vec::new(),
    };
    loop {
        match shake.step() {
            Ok(Step::Send) => shake.send().await?,
            Ok(Step::Read) => shake.read().await?,
            Ok(Step::Done) => break,
            Err(fault) => {
                shake.farewell().await;
                return Err(fault);
            }
        }
    }
    let Handshake {
        io,
        connection,
        came,
        out,
        ..
    } = shake;
    let alpn = connection.alpn_protocol().map(Vec::from);
    let (keys, secrets) = connection
        .dangerous_into_kernel_connection()
        .map_err(io::Error::other)?;
    let session = Session::new(keys, secrets).map_err(io::Error::other)?;
    Ok(Stream::new(io, session, alpn).with(&came, &out))
}

struct Handshake<T> {
    io: T,
    connection: UnbufferedServerConnection,
    /// Read, and not looked at.
    came: Vec<u8>,
    /// Bytes of it that rustls has been shown: no record more than the handshake needs. It would take
    /// in what follows as well, and answer a new key in a way that is lost with it.
    window: usize,
    /// To be sent.
    out: Vec<u8>,
}

enum Step {
    Send,
    Read,
    Done,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Handshake<T> {
    /// Goes on as far as it can.
    fn step(&mut self) -> io::Result<Step> {
        loop {
            let UnbufferedStatus { discard, state } = self
                .connection
                .process_tls_records(&mut self.came[..self.window]);
            let state = match state {
                Ok(state) => state,
                Err(error) => {
                    self.discard(discard);
                    return Err(invalid(error));
                }
            };
            let step = match state {
                ConnectionState::EncodeTlsData(encode) => {
                    put(encode, &mut self.out)?;
                    None
                }
                // It is sent when the client is waited for, or with the first answer.
                ConnectionState::TransmitTlsData(transmit) => {
                    transmit.done();
                    None
                }
                ConnectionState::BlockedHandshake => Some(Step::Read),
                ConnectionState::WriteTraffic(_) => Some(Step::Done),
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            };
            self.discard(discard);
            match step {
                Some(Step::Read) if !self.out.is_empty() => return Ok(Step::Send),
                Some(Step::Read) if self.widen() => {}
                Some(step) => return Ok(step),
                None => {}
            }
        }
    }

    fn discard(&mut self, length: usize) {
        self.came.drain(..length);
        self.window -= length;
    }

    /// Shows the next record, if it is there as a whole; all of what is none, for the refusal.
    fn widen(&mut self) -> bool {
        match records::whole(&self.came[self.window..], records::MOST) {
            Ok(None) => return false,
            Ok(Some(length)) => self.window += length,
            Err(_) => self.window = self.came.len(),
        }
        true
    }

    async fn send(&mut self) -> io::Result<()> {
        self.io.write_all(&self.out).await?;
        self.out.clear();
        self.io.flush().await
    }

    async fn read(&mut self) -> io::Result<()> {
        if self.came.len() > HELD {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a handshake of more than 128 KiB",
            ));
        }
        self.came.reserve(READ);
        if self.io.read_buf(&mut self.came).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Says why, if the client can still be told.
    async fn farewell(&mut self) {
        // As long as there is something to be said, nothing of what came is looked at once more.
        while self.connection.wants_write() {
            let status = self
                .connection
                .process_tls_records(&mut self.came[..self.window]);
            let Ok(ConnectionState::EncodeTlsData(encode)) = status.state else {
                break;
            };
            if put(encode, &mut self.out).is_err() {
                break;
            }
        }
        // What the fault was is said by who called.
        let _ = self.send().await;
    }
}

/// Puts a record behind what is to be sent.
fn put<D>(mut encode: EncodeTlsData<'_, D>, out: &mut Vec<u8>) -> io::Result<()> {
    let from = out.len();
    let length = match encode.encode(&mut []) {
        Ok(length) => length,
        Err(EncodeError::InsufficientSize(size)) => {
            out.resize(from + size.required_size, 0);
            encode.encode(&mut out[from..]).map_err(io::Error::other)?
        }
        Err(error) => return Err(io::Error::other(error)),
    };
    out.truncate(from + length);
    Ok(())
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

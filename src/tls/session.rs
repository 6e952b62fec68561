//! What two sides have agreed on: a key each way, and what may still be said about them
//! (RFC 8446 §4.6.3 and §6, RFC 5246 §7.2).

use std::io::IoSlice;

use rustls::kernel::KernelConnection;
use rustls::server::ServerConnectionData;
use rustls::{ConnectionTrafficSecrets, ExtractedSecrets, ProtocolVersion};

use super::records::{self, ALERT, HANDSHAKE, Key, LONGEST, Refused, Unknown};

/// The alert that nothing more will be sent.
const CLOSE_NOTIFY: u8 = 0;
/// The alert that says nothing: the other side gave a handshake up.
const USER_CANCELED: u8 = 90;
/// Warnings that are borne.
const WARNINGS: u8 = 4;
/// The message that the sender uses a new key from now on, and whether it asks for the same.
const KEY_UPDATE: u8 = 24;
/// Bytes of it.
const UPDATE: usize = 5;
/// Requests for a new key that are granted: each costs more than it takes to ask.
const KEY_UPDATES: u8 = 32;

/// Records without content, one after the other, that are borne: they are work for nothing.
const EMPTY: u8 = 32;
/// Pieces that one record is gathered from at the most.
const GATHERED: usize = 8;

/// See the module.
pub(super) struct Session {
    opener: Key,
    sealer: Key,
    /// Makes the next keys.
    secrets: KernelConnection<ServerConnectionData>,
    /// A message of the handshake layer that came by half.
    begun: Vec<u8>,
    warnings: u8,
    updates: u8,
    /// Records without content that may still follow on each other.
    empty: u8,
    /// The other side has said that it sends nothing more.
    is_closed: bool,
}

/// What a record says.
#[derive(Debug)]
pub(super) enum Said {
    /// What it carries is here in what it was opened in.
    Data(std::ops::Range<usize>),
    /// Something between the two sides; perhaps that there will be no more ([`Session::is_closed`]).
    Nothing,
    /// It uses another key from now on, and asks for the same.
    AsksForKey,
    /// The other side broke off, by this alert.
    Broke(u8),
}

/// What is sealed, one record behind the other, in memory that stays.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    room: Vec<u8>,
    length: usize,
}

impl Sealed {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.room[..self.length]
    }

    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    /// Puts what was sealed before.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.more(bytes.len()).copy_from_slice(bytes);
    }

    /// Room for so many bytes more.
    fn more(&mut self, length: usize) -> &mut [u8] {
        let from = self.length;
        self.length += length;
        if self.room.len() < self.length {
            self.room.resize(self.length, 0);
        }
        &mut self.room[from..self.length]
    }
}

impl Session {
    pub(super) fn new(
        ExtractedSecrets { tx, rx }: ExtractedSecrets,
        secrets: KernelConnection<ServerConnectionData>,
    ) -> Result<Self, Unknown> {
        let version = secrets.protocol_version();
        Ok(Self {
            opener: Key::new(rx, version)?,
            sealer: Key::new(tx, version)?,
            secrets,
            begun: Vec::new(),
            warnings: WARNINGS,
            updates: KEY_UPDATES,
            empty: EMPTY,
            is_closed: false,
        })
    }

    fn is_13(&self) -> bool {
        self.secrets.protocol_version() == ProtocolVersion::TLSv1_3
    }

    /// Whether the other side has said that it sends nothing more.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Another key is used for what is sealed after so many records.
    #[cfg(test)]
    pub(super) fn wear_after(&mut self, records: u64) {
        self.sealer.wear_after(records);
    }

    /// See [`Key::whole`].
    pub(super) fn whole(&self, bytes: &[u8]) -> Result<Option<usize>, Refused> {
        self.opener.whole(bytes)
    }

    /// See [`Key::opened_length`].
    pub(super) fn opened_length(&self, record: usize) -> usize {
        self.opener.opened_length(record)
    }

    /// Opens a record that is there as a whole, where it lies.
    pub(super) fn open(&mut self, record: &mut [u8]) -> Result<Said, Refused> {
        let (kind, at) = self.opener.open(record)?;
        self.said(kind, &record[at.clone()], at)
    }

    /// Opens a record that is there as a whole into other memory, of
    /// [`opened_length`](Self::opened_length) bytes: what it carries is there.
    pub(super) fn open_into(&mut self, record: &[u8], out: &mut [u8]) -> Result<Said, Refused> {
        let (kind, carried) = self.opener.open_into(record, out)?;
        self.said(kind, &out[..carried], 0..carried)
    }

    /// What a record says that carries this, which is `at`.
    fn said(
        &mut self,
        kind: u8,
        content: &[u8],
        at: std::ops::Range<usize>,
    ) -> Result<Said, Refused> {
        // A message in pieces has nothing between them (RFC 8446 §5.1).
        if !self.begun.is_empty() && kind != HANDSHAKE {
            return Err(Refused::Unexpected);
        }
        match kind {
            records::DATA if at.is_empty() => {
                self.empty = self.empty.checked_sub(1).ok_or(Refused::Unexpected)?;
                Ok(Said::Nothing)
            }
            records::DATA => {
                self.empty = EMPTY;
                Ok(Said::Data(at))
            }
            ALERT => self.alert(content),
            HANDSHAKE if self.is_13() => self.message(content),
            HANDSHAKE => Err(Refused::NoRenegotiation),
            _ => Err(Refused::Unexpected),
        }
    }

    fn alert(&mut self, content: &[u8]) -> Result<Said, Refused> {
        let &[level, what] = content else {
            return Err(Refused::Malformed);
        };
        match (level, what) {
            (_, CLOSE_NOTIFY) => {
                self.is_closed = true;
                Ok(Said::Nothing)
            }
            // TLS 1.3 has no warnings beside these two.
            (1, _) if !self.is_13() || what == USER_CANCELED => {
                self.warnings = self.warnings.checked_sub(1).ok_or(Refused::Unexpected)?;
                Ok(Said::Nothing)
            }
            _ => Ok(Said::Broke(what)),
        }
    }

    /// A message of the handshake layer, or a piece of it: a new key for what comes. A server is sent
    /// nothing else when a handshake is over.
    fn message(&mut self, content: &[u8]) -> Result<Said, Refused> {
        if content.is_empty() {
            return Err(Refused::Unexpected);
        }
        let missing = UPDATE - self.begun.len();
        self.begun
            .extend_from_slice(&content[..missing.min(content.len())]);
        if self.begun[0] != KEY_UPDATE {
            return Err(Refused::Unexpected);
        }
        let &[_, 0, 0, 1, asks] = &self.begun[..] else {
            let is_update = [KEY_UPDATE, 0, 0, 1].starts_with(&self.begun);
            return is_update.then_some(Said::Nothing).ok_or(Refused::Malformed);
        };
        // What follows in the same record was sealed with the key that is over.
        if content.len() > missing {
            return Err(Refused::Unexpected);
        }
        if asks > 1 {
            return Err(Refused::Illegal);
        }
        self.begun = Vec::new();
        self.updates = self.updates.checked_sub(1).ok_or(Refused::Unexpected)?;
        let next = self.secrets.update_rx_secret();
        self.opener = next_key(next)?;
        Ok(if asks == 1 {
            Said::AsksForKey
        } else {
            Said::Nothing
        })
    }

    /// Says that a new key follows, and uses it.
    pub(super) fn change_key(&mut self, answer: &mut Sealed) -> Result<(), Refused> {
        self.seal(HANDSHAKE, &[&[KEY_UPDATE, 0, 0, 1, 0]], answer)?;
        let next = self.secrets.update_tx_secret();
        self.sealer = next_key(next)?;
        Ok(())
    }

    /// Seals one record behind what is there.
    fn seal(&mut self, kind: u8, pieces: &[&[u8]], out: &mut Sealed) -> Result<(), Refused> {
        let carried = pieces.iter().map(|piece| piece.len()).sum();
        let record = out.more(self.sealer.sealed_length(carried));
        self.sealer.seal(kind, pieces, record)
    }

    /// Seals what is to be sent, up to `most` bytes of it: how many there were.
    pub(super) fn send(
        &mut self,
        pieces: &[IoSlice<'_>],
        most: usize,
        out: &mut Sealed,
    ) -> Result<usize, Refused> {
        let (mut taken, mut pieces) = (0, pieces.iter());
        let mut piece: &[u8] = &[];
        loop {
            // Of short pieces several go into one record.
            let (mut gathered, mut count, mut carried) = ([&[][..]; GATHERED], 0, 0);
            while count < GATHERED && carried < LONGEST && taken + carried < most {
                if piece.is_empty() {
                    let Some(next) = pieces.next() else { break };
                    piece = next;
                    continue;
                }
                let length = piece
                    .len()
                    .min(LONGEST - carried)
                    .min(most - taken - carried);
                (gathered[count], piece) = piece.split_at(length);
                (count, carried) = (count + 1, carried + length);
            }
            if count == 0 {
                return Ok(taken);
            }
            if self.sealer.is_worn() {
                // TLS 1.2 has no other key: what is sealed is sent, and then no more.
                if !self.is_13() {
                    return Some(taken)
                        .filter(|taken| *taken > 0)
                        .ok_or(Refused::TooLong);
                }
                self.change_key(out)?;
            }
            self.seal(records::DATA, &gathered[..count], out)?;
            taken += carried;
        }
    }

    /// Says that nothing more will be sent.
    pub(super) fn close(&mut self, out: &mut Sealed) -> Result<(), Refused> {
        self.seal(ALERT, &[&[1, CLOSE_NOTIFY]], out)
    }

    /// Says why what came was refused.
    pub(super) fn complain(&mut self, why: Refused, out: &mut Sealed) -> Result<(), Refused> {
        // RFC 5246 §7.2.2: that one is a warning.
        let level = if why == Refused::NoRenegotiation {
            1
        } else {
            2
        };
        self.seal(ALERT, &[&[level, why as u8]], out)
    }
}

/// The key that follows on another: only TLS 1.3 has one.
fn next_key(next: Result<(u64, ConnectionTrafficSecrets), rustls::Error>) -> Result<Key, Refused> {
    let secrets = next.map_err(|_| Refused::Unexpected)?;
    Key::new(secrets, ProtocolVersion::TLSv1_3).map_err(|_| Refused::Unexpected)
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

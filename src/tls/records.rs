//! Records (RFC 8446 §5, RFC 5246 §6.2 with RFC 5288 and RFC 7905): one key each way.
//!
//! Pure: bytes in, bytes out.

use std::ops::Range;

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};
use rustls::{ConnectionTrafficSecrets, ProtocolVersion};

/// Content types.
pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const DATA: u8 = 23;

/// Bytes of a record's header.
pub(super) const HEADER: usize = 5;
/// Bytes that one record carries at the most.
pub(super) const LONGEST: usize = 1 << 14;
/// Bytes of the body of a record at the most, however it is sealed (RFC 5246 §6.2.3).
pub(super) const MOST: usize = LONGEST + 2048;
/// Bytes of an authentication tag.
const TAG: usize = 16;
/// Bytes of the part of a nonce that stands in a record of TLS 1.2 with AES-GCM.
const EXPLICIT: usize = 8;
/// Records that one key of AES-GCM may seal: RFC 8446 §5.5 has some 24 million of the longest.
const WORN_AFTER: u64 = 1 << 24;

/// Why a record is refused, by the alert that says so (RFC 8446 §6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("a message came that nothing asked for")]
    Unexpected = 10,
    #[error("a record is not what was sent")]
    Damaged = 20,
    #[error("a record is too long")]
    TooLong = 22,
    #[error("a field of a message has a value that it can not have")]
    Illegal = 47,
    #[error("a message is not well-formed")]
    Malformed = 50,
    #[error("a second handshake on one connection is not done")]
    NoRenegotiation = 100,
}

/// How a record is laid out, and its nonce made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// TLS 1.3: the content type is encrypted behind the content.
    V13,
    /// TLS 1.2 with AES-GCM: half of the nonce stands before the content.
    V12Explicit,
    /// TLS 1.2 with ChaCha20-Poly1305.
    V12,
}

/// What is authenticated beside what a record carries.
enum Beside {
    Header([u8; HEADER]),
    Numbered([u8; 8 + HEADER]),
}

impl AsRef<[u8]> for Beside {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Header(bytes) => bytes,
            Self::Numbered(bytes) => bytes,
        }
    }
}

/// The key of one direction.
#[derive(Debug)]
pub(super) struct Key {
    aead: LessSafeKey,
    iv: [u8; NONCE_LEN],
    layout: Layout,
    /// The number of the next record.
    sequence: u64,
    /// Records after which another key is to be used.
    worn_after: u64,
}

/// Why no key could be made: a suite that is not known here, or secrets of another length.
#[derive(Debug, thiserror::Error)]
#[error("the cipher suite is not known")]
pub(super) struct Unknown;

impl Key {
    /// The key of these secrets. `sequence` is the number of the first record that it is used for.
    pub(super) fn new(
        (sequence, secrets): (u64, ConnectionTrafficSecrets),
        version: ProtocolVersion,
    ) -> Result<Self, Unknown> {
        let (algorithm, key, iv, worn_after) = match &secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv, WORN_AFTER),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv, WORN_AFTER),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => {
                (&CHACHA20_POLY1305, key, iv, u64::MAX)
            }
            _ => return Err(Unknown),
        };
        let layout = match version {
            ProtocolVersion::TLSv1_3 => Layout::V13,
            ProtocolVersion::TLSv1_2 if algorithm == &CHACHA20_POLY1305 => Layout::V12,
            ProtocolVersion::TLSv1_2 => Layout::V12Explicit,
            _ => return Err(Unknown),
        };
        Ok(Self {
            aead: LessSafeKey::new(UnboundKey::new(algorithm, key.as_ref()).map_err(|_| Unknown)?),
            iv: iv.as_ref().try_into().map_err(|_| Unknown)?,
            layout,
            sequence,
            worn_after,
        })
    }

    /// Whether another key is to be used for the next record.
    pub(super) fn is_worn(&self) -> bool {
        self.sequence >= self.worn_after
    }

    /// Wears out after so many records.
    #[cfg(test)]
    pub(super) fn wear_after(&mut self, records: u64) {
        self.worn_after = records;
    }

    /// Bytes of a record before what it carries.
    fn before(&self) -> usize {
        HEADER + self.explicit()
    }

    fn explicit(&self) -> usize {
        match self.layout {
            Layout::V12Explicit => EXPLICIT,
            Layout::V13 | Layout::V12 => 0,
        }
    }

    /// Bytes of a record that carries so many.
    pub(super) fn sealed_length(&self, carried: usize) -> usize {
        self.before() + carried + usize::from(self.layout == Layout::V13) + TAG
    }

    /// The nonce of the next record: the sequence number over the initialization vector
    /// (RFC 8446 §5.3; with AES-GCM in TLS 1.2 any number that does not come twice will do).
    fn nonce(&self) -> [u8; NONCE_LEN] {
        let mut nonce = self.iv;
        for (byte, number) in nonce[NONCE_LEN - 8..]
            .iter_mut()
            .zip(self.sequence.to_be_bytes())
        {
            *byte ^= number;
        }
        nonce
    }

    /// What is authenticated beside a record with this header: TLS 1.3 takes that as it is, TLS 1.2
    /// has its number and the length of what it carries.
    fn beside(&self, header: [u8; HEADER], carried: usize) -> Beside {
        if self.layout == Layout::V13 {
            return Beside::Header(header);
        }
        let mut numbered = [0; 8 + HEADER];
        numbered[..8].copy_from_slice(&self.sequence.to_be_bytes());
        numbered[8..].copy_from_slice(&self::header(header[0], carried));
        Beside::Numbered(numbered)
    }

    /// Seals one record. `record` has the length that
    /// [`sealed_length`](Self::sealed_length) says; `pieces` are what it carries, at most
    /// [`LONGEST`] bytes.
    pub(super) fn seal(
        &mut self,
        kind: u8,
        pieces: &[&[u8]],
        record: &mut [u8],
    ) -> Result<(), Refused> {
        let carried: usize = pieces.iter().map(|piece| piece.len()).sum();
        if carried > LONGEST || record.len() != self.sealed_length(carried) {
            return Err(Refused::TooLong);
        }
        let nonce = self.nonce();
        let (before, behind) = record.split_at_mut(self.before());
        let (body, end) = behind.split_at_mut(carried);
        let is_13 = self.layout == Layout::V13;
        let in_header = if is_13 { DATA } else { kind };
        let outer = header(in_header, self.explicit() + carried + end.len());
        before[..HEADER].copy_from_slice(&outer);
        before[HEADER..].copy_from_slice(&nonce[NONCE_LEN - self.explicit()..]);
        let beside = Aad::from(self.beside(outer, carried));
        let kind = [kind];
        let extra = if is_13 { &kind[..] } else { &[] };
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = if let [piece] = pieces {
            self.aead
                .seal_out_of_place_scatter(nonce, beside, piece, body, extra, end)
        } else {
            let mut at = 0;
            for piece in pieces {
                body[at..at + piece.len()].copy_from_slice(piece);
                at += piece.len();
            }
            self.aead
                .seal_in_place_scatter(nonce, beside, body, extra, end)
        };
        // Counted also if it failed: no nonce is used twice.
        self.sequence = self.sequence.checked_add(1).ok_or(Refused::TooLong)?;
        sealed.map_err(|_| Refused::Damaged)
    }

    /// Seals what stands within a record of TLS 1.3, content type and padding as they are given.
    #[cfg(test)]
    pub(super) fn seal_inner(&mut self, inner: &[u8], out: &mut Vec<u8>) {
        assert_eq!(self.layout, Layout::V13);
        let outer = header(DATA, inner.len() + TAG);
        let nonce = Nonce::assume_unique_for_key(self.nonce());
        let mut sealed = inner.to_vec();
        self.aead
            .seal_in_place_append_tag(nonce, Aad::from(outer), &mut sealed)
            .unwrap();
        self.sequence += 1;
        out.extend(outer);
        out.extend(sealed);
    }

    /// How many bytes [`open_into`](Self::open_into) writes for a record of so many.
    pub(super) fn opened_length(&self, record: usize) -> usize {
        record.saturating_sub(self.before() + TAG)
    }

    /// What a record that came is opened with, beside the key: nonce, what is authenticated, and
    /// how many bytes are opened.
    fn for_opening(&self, record: &[u8]) -> Result<(Nonce, Aad<Beside>, usize), Refused> {
        let outer = *record.first_chunk::<HEADER>().ok_or(Refused::Malformed)?;
        if self.layout == Layout::V13 && outer[0] != DATA {
            return Err(Refused::Unexpected);
        }
        let before = self.before();
        let opened = record.len().checked_sub(before + TAG);
        let opened = opened.ok_or(Refused::Damaged)?;
        let mut nonce = self.nonce();
        if self.layout == Layout::V12Explicit {
            nonce[NONCE_LEN - EXPLICIT..].copy_from_slice(&record[HEADER..before]);
        }
        let beside = Aad::from(self.beside(outer, opened));
        Ok((Nonce::assume_unique_for_key(nonce), beside, opened))
    }

    /// Opens one record where it lies, header and all: its content type, and where what it
    /// carries is now.
    pub(super) fn open(&mut self, record: &mut [u8]) -> Result<(u8, Range<usize>), Refused> {
        let (nonce, beside, opened) = self.for_opening(record)?;
        let (kind, before) = (record[0], self.before());
        self.aead
            .open_in_place(nonce, beside, &mut record[before..])
            .map_err(|_| Refused::Damaged)?;
        let (kind, carried) = self.opened(kind, &record[before..before + opened])?;
        Ok((kind, before..before + carried))
    }

    /// The same without a change of the record: its content type, and how many bytes it carries,
    /// which are the first of `out`. That has [`opened_length`](Self::opened_length) bytes.
    pub(super) fn open_into(
        &mut self,
        record: &[u8],
        out: &mut [u8],
    ) -> Result<(u8, usize), Refused> {
        let (nonce, beside, _) = self.for_opening(record)?;
        let (sealed, tag) = record[self.before()..].split_at(out.len());
        self.aead
            .open_separate_gather(nonce, beside, sealed, tag, out)
            .map_err(|_| Refused::Damaged)?;
        self.opened(record[0], out)
    }

    /// What was opened of a record with this type in its header: its content type, and how many
    /// bytes it carries.
    fn opened(&mut self, kind: u8, inner: &[u8]) -> Result<(u8, usize), Refused> {
        self.sequence = self.sequence.checked_add(1).ok_or(Refused::TooLong)?;
        if self.layout != Layout::V13 {
            return (inner.len() <= LONGEST)
                .then_some((kind, inner.len()))
                .ok_or(Refused::TooLong);
        }
        // The content type is the last byte that is not padding (RFC 8446 §5.4).
        if inner.len() > LONGEST + 1 {
            return Err(Refused::TooLong);
        }
        let end = inner.iter().rposition(|byte| *byte != 0);
        let end = end.ok_or(Refused::Unexpected)?;
        Ok((inner[end], end))
    }

    /// How long the first record is, header and all, if it is there as a whole.
    pub(super) fn whole(&self, bytes: &[u8]) -> Result<Option<usize>, Refused> {
        let most = match self.layout {
            Layout::V13 => LONGEST + 256,
            Layout::V12Explicit | Layout::V12 => MOST,
        };
        whole(bytes, most)
    }
}

/// How long the first record is, header and all, if it is there as a whole; its body has `most`
/// bytes at the most.
pub(super) fn whole(bytes: &[u8], most: usize) -> Result<Option<usize>, Refused> {
    let Some(&[kind, major, _, high, low]) = bytes.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    if !(CHANGE_CIPHER_SPEC..=DATA).contains(&kind) || major != 3 {
        return Err(Refused::Malformed);
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > most {
        return Err(Refused::TooLong);
    }
    Ok(Some(HEADER + length).filter(|whole| *whole <= bytes.len()))
}

/// The header of a record whose body has so many bytes: at most 2¹⁴ and some hundred, which fit.
fn header(kind: u8, length: usize) -> [u8; HEADER] {
    let [.., high, low] = length.to_be_bytes();
    [kind, 3, 3, high, low]
}

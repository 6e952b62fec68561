//! Chunked bodies (RFC 9112 §7.1), read as strictly as can be: of two readings of one the sender
//! may have meant the other.

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Broken;

/// Bytes of all extensions of a body, which nobody looks at.
const EXTENSIONS: usize = 16 << 10;
/// Bytes of its trailers.
const TRAILERS: usize = 16 << 10;
/// How many those may be.
const FIELDS: usize = 100;

/// Where a chunked body is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunks {
    state: State,
    /// Bytes of extensions, and blanks before them, that it may still have.
    extensions: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// In the size of a chunk, of which so many digits came.
    Size {
        size: u64,
        digits: u8,
    },
    /// Behind it, where some write blanks.
    Blanks {
        size: u64,
    },
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    Trailers(Vec<u8>),
    Over,
}

/// What comes next of a body.
#[derive(Debug)]
pub(crate) enum Next {
    Data(Bytes),
    Trailers(HeaderMap),
    /// More has to be read.
    More,
    End,
}

impl Chunks {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Size { size: 0, digits: 0 },
            extensions: EXTENSIONS,
        }
    }

    /// Whether the end was read.
    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Takes what comes next off the front of what was read.
    pub(crate) fn next(&mut self, ahead: &mut Bytes) -> Result<Next, Broken> {
        loop {
            match &mut self.state {
                State::Over => return Ok(Next::End),
                State::Data { left } if !ahead.is_empty() => {
                    let most = usize::try_from(*left).unwrap_or(usize::MAX);
                    let data = ahead.split_to(ahead.len().min(most));
                    *left -= data.len() as u64;
                    if *left == 0 {
                        self.state = State::DataCr;
                    }
                    return Ok(Next::Data(data));
                }
                State::Trailers(seen) => match trailers(seen, ahead)? {
                    None => return Ok(Next::More),
                    Some(fields) => {
                        self.state = State::Over;
                        if !fields.is_empty() {
                            return Ok(Next::Trailers(fields));
                        }
                    }
                },
                _ if ahead.is_empty() => return Ok(Next::More),
                _ => {
                    let byte = ahead.get_u8();
                    self.frame(byte)?;
                }
            }
        }
    }

    /// Whether nothing follows but the end. Looks at what was read, so that who has the last
    /// bytes of data knows that they are the last. An error stays for who asks for more.
    pub(crate) fn look_for_end(&mut self, ahead: &mut Bytes) {
        const END: &[u8] = b"\r\n0\r\n\r\n";
        if self.state == State::DataCr && ahead.starts_with(END) {
            ahead.advance(END.len());
            self.state = State::Over;
        }
    }

    /// A byte behind a size that means nothing.
    fn spend(&mut self) -> Result<(), Broken> {
        let left = self.extensions.checked_sub(1);
        self.extensions = left.ok_or(Broken::Chunks("its extensions are too long"))?;
        Ok(())
    }

    /// A byte that is neither data nor of a trailer.
    fn frame(&mut self, byte: u8) -> Result<(), Broken> {
        self.state = match (&self.state, byte) {
            (&State::Size { size, digits }, _) => match char::from(byte).to_digit(16) {
                Some(_) if digits == 16 => return Err(Broken::Chunks("a size is too large")),
                Some(digit) => State::Size {
                    size: size << 4 | u64::from(digit),
                    digits: digits + 1,
                },
                None if digits == 0 => return Err(Broken::Chunks("a size is missing")),
                None => behind_size(size, byte)?,
            },
            (&State::Blanks { size }, _) => {
                self.spend()?;
                behind_size(size, byte)?
            }
            (&State::Extension { size }, b'\r') => State::SizeLf { size },
            (State::Extension { .. }, b'\n') => {
                return Err(Broken::Chunks("an extension has a line feed"));
            }
            (&State::Extension { size }, _) => {
                self.spend()?;
                State::Extension { size }
            }
            (State::SizeLf { size: 0 }, b'\n') => State::Trailers(Vec::new()),
            (&State::SizeLf { size }, b'\n') => State::Data { left: size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { size: 0, digits: 0 },
            (State::SizeLf { .. }, _) => return Err(Broken::Chunks("a size has no end of line")),
            _ => return Err(Broken::Chunks("a chunk is longer than its size")),
        };
        Ok(())
    }
}

/// A byte behind a size.
fn behind_size(size: u64, byte: u8) -> Result<State, Broken> {
    match byte {
        b' ' | b'\t' => Ok(State::Blanks { size }),
        b';' => Ok(State::Extension { size }),
        b'\r' => Ok(State::SizeLf { size }),
        _ => Err(Broken::Chunks("a size is no hexadecimal number")),
    }
}

/// Takes the trailer section. `None`: it has not come to its end.
fn trailers(seen: &mut Vec<u8>, ahead: &mut Bytes) -> Result<Option<HeaderMap>, Broken> {
    while !ahead.is_empty() {
        // Line by line, so that nothing behind the end is taken.
        let line = memchr::memchr(b'\n', ahead).map_or(ahead.len(), |end| end + 1);
        seen.extend_from_slice(&ahead.split_to(line));
        if seen.len() > TRAILERS {
            return Err(Broken::Chunks("its trailers are too long"));
        }
        // Some take a line feed alone for the end of a line (RFC 9112 §2.2), others do not.
        if seen.ends_with(b"\n") && !seen.ends_with(b"\r\n") {
            return Err(malformed());
        }
        if seen == b"\r\n" || seen.ends_with(b"\r\n\r\n") {
            return parse(seen).map(Some);
        }
    }
    Ok(None)
}

fn malformed() -> Broken {
    Broken::Chunks("a trailer is malformed")
}

fn parse(section: &[u8]) -> Result<HeaderMap, Broken> {
    let mut lines = [httparse::EMPTY_HEADER; FIELDS];
    let (length, lines) = match httparse::parse_headers(section, &mut lines) {
        Ok(httparse::Status::Complete(parsed)) => parsed,
        Ok(httparse::Status::Partial) | Err(_) => return Err(malformed()),
    };
    // It may have ended before, by another reading of line ends.
    if length != section.len() {
        return Err(malformed());
    }
    let mut fields = HeaderMap::new();
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| malformed())?;
        let value = HeaderValue::from_bytes(line.value).map_err(|_| malformed())?;
        fields.append(name, value);
    }
    Ok(fields)
}

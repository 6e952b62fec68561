//! Finds tokens in any bytes: by their form and their checksum, without asking anyone.

use super::format::{LENGTH, parse};
use super::{Level, Parsed};

/// A token that stands somewhere it should not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its public id.
    pub id: String,
    /// What it is for.
    pub level: Level,
    /// From 1.
    pub line: u64,
    /// Byte in the line, from 1.
    pub column: u64,
}

/// Looks through bytes that come in pieces.
///
/// What stands right before and after does not matter: a token is found in `Bearer%20pls_…` too.
/// By chance the checksum of other text fits once in 57 thousand million times.
#[derive(Debug)]
pub struct Scanner {
    /// The end of what came, where a token may have begun.
    rest: Vec<u8>,
    line: u64,
    column: u64,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            rest: Vec::new(),
            line: 1,
            column: 1,
        }
    }
}

impl Scanner {
    /// Takes the next piece and tells what it completes.
    pub fn feed(&mut self, piece: &[u8], mut found: impl FnMut(Hit)) {
        let kept = std::mem::take(&mut self.rest);
        let whole: Vec<u8>;
        let bytes = if kept.is_empty() {
            piece
        } else {
            whole = [kept.as_slice(), piece].concat();
            &whole
        };
        let mut passed = 0;
        for at in memchr::memmem::find_iter(bytes, b"pl") {
            let Some(candidate) = bytes.get(at..at + LENGTH) else {
                break;
            };
            let text = std::str::from_utf8(candidate).unwrap_or_default();
            if let Ok(Parsed { level, id }) = parse(text) {
                self.pass(&bytes[passed..at]);
                passed = at;
                found(Hit {
                    id: id.to_owned(),
                    level,
                    line: self.line,
                    column: self.column,
                });
            }
        }
        let keep = bytes.len().saturating_sub(LENGTH - 1).max(passed);
        // A token that was told is not told again.
        let keep = if keep == passed && passed > 0 {
            (passed + 1).min(bytes.len())
        } else {
            keep
        };
        self.pass(&bytes[passed..keep]);
        self.rest = bytes[keep..].to_vec();
    }

    /// Counts lines.
    fn pass(&mut self, bytes: &[u8]) {
        let lines = memchr::memchr_iter(b'\n', bytes).count() as u64;
        self.line += lines;
        self.column = match memchr::memrchr(b'\n', bytes) {
            Some(last) => (bytes.len() - last) as u64,
            None => self.column + bytes.len() as u64,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::generate_from_system;
    use super::*;

    /// What is found when the bytes come in pieces of this size.
    fn scan(bytes: &[u8], piece: usize) -> Vec<(String, u64, u64)> {
        let mut scanner = Scanner::default();
        let mut hits = Vec::new();
        for piece in bytes.chunks(piece) {
            scanner.feed(piece, |hit| hits.push((hit.id, hit.line, hit.column)));
        }
        hits
    }

    #[test]
    fn lines_and_columns() {
        let token = generate_from_system(Level::Service).unwrap();
        let text = format!("a\nkey = \"{0}\"\n\nBearer%20{0}{0}x", token.expose());
        let id = token.id().to_owned();
        let expected = [(id.clone(), 2, 8), (id.clone(), 4, 10), (id, 4, 60)];
        for piece in [1, 7, 49, 50, 51, 1000] {
            assert_eq!(scan(text.as_bytes(), piece), expected, "{piece}");
        }
    }

    proptest! {
        #[test]
        fn every_token_is_found_and_nothing_else(
            parts in proptest::collection::vec(("\\PC{0,80}", 0..3_usize, any::<bool>()), 0..20),
            piece in 1..200_usize,
        ) {
            let mut text = String::new();
            let mut expected = Vec::new();
            for (between, level, there) in &parts {
                text.push_str(between);
                if *there {
                    let token = generate_from_system(Level::ALL[*level]).unwrap();
                    expected.push(token.id().to_owned());
                    text.push_str(token.expose());
                }
            }
            let found: Vec<String> = scan(text.as_bytes(), piece).into_iter().map(|hit| hit.0).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn look_alikes_are_none(bodies in proptest::collection::vec("pl[sua]_[0-9A-Za-z]{46}", 200)) {
            prop_assert_eq!(scan(bodies.join(" ").as_bytes(), 4096), vec![]);
        }
    }

    /// A million random strings of the digits that tokens are made of, as long as tokens.
    #[test]
    fn a_million_random_strings_hold_none() {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut scanner = Scanner::default();
        let mut line = Vec::with_capacity(64);
        for _ in 0..1_000_000 {
            line.clear();
            line.extend_from_slice(b"pls_");
            while line.len() < LENGTH {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                line.push(DIGITS[usize::try_from(state % 62).unwrap()]);
            }
            line.push(b'\n');
            scanner.feed(&line, |hit| {
                panic!("{hit:?} in {}", String::from_utf8_lossy(&line))
            });
        }
    }
}

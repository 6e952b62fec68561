//! A token file in blocks of lines, so that a file in which one line changed is not read again as
//! a whole.
//!
//! Where a block ends is decided by the lines themselves, and not by their number or place: a line
//! that comes or goes changes the block that it stands in, and all others stay what they are.

use std::ops::Range;

use super::super::{Fingerprint, TokenRecord};
use super::line::Reader;
use super::{BOM, MAX_LINE, lines};

/// One in so many lines ends a block: a small part is read again after a change, and what is
/// remembered of a block is little beside its tokens.
const LINES: u64 = 64;
/// Bytes after which a block ends with its line, if no line ends it before.
const LARGEST: usize = 64 << 10;

/// A block of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Of its bytes: equal blocks say the same, in whatever file and at whatever place.
    pub digest: Fingerprint,
    /// Where its bytes are.
    pub range: Range<usize>,
}

/// Cuts a file. The blocks have every byte but those of a byte order mark at the start, which is
/// none of the first line: elsewhere it would be a fault.
pub fn cut(bytes: &[u8]) -> Vec<Cut> {
    let mut mark = [0; 4];
    let mark = BOM.encode_utf8(&mut mark).as_bytes();
    let mut start = if bytes.starts_with(mark) {
        mark.len()
    } else {
        0
    };
    let mut line = start;
    let mut cuts = Vec::with_capacity(bytes.len() / 8192 + 1);
    let mut end_block = |start: usize, end: usize| {
        cuts.push(Cut {
            digest: Fingerprint::of(&bytes[start..end]),
            range: start..end,
        });
    };
    let body = start;
    for newline in memchr::memchr_iter(b'\n', &bytes[body..]) {
        let end = body + newline + 1;
        if ends_block(&bytes[line..end]) || end - start >= LARGEST {
            end_block(start, end);
            start = end;
        }
        line = end;
    }
    if start < bytes.len() {
        end_block(start, bytes.len());
    }
    cuts
}

/// Whether a line is the last one of its block. All of it counts, since lines may well begin and
/// end alike. Nothing depends on how good this is but the size of the blocks.
fn ends_block(line: &[u8]) -> bool {
    let (words, rest) = line.as_chunks::<8>();
    let mut mixed = rest
        .iter()
        .fold(0_u64, |mixed, byte| mixed << 8 | u64::from(*byte));
    for word in words {
        mixed =
            (mixed.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    (mixed >> 32).is_multiple_of(LINES)
}

/// Reads blocks that may be of one file or of several.
#[derive(Debug, Default)]
pub struct Blocks<'a>(Reader<'a>);

impl<'a> Blocks<'a> {
    /// Gives every record of a block. Whether nothing in it is wrong; what is can be told by
    /// [`parse_file`](super::parse_file) only, which knows the number of a line and what else
    /// there is.
    pub fn read(&mut self, block: &'a [u8], mut each: impl FnMut(TokenRecord)) -> bool {
        let Ok(text) = std::str::from_utf8(block) else {
            return false;
        };
        for (_, _, line) in lines(text) {
            match self.0.read(line) {
                Ok(record) if line.len() <= MAX_LINE => each(record),
                _ => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(lines: usize) -> String {
        let lines = (0..lines).map(|line| format!("{{\"id\":\"t{line}\",\"note\":\"the same\"}}"));
        lines.collect::<Vec<_>>().join("\n") + "\n"
    }

    #[test]
    fn a_line_changes_one_block() {
        let before = text(10_000);
        let cuts = cut(before.as_bytes());
        assert!((80..320).contains(&cuts.len()), "{} blocks", cuts.len());
        let after = before.replace("t5000\"", "t5000x\"");
        assert_ne!(before, after);
        let changed = cut(after.as_bytes());
        let new = changed
            .iter()
            .filter(|block| !cuts.iter().any(|old| old.digest == block.digest));
        // The line may have ended a block, or may do so now.
        assert!((1..=2).contains(&new.count()));
    }

    #[test]
    fn equal_lines_do_not_make_one_block() {
        let cuts = cut("# the same\n".repeat(100_000).as_bytes());
        assert!(cuts.iter().all(|block| block.range.len() < LARGEST + 64));
    }

    #[test]
    fn a_mark_is_no_part_of_a_block() {
        let (with, without) = (cut("\u{feff}a\nb".as_bytes()), cut(b"a\nb"));
        assert_eq!(with.len(), without.len());
        for (one, two) in with.iter().zip(&without) {
            assert_eq!(one.digest, two.digest);
        }
        assert_eq!(cut("\u{feff}".as_bytes()), []);
        assert_eq!(cut(b""), []);
    }

    proptest! {
        #[test]
        fn blocks_are_whole_lines_and_miss_nothing(bytes in proptest::collection::vec(
            prop_oneof![Just(b'\n'), Just(b'a'), any::<u8>()], 0..3000,
        )) {
            let cuts = cut(&bytes);
            let mark = if bytes.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
            let joined: Vec<u8> = cuts.iter().flat_map(|block| &bytes[block.range.clone()]).copied().collect();
            prop_assert_eq!(&joined[..], &bytes[mark..]);
            for block in cuts.iter().rev().skip(1) {
                prop_assert_eq!(bytes[block.range.end - 1], b'\n');
            }
        }
    }
}

//! What the codecs are tried with, by tests and by the fuzzer.

use tokio::runtime::{Builder, Runtime};
use tokio::task::{LocalSet, yield_now};

thread_local! {
    /// Kept, since to make one costs more than most of what it runs.
    static RUNTIME: Runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread");
}

/// Runs this on a runtime like a worker's, and drops what it leaves behind.
pub(crate) fn run<T>(this: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| LocalSet::new().block_on(runtime, this))
}

/// Lets everything happen that can happen by now: each turn looks at all sockets, and runs what
/// they woke.
pub(crate) async fn settle() {
    for _ in 0..16 {
        yield_now().await;
    }
}

/// Bytes in pieces, none of them empty.
pub(crate) fn pieces(bytes: &[u8], mut cuts: Vec<usize>) -> Vec<&[u8]> {
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut rest = 0;
    for cut in cuts {
        pieces.push(&bytes[rest..cut]);
        rest = cut;
    }
    pieces.push(&bytes[rest..]);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Bytes of a message of which each is a piece of its own, where all are to be.
pub(crate) const ONE_BY_ONE: usize = 300;

/// What the fuzzer made: a message, how it is cut, and five bits for whatever else is to be chosen.
#[derive(Debug)]
pub(crate) struct Made<'m> {
    pub(crate) bytes: &'m [u8],
    pub(crate) pieces: Vec<&'m [u8]>,
    pub(crate) choice: u8,
}

impl<'m> Made<'m> {
    /// The choices stand behind the message, so that a message is a message from its first byte:
    /// two bytes for each cut, and one for their number and the rest.
    pub(crate) fn read(made: &'m [u8]) -> Self {
        let (last, mut bytes) = made
            .split_last()
            .map_or((0, made), |(last, rest)| (*last, rest));
        let mut cuts = Vec::new();
        match last & 7 {
            7 => cuts.extend(0..bytes.len().min(ONE_BY_ONE)),
            count => {
                for _ in 0..count {
                    let Some((rest, cut)) = bytes.split_last_chunk::<2>() else {
                        break;
                    };
                    bytes = rest;
                    cuts.push(usize::from(u16::from_le_bytes(*cut)));
                }
            }
        }
        for cut in &mut cuts {
            *cut %= bytes.len() + 1;
        }
        Self {
            bytes,
            pieces: pieces(bytes, cuts),
            choice: last >> 3,
        }
    }
}

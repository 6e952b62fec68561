//! Lines on their way to a stream that somebody else reads.
//!
//! Whoever has a line hands it over; one thread writes. When the reader does not read, lines are
//! dropped and counted: a full pipe must not stop the gateway.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Lines that may wait to be written.
const WAITING: usize = 16 << 10;
/// Bytes that are written in one call.
const BATCH: usize = 64 << 10;
/// How long lines gather. At 50,000 a second these are a hundred.
const PAUSE: Duration = Duration::from_millis(2);

/// Where lines are handed over. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lines {
    queue: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

enum Item {
    Text(Vec<u8>),
    /// Answered when all before it has been written.
    Flush(SyncSender<()>),
}

impl Lines {
    /// Starts the thread that writes.
    pub fn start(name: &str, out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (queue, waiting) = sync_channel(WAITING);
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread.spawn(move || write(&waiting, out))?;
        Ok(Self {
            queue,
            dropped: Arc::default(),
        })
    }

    /// Lines that nobody wants.
    pub fn nowhere() -> Self {
        let (queue, _) = sync_channel(0);
        Self {
            queue,
            dropped: Arc::default(),
        }
    }

    /// Hands a line over, with its newline.
    pub fn send(&self, line: Vec<u8>) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Item::Text(line)) {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Lines that were dropped because nobody read.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Waits until what was handed over so far has been written, no longer than `patience`.
    pub fn flush(&self, patience: Duration) {
        let (written, done) = sync_channel(1);
        if self.queue.try_send(Item::Flush(written)).is_ok() {
            let _ = done.recv_timeout(patience);
        }
    }
}

/// A line is what is written in one call: so does `tracing-subscriber`.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.send(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes what has gathered. Where nothing had, it waits a little before it looks: woken for each
/// line, this thread would take more of a processor than the requests that they are about.
fn write(waiting: &Receiver<Item>, mut out: impl Write) {
    let mut buffer = Vec::new();
    while let Ok(first) = waiting.recv() {
        if matches!(first, Item::Text(_)) {
            std::thread::sleep(PAUSE);
        }
        let mut next = Some(first);
        while next.is_some() {
            next = write_batch(next, waiting, &mut buffer, &mut out);
        }
    }
}

/// Writes what is there in one call. Gives what comes next, if that is there too.
fn write_batch(
    mut next: Option<Item>,
    waiting: &Receiver<Item>,
    buffer: &mut Vec<u8>,
    out: &mut impl Write,
) -> Option<Item> {
    let mut flushed = Vec::new();
    while let Some(item) = next.take_if(|_| buffer.len() < BATCH) {
        match item {
            Item::Text(text) => buffer.extend_from_slice(&text),
            Item::Flush(done) => flushed.push(done),
        }
        next = waiting.try_recv().ok();
    }
    // When nobody reads any more, nothing can be done about it here.
    let _ = out.write_all(buffer).and_then(|()| out.flush());
    buffer.clear();
    for done in flushed {
        let _ = done.try_send(());
    }
    next
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    /// Takes nothing until it is let go.
    struct Stuck(Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Stuck {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Notes what is written in each call.
    struct Noted(mpsc::Sender<Vec<u8>>);

    impl Write for Noted {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.send(text.to_vec());
            Ok(text.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_there_is_written_in_few_calls_and_in_order() {
        let line = |number: u32| format!("{number:063}\n").into_bytes();
        let (queue, waiting) = sync_channel(WAITING);
        let (done, written) = sync_channel(1);
        let count = 3 * u32::try_from(BATCH / 64).unwrap() + 5;
        for number in 0..count {
            queue.send(Item::Text(line(number))).unwrap();
        }
        queue.send(Item::Flush(done)).unwrap();
        queue.send(Item::Text(line(count))).unwrap();
        drop(queue);
        let (noted, calls) = mpsc::channel();
        write(&waiting, Noted(noted));
        written.try_recv().unwrap();
        let calls: Vec<Vec<u8>> = calls.iter().collect();
        let lengths: Vec<usize> = calls.iter().map(Vec::len).collect();
        assert_eq!(lengths, [BATCH, BATCH, BATCH, 6 * 64]);
        let all: Vec<u8> = (0..=count).flat_map(line).collect();
        assert!(calls.concat() == all);
    }

    #[test]
    fn a_reader_that_does_not_read_holds_nobody_up() {
        let (let_go, stuck) = mpsc::channel();
        let written = Arc::default();
        let lines = Lines::start("test", Stuck(stuck, Arc::clone(&written))).unwrap();
        for _ in 0..3 * WAITING {
            lines.send(b"line\n".to_vec());
        }
        assert!(lines.dropped() > 0);
        drop(let_go);
        let all = 3 * WAITING as u64;
        let told = || written.lock().unwrap().len() as u64 / 5 + lines.dropped();
        // A queue that is full takes no request to be told either.
        for _ in 0..1_000_000 {
            lines.flush(Duration::from_secs(20));
            if told() == all {
                return;
            }
        }
        panic!("{} of {all} lines are written or counted", told());
    }
}

//! Of which size the pages of memory are.
//!
//! A process that holds little wants small ones: of large ones (2 MiB) it would hold a dozen that
//! are hardly used. One that looks through a table of hundreds of MiB wants large ones: with small
//! ones each look misses the processor's cache of addresses too, which on a virtual machine takes
//! longer than the memory.

use std::ffi::c_int;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::advice::advise;

/// Whether large ones are wanted.
static LARGE: AtomicBool = AtomicBool::new(false);

/// `MADV_HUGEPAGE` of Linux.
const ALSO_LARGE: c_int = 14;
/// `MADV_NOHUGEPAGE`.
const SMALL: c_int = 15;
/// `MADV_COLLAPSE` of Linux 6.1.
const COLLAPSE: c_int = 25;
/// From so much on it was work.
const WORK: Duration = Duration::from_micros(20);
/// Bytes of a large page.
const SIZE: usize = 2 << 20;

/// Asks the system for small pages in what mimalloc has reserved and gives out now.
///
/// # Errors
///
/// Of `/proc`, and of `madvise(2)`.
pub fn prefer_small_pages() -> io::Result<()> {
    advise_all(SMALL)
}

/// From now on large pages are made when they are [gathered](gather_large_pages), where the system
/// has them. Not before: to take them one by one may take longer than all that is put into them.
pub fn want_large_pages() {
    LARGE.store(true, Relaxed);
}

/// Makes large pages of small ones where they are [wanted](want_large_pages); also again, since a
/// part of one that is given back to the system leaves the rest of it small. May take a second for
/// half a GiB, of which others can have their share: `pause` is told how long each page took. A
/// page that can not be made stays as it is.
///
/// # Errors
///
/// Of `/proc`, and where the system has no large pages.
pub fn gather_large_pages(pause: impl Fn(Duration)) -> io::Result<()> {
    if !LARGE.load(Relaxed) {
        return Ok(());
    }
    advise_all(ALSO_LARGE)?;
    // One by one: the system gives up at the first that it can not make, and where nothing was ever
    // written there is none.
    with_all(|start, length| {
        for page in (start.next_multiple_of(SIZE)..start + length).step_by(SIZE) {
            let begun = Instant::now();
            // SAFETY: what is read there stays what it was.
            #[expect(unsafe_code, reason = "only pages of another size")]
            let _ = unsafe { advise(page, SIZE, COLLAPSE) };
            // Where nothing is to be done it takes a microsecond.
            let took = begun.elapsed();
            if took > WORK {
                pause(took);
            }
        }
        Ok(())
    })
}

/// Calls `madvise(2)` for all that mimalloc has reserved and gives out now.
fn advise_all(advice: c_int) -> io::Result<()> {
    with_all(|start, length| {
        // SAFETY: what is read there stays what it was.
        #[expect(unsafe_code, reason = "only pages of another size")]
        unsafe {
            advise(start, length, advice)
        }
    })
}

/// Does something to all that mimalloc has reserved and gives out now.
fn with_all(act: impl FnOnce(usize, usize) -> io::Result<()>) -> io::Result<()> {
    if cfg!(not(target_os = "linux")) {
        return Ok(());
    }
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    // Of what it gives out at this moment.
    let block = Box::new([0_u8; 256]);
    let address = std::ptr::from_ref(&*block).addr();
    let Some((start, length)) = maps.lines().find_map(|line| around(line, address)) else {
        return Ok(());
    };
    act(start, length)
}

/// Where a line of `/proc/PID/maps` is about memory without a file that has `address` in it: start
/// and length in bytes.
fn around(line: &str, address: usize) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (range, access) = (fields.next()?, fields.next()?);
    // Where the system keeps names, mimalloc gives one.
    let named = |name: &str| name.starts_with("[anon:");
    let is_anonymous = fields.nth(2)? == "0" && fields.next().is_none_or(named);
    let (start, end) = range.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    let is_it = access == "rw-p" && is_anonymous && (start..end).contains(&address);
    is_it.then(|| (start, end - start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_memory_without_a_file_is_meant() {
        let it = Some((0x1000, 0x2000));
        for (line, address, expected) in [
            ("1000-3000 rw-p 00000000 00:00 0 ", 0x1000, it),
            ("1000-3000 rw-p 00000000 00:00 0", 0x2fff, it),
            ("1000-3000 rw-p 00000000 00:00 0", 0x3000, None),
            ("1000-3000 rw-p 00000000 00:00 0", 0xfff, None),
            ("1000-3000 r--p 00000000 00:00 0", 0x1000, None),
            ("1000-3000 rw-s 00000000 00:00 0", 0x1000, None),
            ("1000-3000 rw-p 00000000 fe:00 1008   /a", 0x1000, None),
            ("1000-3000 rw-p 00000000 00:00 0   [heap]", 0x1000, None),
            (
                "1000-3000 rw-p 00000000 00:00 0   [anon:mimalloc]",
                0x1000,
                it,
            ),
            ("3000-1000 rw-p 00000000 00:00 0", 0x2000, None),
            ("", 0, None),
        ] {
            assert_eq!(around(line, address), expected, "{line}");
        }
    }

    /// What the system says of the mapping that holds `address`.
    #[cfg(target_os = "linux")]
    fn told(address: usize, field: &str) -> String {
        let all = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut lines = all.lines();
        lines.find(|line| around(line, address).is_some()).unwrap();
        let line = lines.find_map(|line| line.strip_prefix(field));
        line.unwrap().to_owned()
    }

    /// One test, since the wish is one for all threads.
    #[test]
    #[cfg(target_os = "linux")]
    fn pages_are_as_large_as_is_wanted() {
        #[global_allocator]
        static HEAP: crate::Heap = crate::Heap;

        let block = vec![7_u8; 24 << 20];
        let address = block.as_ptr().addr();
        let has_them = std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists();
        assert_eq!(prefer_small_pages().is_ok(), has_them);
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut release = release
            .split('.')
            .map(|part| part.parse::<u32>().unwrap_or(0));
        let gathers = (release.next(), release.next()) >= (Some(6), Some(1));
        gather_large_pages(|_| {}).unwrap();
        if has_them {
            assert!(
                told(address, "VmFlags:").contains(" nh"),
                "nobody wants any"
            );
        }
        want_large_pages();
        assert_eq!(gather_large_pages(|_| {}).is_ok(), has_them);
        if has_them {
            assert!(told(address, "VmFlags:").contains(" hg"));
        }
        if has_them && gathers {
            let large = told(address, "AnonHugePages:");
            let kib = large
                .trim()
                .trim_end_matches(" kB")
                .parse::<usize>()
                .unwrap();
            assert!(kib << 10 >= block.len() / 2, "{kib} KiB");
        }
        assert!(block.iter().all(|byte| *byte == 7));
        LARGE.store(false, Relaxed);
        let _ = prefer_small_pages();
    }
}

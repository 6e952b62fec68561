//! The allocator, when memory that is let go of returns to the system, and how memory is copied.
//! And code that has been run and will hardly be again.
//!
//! A crate of its own, since plugway itself forbids `unsafe`: an allocator is nothing else, and an
//! option of mimalloc can only be set by a foreign function.

mod advice;
mod code;
#[cfg(all(
    target_arch = "x86_64",
    target_os = "linux",
    target_env = "gnu",
    not(fuzzing)
))]
mod copies;
mod pages;

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{c_long, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};

use libmimalloc_sys::{
    mi_collect, mi_free, mi_malloc, mi_malloc_aligned, mi_option_get, mi_option_set, mi_option_t,
    mi_realloc, mi_realloc_aligned, mi_zalloc, mi_zalloc_aligned,
};

pub use code::let_go_of_code;
pub use pages::{gather_large_pages, prefer_small_pages, want_large_pages};

/// mimalloc for all that is allocated. What its crate offers asks for an alignment each time, which
/// takes longer and is hardly ever needed: a request allocates dozens of times, and nearly always
/// what no pointer is more than aligned for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heap;

/// What mimalloc gives without being asked (`MI_INTPTR_SIZE`): its smallest block has that size, and
/// all others are multiples of it.
const ALIGNED: usize = size_of::<usize>();

#[expect(unsafe_code, reason = "an allocator is unsafe to write")]
// SAFETY: memory of mimalloc is given out as it comes, aligned as `Layout` says; its functions do
// not unwind, and take back or resize what any of them gave.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: any size may be asked for; an alignment is a power of two.
        unsafe {
            if align <= ALIGNED {
                mi_malloc(size).cast()
            } else {
                mi_malloc_aligned(size, align).cast()
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as above.
        unsafe {
            if align <= ALIGNED {
                mi_zalloc(size).cast()
            } else {
                mi_zalloc_aligned(size, align).cast()
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller says that it came from here.
        unsafe { mi_free(block.cast::<c_void>()) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (block, align) = (block.cast::<c_void>(), layout.align());
        // SAFETY: as above, and with the alignment that it had.
        unsafe {
            if align <= ALIGNED {
                mi_realloc(block, size).cast()
            } else {
                mi_realloc_aligned(block, size, align).cast()
            }
        }
    }
}

/// Gives memory back to the system that this thread has let go of. It is kept for what the thread will
/// ask for next, and returns only when the thread asks: one that waits keeps it.
#[expect(unsafe_code, reason = "a foreign function")]
pub fn let_go_of_free() {
    // SAFETY: mimalloc allows it at any time, from any thread, for what this thread has.
    unsafe { mi_collect(true) }
}

/// `mi_option_purge_delay` of mimalloc 2: milliseconds for which free pages are kept; 0: none.
const PURGE_DELAY: mi_option_t = 15;

/// How many want it, and what the option was before.
static WANTED: Mutex<(usize, c_long)> = Mutex::new((0, 0));

/// As long as one of these lives, memory that is let go of by whatever thread returns to the system
/// at once. It costs a system call for each page, and is for work that takes much memory for a short
/// time: what one step lets go of is not there beside what the next one takes.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct AtOnce(());

impl AtOnce {
    /// From now on.
    pub fn begin() -> Self {
        let mut wanted = wanted();
        if wanted.0 == 0 {
            *wanted = (0, get());
            set(0);
        }
        wanted.0 += 1;
        Self(())
    }
}

impl Drop for AtOnce {
    fn drop(&mut self) {
        let mut wanted = wanted();
        wanted.0 -= 1;
        if wanted.0 == 0 {
            set(wanted.1);
        }
    }
}

fn wanted() -> MutexGuard<'static, (usize, c_long)> {
    WANTED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(unsafe_code, reason = "a foreign function")]
fn get() -> c_long {
    // SAFETY: mimalloc allows it at any time, from any thread, for any index below its last.
    unsafe { mi_option_get(PURGE_DELAY) }
}

#[expect(unsafe_code, reason = "a foreign function")]
fn set(milliseconds: c_long) {
    // SAFETY: as above; each thread reads the value when it lets go of a page.
    unsafe { mi_option_set(PURGE_DELAY, milliseconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes and alignments of every kind, zeroed and resized ones too.
    #[test]
    #[expect(unsafe_code, reason = "what an allocator is asked by")]
    fn what_is_given_is_aligned_and_keeps_its_bytes() {
        for align in (0..=12).map(|power| 1 << power) {
            for size in (1..200).chain([1 << 10, (1 << 16) + 1, 3 << 20]) {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: sizes are not null, and each block is used within its size and freed once.
                unsafe {
                    let zeroed = Heap.alloc_zeroed(layout);
                    assert!(
                        std::slice::from_raw_parts(zeroed, size)
                            .iter()
                            .all(|byte| *byte == 0)
                    );
                    let block = Heap.alloc(layout);
                    std::ptr::write_bytes(block, 7, size);
                    let larger = Heap.realloc(block, layout, size * 2);
                    assert!(
                        std::slice::from_raw_parts(larger, size)
                            .iter()
                            .all(|byte| *byte == 7)
                    );
                    for given in [zeroed, larger] {
                        assert_eq!(given.addr() % align, 0, "{size} bytes, aligned to {align}");
                    }
                    Heap.dealloc(zeroed, layout);
                    Heap.dealloc(larger, Layout::from_size_align(size * 2, align).unwrap());
                }
            }
        }
    }

    /// Lengths around each piece, at places of every kind.
    #[test]
    fn what_is_copied_is_what_was_there() {
        let from: Vec<u8> = (0..20_000_u32)
            .map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1])
            .collect();
        let around = |end: usize| end.saturating_sub(3)..end + 4;
        for length in (0..70).chain((1..=6).flat_map(|pieces| around(pieces * 2048))) {
            for (at, shift) in [(0, 0), (0, 5), (5, 0), (63, 1), (1, 4096)] {
                let mut to = vec![0_u8; shift + length + 1];
                to[shift..shift + length].copy_from_slice(&from[at..at + length]);
                assert!(
                    to[shift..shift + length] == from[at..at + length],
                    "{length} bytes"
                );
                assert!(
                    to[..shift]
                        .iter()
                        .chain(&to[shift + length..])
                        .all(|byte| *byte == 0)
                );
            }
        }
    }

    /// What this thread let go of stays with it until it is told.
    #[test]
    #[cfg(target_os = "linux")]
    #[expect(unsafe_code, reason = "what an allocator is asked by")]
    fn what_is_free_goes_back() {
        const BLOCK: usize = 64 << 10;
        fn resident() -> usize {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("RssAnon:"));
            let kib = line.unwrap().split_whitespace().next().unwrap();
            kib.parse::<usize>().unwrap() << 10
        }
        let layout = Layout::from_size_align(BLOCK, 8).unwrap();
        let blocks: Vec<_> = (0..1024)
            .map(|_| {
                // SAFETY: the block is used within its size, and freed once below.
                unsafe {
                    let block = Heap.alloc(layout);
                    std::ptr::write_bytes(block, 7, BLOCK);
                    block
                }
            })
            .collect();
        let held = resident();
        for block in blocks {
            // SAFETY: it was given with this layout.
            unsafe { Heap.dealloc(block, layout) }
        }
        let_go_of_free();
        let left = resident();
        assert!(held > left + 512 * BLOCK, "{left} bytes of {held}");
    }

    /// One test, since the option is one for all threads.
    #[test]
    fn it_is_as_before_when_the_last_one_ends() {
        assert_eq!(get(), 10, "the index of another version of mimalloc");
        let one = AtOnce::begin();
        let other = AtOnce::begin();
        assert_eq!(get(), 0);
        drop(one);
        assert_eq!(get(), 0);
        drop(other);
        assert_eq!(get(), 10);
        set(7);
        drop(AtOnce::begin());
        assert_eq!(get(), 7);
    }
}

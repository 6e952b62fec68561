//! When memory that is let go of returns to the system.
//!
//! A crate of its own, since plugway itself forbids `unsafe` and an option of mimalloc can only be
//! set by a foreign function.

use std::ffi::c_long;
use std::sync::{Mutex, MutexGuard, PoisonError};

use libmimalloc_sys::{mi_option_get, mi_option_set, mi_option_t};

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

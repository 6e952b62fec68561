//! What the system is told about memory.

use std::ffi::{c_int, c_void};
use std::io;

#[expect(unsafe_code, reason = "a foreign function")]
unsafe extern "C" {
    fn madvise(start: *mut c_void, length: usize, advice: c_int) -> c_int;
}

/// Calls `madvise(2)`.
///
/// # Errors
///
/// As the system has them.
///
/// # Safety
///
/// What the advice takes away nobody may need.
#[expect(unsafe_code, reason = "it may take memory away")]
pub(crate) unsafe fn advise(start: usize, length: usize, advice: c_int) -> io::Result<()> {
    // SAFETY: as the caller says.
    let done = unsafe { madvise(std::ptr::without_provenance_mut(start), length, advice) };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

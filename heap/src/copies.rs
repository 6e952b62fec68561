//! Copies of more than two kilobytes, in pieces.
//!
//! glibc copies what is longer than about 2 KiB with `rep movsb` where the processor says that it is
//! good at that. AMD's from Zen 3 on say so, and are as slow as one byte a cycle and less when the
//! target lies a few bytes behind the source within a page (glibc's bug 30994). A TLS record does
//! just that: it begins with five bytes of its own, and what it takes begins where memory does. A
//! response of 1 MiB took 0.4 ms longer for it, more than everything else together. Pieces of two
//! kilobytes are copied with vector instructions by all versions of glibc, on all processors.

use std::ffi::c_void;

/// Bytes that one call copies: less than the least that `rep movsb` is taken for, which is 2,112.
const PIECE: usize = 2 << 10;

#[expect(unsafe_code, reason = "a foreign function")]
unsafe extern "C" {
    fn memmove(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void;
}

/// What all of the program copies with: the compiler, and the libraries that it is linked with.
///
/// # Safety
///
/// As C has it (C17 §7.24.2.1): `length` bytes can be read at `from` and written at `to`, and none
/// of them is in both.
#[expect(unsafe_code, reason = "the compiler calls it by this name")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcpy(
    to: *mut c_void,
    from: *const c_void,
    length: usize,
) -> *mut c_void {
    if length > PIECE {
        // SAFETY: what the caller says.
        return unsafe { in_pieces(to, from, length) };
    }
    // SAFETY: as above.
    unsafe { memmove(to, from, length) }
}

/// See [`memcpy`].
#[expect(unsafe_code, reason = "as there")]
#[inline(never)]
unsafe fn in_pieces(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void {
    for done in (0..length).step_by(PIECE) {
        let piece = PIECE.min(length - done);
        // SAFETY: as many bytes are left of both.
        unsafe {
            memmove(
                to.wrapping_byte_add(done),
                from.wrapping_byte_add(done),
                piece,
            )
        };
    }
    to
}

//! Code that is not needed any more, though it was run.

use std::ffi::c_int;
use std::io;
use std::path::Path;

use crate::advice::advise;

/// `MADV_DONTNEED` of Linux.
const DONTNEED: c_int = 4;

/// Lets go of the program's code and constants, as they are resident: what is run again comes back
/// from the system's cache, some pages at a time. A start runs three quarters of the program once, and
/// the system counts that as in use until it is short of memory. Bytes that were let go of at the
/// most.
///
/// # Errors
///
/// Of `/proc`, and of `madvise(2)`. Where there is no such folder, nothing is let go of.
pub fn let_go_of_code() -> io::Result<usize> {
    if cfg!(not(target_os = "linux")) {
        return Ok(0);
    }
    let program = std::fs::read_link("/proc/self/exe")?;
    let mut let_go = 0;
    for line in std::fs::read_to_string("/proc/self/maps")?.lines() {
        let Some((start, length)) = unwritten(line, &program) else {
            continue;
        };
        // SAFETY: nobody ever writes there, so that what comes back is what was there.
        #[expect(unsafe_code, reason = "pages are taken away")]
        unsafe {
            advise(start, length, DONTNEED)?;
        }
        let_go += length;
    }
    Ok(let_go)
}

/// Where a line of `/proc/PID/maps` is about code, or about the beginning of the program's file,
/// where its constants are, start and length in bytes. What is read only, but was not when the
/// program was loaded (`PT_GNU_RELRO`), begins elsewhere.
fn unwritten(line: &str, program: &Path) -> Option<(usize, usize)> {
    let mut fields = line.splitn(6, ' ');
    let range = fields.next()?;
    let (access, offset) = (fields.next()?, fields.next()?);
    let file = fields.nth(2)?.trim_start();
    let is_code = access == "r-xp";
    let is_first = access == "r--p" && offset.bytes().all(|byte| byte == b'0');
    if !(is_code || is_first) || Path::new(file) != program {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    Some((start, end.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_never_written_is_let_go_of() {
        let program = Path::new("/usr/bin/a program");
        for (line, expected) in [
            (
                "55d0-55f0 r-xp 00560000 fe:00 1008     /usr/bin/a program",
                Some((0x55d0, 0x20)),
            ),
            (
                "1000-3000 r--p 00000000 fe:00 1008     /usr/bin/a program",
                Some((0x1000, 0x2000)),
            ),
            (
                "1000-3000 r--p 01697000 fe:00 1008     /usr/bin/a program",
                None,
            ),
            (
                "1000-3000 rw-p 00000000 fe:00 1008     /usr/bin/a program",
                None,
            ),
            (
                "1000-3000 rwxp 00000000 fe:00 1008     /usr/bin/a program",
                None,
            ),
            (
                "1000-3000 r-xp 00000000 fe:00 1008     /usr/bin/another",
                None,
            ),
            ("1000-3000 r-xp 00000000 00:00 0        [vdso]", None),
            ("1000-3000 r-xp 00000000 00:00 0", None),
            (
                "3000-1000 r-xp 00560000 fe:00 1008     /usr/bin/a program",
                None,
            ),
            ("", None),
        ] {
            assert_eq!(unwritten(line, program), expected, "{line}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_run_again_comes_back() {
        static TEXT: &str = "what is constant stays so";
        let relocated: Vec<&dyn Fn(u32) -> u32> = vec![&|n| n + 1, &|n| n * 2];
        let let_go = let_go_of_code().unwrap();
        assert!(let_go > 1 << 16, "{let_go} bytes");
        assert_eq!(relocated.iter().fold(3, |n, next| next(n)), 8);
        assert!(TEXT.ends_with("so"));
        assert_eq!(let_go_of_code().unwrap(), let_go);
    }
}

//! What the program gets of the environment: everything but what is plugway's alone.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::tokens::contains_token;

/// What a service manager says to plugway, and to nobody behind it.
const MANAGER: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
];

/// Whether a variable is withheld: plugway's own, the service manager's, and whatever holds a
/// secret that opens something here. `opens` knows those secrets.
pub(super) fn is_withheld(name: &OsStr, value: &OsStr, opens: impl Fn(&[u8]) -> bool) -> bool {
    let bytes = value.as_bytes();
    name.as_bytes().starts_with(b"PLUGWAY_")
        || MANAGER.iter().any(|manager| name == *manager)
        || opens(bytes)
        || opens(bytes.trim_ascii())
        || contains_token(&value.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plugways_stays_with_it() {
        let token = crate::tokens::generate_from_system(crate::tokens::Level::Service).unwrap();
        let withheld = |name: &str, value: &str| {
            is_withheld(name.as_ref(), value.as_ref(), |secret| secret == b"foreign")
        };
        for (name, value) in [
            ("PLUGWAY_ADMIN_TOKEN", "x"),
            ("PLUGWAY_CONFIG", "x"),
            ("NOTIFY_SOCKET", "/run/n"),
            ("LISTEN_FDS", "1"),
            ("CHATGPT", "foreign"),
            ("CHATGPT", "foreign\n"),
            ("CHATGPT", token.expose()),
        ] {
            assert!(withheld(name, value), "{name}");
        }
        for (name, value) in [("PATH", "/bin"), ("FLY_REGION", "fra"), ("XPLUGWAY_", "")] {
            assert!(!withheld(name, value), "{name}");
        }
    }
}

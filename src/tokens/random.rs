//! The functions here that take randomness from the system.

use super::Level;
use super::format::{PlainToken, generate, generate_again};

/// A new token from the system's randomness.
///
/// # Errors
/// The system has none to give (early boot, a sandbox without the call).
pub fn generate_from_system(level: Level) -> Result<PlainToken, getrandom::Error> {
    made(|random| generate(level, random))
}

/// Another secret for the token with this id: it names the same id, where it is one that secrets
/// name.
///
/// # Errors
/// As for [`generate_from_system`].
pub fn regenerate_from_system(id: &str, level: Level) -> Result<PlainToken, getrandom::Error> {
    made(|random| generate_again(id, level, random))
}

fn made(
    make: impl FnOnce(&mut dyn FnMut(&mut [u8])) -> PlainToken,
) -> Result<PlainToken, getrandom::Error> {
    let mut outcome = Ok(());
    // After a failure the buffer stays as it is (zeros, which end the drawing), and what was
    // made of it is dropped.
    let token = make(&mut |bytes| {
        if outcome.is_ok() {
            outcome = getrandom::fill(bytes);
        }
    });
    outcome.map(|()| token)
}

//! The one function here that takes randomness from the system.

use super::Level;
use super::format::{PlainToken, generate};

/// A new token from the system's randomness.
///
/// # Errors
/// The system has none to give (early boot, a sandbox without the call).
pub fn generate_from_system(level: Level) -> Result<PlainToken, getrandom::Error> {
    let mut outcome = Ok(());
    // After a failure the buffer stays as it is (zeros, which end the drawing), and what was
    // made of it is dropped.
    let token = generate(level, &mut |bytes| {
        if outcome.is_ok() {
            outcome = getrandom::fill(bytes);
        }
    });
    outcome.map(|()| token)
}

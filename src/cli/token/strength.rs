//! Whether a secret that was made elsewhere can be guessed.

/// Guesses that must not find it, as a power of ten: what 19 random digits need, some 63 bits.
/// More than 2^64, which is 10^19.3, are not told apart.
const ENOUGH: f64 = 19.0;
/// Longest secret, in bytes: it must fit into a request head with all the rest.
const LONGEST: usize = 4096;
/// What is judged of a long one.
const JUDGED: usize = 100;

/// Refuses what no client can send and, unless `weak`, what can be guessed.
pub(super) fn check(secret: &str, weak: bool) -> Result<(), String> {
    if secret.is_empty() {
        return Err("standard input is empty".to_owned());
    }
    if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "it can not be sent in a header: it has white space or characters other than \
                    visible ASCII"
                .to_owned(),
        );
    }
    if secret.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let judged = &secret[..secret.len().min(JUDGED)];
    let guesses = zxcvbn::zxcvbn(judged, &[]).guesses_log10();
    if guesses < ENOUGH && !weak {
        return Err(format!(
            "it can be guessed: some 10^{guesses:.0} attempts find it, and less than 10^{ENOUGH:.0} \
             is refused. Replace it by a random one, or say --weak"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_can_be_guessed_is_refused() {
        for weak in [
            "hunter2",
            "password123",
            "correcthorsebatterystaple",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "1234567890123456789012345",
            "20261120-production",
        ] {
            assert!(check(weak, false).is_err(), "{weak}");
            assert!(check(weak, true).is_ok(), "{weak}");
        }
        for strong in [
            "9f86d081884c7d659a2feaa0c55ad015",
            "sk-proj-Xq3vT8mZb1LrNw5KcYdEfGhJ",
            "0b5c3f1e-7a44-4d2a-9c0e-1f6b8a2d3c4e",
        ] {
            assert_eq!(check(strong, false), Ok(()), "{strong}");
        }
        assert!(check("", true).is_err());
        assert!(check("with space and more of it", true).is_err());
    }
}

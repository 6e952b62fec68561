//! An answer of the API that is too long.

use http::StatusCode;

/// An answer that is too long to be of use, in words that help to get a shorter one.
#[derive(Debug, thiserror::Error)]
pub struct Excess {
    /// Its length, where it was told.
    pub bytes: Option<u64>,
    /// `limits.response_chars`
    pub limit: u64,
    /// It is not the characters that were counted but the bytes, since it is encoded.
    pub encoded: bool,
    /// The request changed something all the same.
    pub carried_out: bool,
    /// The API's status, if it was not one of success.
    pub status: Option<StatusCode>,
    /// Parameters that may help.
    pub narrowing: Vec<String>,
}

impl std::fmt::Display for Excess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = if self.encoded { "bytes" } else { "characters" };
        let limit = self.limit;
        f.write_str("the API's answer ")?;
        if let Some(status) = self.status {
            write!(f, "(status {}) ", status.as_u16())?;
        }
        match self.bytes {
            Some(bytes) => write!(f, "has {bytes} bytes; at most {limit} {unit} are passed on")?,
            None => write!(f, "has more than the {limit} {unit} that are passed on")?,
        }
        match self.narrowing.as_slice() {
            [] => f.write_str(". Ask for less: fewer items, fewer fields, or a narrower search"),
            [one] => write!(f, ". Ask for less, with the parameter `{one}`"),
            [most @ .., last] => {
                let most = most.join("`, `");
                write!(
                    f,
                    ". Ask for less, with the parameters `{most}` or `{last}`"
                )
            }
        }?;
        if self.carried_out {
            f.write_str(". The request itself was carried out: do not repeat it")?;
        }
        Ok(())
    }
}

//! Numbers before nouns.

use std::fmt::Display;

/// `1 entry`, `2 entries`, `0 entries`.
pub(crate) fn counted<N: Copy + Display + PartialEq + From<u8>>(
    count: N,
    one: &str,
    several: &str,
) -> String {
    let noun = plural(count, one, several);
    format!("{count} {noun}")
}

/// What agrees with so many: a noun or a verb.
pub(crate) fn plural<'a, N: Copy + PartialEq + From<u8>>(
    count: N,
    one: &'a str,
    several: &'a str,
) -> &'a str {
    if count == N::from(1) { one } else { several }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alone_is_singular() {
        let told = |count: usize| counted(count, "entry", "entries");
        assert_eq!(told(0), "0 entries");
        assert_eq!(told(1), "1 entry");
        assert_eq!(told(2), "2 entries");
        assert_eq!(plural(1_u64, "is", "are"), "is");
    }
}

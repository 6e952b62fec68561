//! A secret that we put into the address of each request, where an upstream repeats that address.
//!
//! Frameworks do so unasked: in the page of a redirect, in the links of a list, in an error. They
//! write it in many ways (percent-encoded, in JSON, in HTML), so that what is compared is what is meant.

/// Nested percent-encodings that are looked through: an address in an address in an address.
const DEPTH: usize = 3;
/// Shorter secrets are no secrets, and stand in many a text by chance.
const LEAST: usize = 8;
/// Most bytes that one of a secret may be written with: `&#x0000002F;`.
const LONGEST_SPELLING: usize = 12;

/// A secret, to be found however it is written. No `Display`; `Debug` is constant.
#[derive(Clone)]
pub struct Echo(Box<[u8]>);

impl std::fmt::Debug for Echo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Echo(..)")
    }
}

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Something else.
    Nothing,
    /// The secret, in so many bytes.
    Secret(usize),
    /// Its beginning, as far as the text goes.
    Beginning,
}

impl Echo {
    /// For this secret, decoded; `None` if it is too short to be looked for in a body.
    pub fn new(secret: &[u8]) -> Option<Self> {
        (secret.len() >= LEAST).then(|| Self(secret.into()))
    }

    /// Whether the secret is in a text.
    pub fn is_in(&self, text: &[u8]) -> bool {
        (0..text.len()).any(|from| matches!(self.at(&text[from..]), Found::Secret(_)))
    }

    /// Puts asterisks in its place, as many as it had bytes. How many bytes at the end of the text
    /// may be the beginning of one: those are to be looked at again with what follows, unless the
    /// text is the `last`.
    pub fn mask(&self, text: &mut [u8], last: bool) -> usize {
        let mut from = 0;
        while from < text.len() {
            match self.at(&text[from..]) {
                Found::Beginning if !last => return text.len() - from,
                Found::Nothing | Found::Beginning => from += 1,
                Found::Secret(length) => {
                    text[from..from + length].fill(b'*');
                    from += length;
                }
            }
        }
        0
    }

    /// What a text begins with.
    fn at(&self, text: &[u8]) -> Found {
        let first = self.0[0];
        let begins = |byte: u8| byte == first || matches!(byte, b'%' | b'\\' | b'&' | b'+');
        if !text.first().copied().is_some_and(begins) {
            return Found::Nothing;
        }
        // A byte may be written in two ways that begin alike (`%` and `%25`): all are followed.
        let (mut ends, mut more) = (vec![0], false);
        for byte in &self.0 {
            let mut next = Vec::new();
            for end in ends {
                spellings(*byte, &text[end..], &mut |length| match length {
                    Some(length) if !next.contains(&(end + length)) => next.push(end + length),
                    Some(_) => {}
                    None => more = true,
                });
            }
            ends = next;
            if ends.is_empty() {
                return if more {
                    Found::Beginning
                } else {
                    Found::Nothing
                };
            }
        }
        let longest = ends.into_iter().max();
        longest.map_or(Found::Nothing, Found::Secret)
    }
}

/// In how many bytes a text begins with this one, by each way to write it; `None` where it ends
/// too early to say.
fn spellings(byte: u8, text: &[u8], found: &mut impl FnMut(Option<usize>)) {
    let Some(first) = text.first() else {
        return found(None);
    };
    if *first == byte {
        found(Some(1));
    }
    match first {
        b'+' if byte == b' ' => found(Some(1)),
        b'%' => percent(byte, text, found),
        b'\\' => escaped(byte, text, found),
        b'&' => entity(byte, text, found),
        _ => {}
    }
}

/// `%2F`, `%252f` (RFC 3986 §2.1, once or nested), and `%2B` for a space.
fn percent(byte: u8, text: &[u8], found: &mut impl FnMut(Option<usize>)) {
    let mut at = 1;
    for _ in 0..DEPTH {
        let Some(digits) = text.get(at..at + 2) else {
            // What is there must be able to become a number.
            if text[at..].iter().all(u8::is_ascii_hexdigit) {
                found(None);
            }
            return;
        };
        let number = hexadecimal(digits);
        if number == Some(u32::from(byte)) || byte == b' ' && digits == b"2B" {
            found(Some(at + 2));
        }
        if digits != b"25" {
            return;
        }
        at += 2;
    }
}

/// `\/`, `\u002F`, `\x2f`: JSON (RFC 8259 §7) and JavaScript.
fn escaped(byte: u8, text: &[u8], found: &mut impl FnMut(Option<usize>)) {
    let digits = match text.get(1) {
        None => return found(None),
        Some(b'u') => 4,
        Some(b'x') => 2,
        Some(other) if *other == byte && b"/\"\\'".contains(&byte) => return found(Some(2)),
        Some(_) => return,
    };
    match text.get(2..2 + digits) {
        None if text[2..].iter().all(u8::is_ascii_hexdigit) => found(None),
        Some(number) if hexadecimal(number) == Some(u32::from(byte)) => found(Some(2 + digits)),
        _ => {}
    }
}

/// `&amp;`, `&#38;`, `&#x26;`: HTML and XML.
fn entity(byte: u8, text: &[u8], found: &mut impl FnMut(Option<usize>)) {
    let within = &text[1..text.len().min(LONGEST_SPELLING)];
    let Some(end) = within.iter().position(|byte| *byte == b';') else {
        let name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'#';
        if text.len() < LONGEST_SPELLING && within.iter().all(name) {
            found(None);
        }
        return;
    };
    let number = |digits: &[u8], radix| {
        let digits = std::str::from_utf8(digits).ok()?;
        u32::from_str_radix(digits, radix).ok()
    };
    let meant = match &within[..end] {
        b"amp" => Some(u32::from(b'&')),
        b"lt" => Some(u32::from(b'<')),
        b"gt" => Some(u32::from(b'>')),
        b"quot" => Some(u32::from(b'"')),
        b"apos" => Some(u32::from(b'\'')),
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        _ => None,
    };
    if meant == Some(u32::from(byte)) {
        found(Some(end + 2));
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    let plain = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| plain)?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(secret: &str, text: &str) -> (String, usize) {
        let mut bytes = text.as_bytes().to_vec();
        let left = Echo::new(secret.as_bytes())
            .unwrap()
            .mask(&mut bytes, false);
        (String::from_utf8(bytes).unwrap(), left)
    }

    #[track_caller]
    fn check(secret: &str, spelled: &str) {
        let stars = "*".repeat(spelled.len());
        let text = format!("/a?k={spelled}&b=1");
        assert_eq!(masked(secret, &text), (format!("/a?k={stars}&b=1"), 0));
        // What is cut off anywhere is waited for, unless it is something else already.
        for end in 1..spelled.len() {
            assert_eq!(masked(secret, &spelled[..end]).1, end, "{spelled} {end}");
        }
    }

    #[test]
    fn however_it_is_written() {
        let secret = "UP/S E+0=<&\">%z";
        for spelled in [
            secret,
            "UP%2FS+E%2B0%3D%3C%26%22%3E%25z",
            "UP%2fS%20E%2b0=%3c%26%22%3e%25z",
            "UP/S%20E%2B0%3D%3C&\">%25z",
            "UP%252FS%2BE%252B0%253D%253C%2526%2522%253E%2525z",
            "UP%25252FS%252520E%25252B0%25253D%25253C%252526%252522%25253E%252525z",
            r#"UP\/S E+0=<&\">%z"#,
            r"UP\u002fS\u0020E\u002B0\u003d\u003C\u0026\u0022\u003E\u0025z",
            r"\x55P\x2fS E+0=<\x26\x22>%z",
            "UP&#x2F;S E+0=&lt;&amp;&quot;&gt;%z",
            "&#85;P/S&#32;E+0&#61;&#060;&#38;&#34;&#62;%z",
        ] {
            check(secret, spelled);
        }
        check("abcdefgh", "%61bcdefgh");
    }

    #[test]
    fn what_is_something_else() {
        let secret = "SECRET/1";
        for text in [
            "SECRET/2",
            "SECRET%2E1",
            "SECRET%2525252F1",
            "SECRET\\n1",
            "SECRET&#x2E;1",
            "SECRET&solidus;1",
            "SECRET&x 1",
            "SECRET%zz1 ",
            "secret/1",
        ] {
            assert_eq!(masked(secret, text), (text.to_owned(), 0));
        }
        assert!(Echo::new(b"1234567").is_none());
        assert_eq!(
            masked("aaaaaaaa", &"a".repeat(20)),
            ("*".repeat(16) + "aaaa", 4)
        );
    }

    proptest! {
        /// Cut into pieces anywhere, a text is masked as it is in one; and no spelling of the
        /// secret takes time that grows faster than the text.
        #[test]
        fn in_pieces_as_in_one(
            secret in "[%a25\\\\&+/]{8,12}",
            around in "[%a25\\\\&+/;#]{0,40}",
            cuts in prop::collection::vec(0_usize..80, 0..6),
        ) {
            let text = format!("{around}{secret}{around}").into_bytes();
            let echo = Echo::new(secret.as_bytes()).unwrap();
            let mut whole = text.clone();
            echo.mask(&mut whole, true);
            let (mut out, mut held, mut from) = (Vec::new(), Vec::new(), 0);
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.push(text.len());
            cuts.sort_unstable();
            for cut in cuts {
                held.extend_from_slice(&text[from..cut]);
                from = cut;
                let left = echo.mask(&mut held, cut == text.len());
                out.extend(held.drain(..held.len() - left));
            }
            prop_assert_eq!(out.len(), whole.len());
            prop_assert!(!echo.is_in(&out), "{:?}", String::from_utf8_lossy(&out));
        }
    }
}

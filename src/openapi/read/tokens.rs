//! The tokens of JSON with their lines, and of what people take for JSON.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `{` (true) or `[`.
    Open(bool),
    /// `}` or `]`.
    Close,
    /// `,`
    Comma,
    /// `:`
    Colon,
    /// A string with its quotes.
    Text,
    /// A number, `true`, `null`, what is in single quotes, or whatever else is neither space nor
    /// sign.
    Word,
    /// `// …`, `# …` or `/* … */`, which JSON does not have.
    Comment,
}

/// A piece of the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    /// What it is.
    pub(super) kind: Kind,
    /// Its first byte.
    pub(super) start: usize,
    /// The byte after its last.
    pub(super) end: usize,
    /// The line on which it begins, from 1.
    pub(super) line: u64,
}

/// Walks through a text. It trusts nothing: what is no JSON gives tokens as well.
#[derive(Debug)]
pub(super) struct Tokens<'t> {
    /// The text.
    bytes: &'t [u8],
    /// Where we are.
    at: usize,
    /// Line of `at`.
    line: u64,
}

impl<'t> Tokens<'t> {
    /// At the beginning.
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            bytes: text.as_bytes(),
            at: 0,
            line: 1,
        }
    }

    /// Where a comment ends that begins here; `None`: it is none. A `//` right after a colon or a
    /// word is part of an address.
    fn comment_end(&self, start: usize) -> Option<usize> {
        let rest = &self.bytes[start..];
        let before = start.checked_sub(1).map(|at| self.bytes[at]);
        let apart = before.is_none_or(|b| b.is_ascii_whitespace() || b"{}[],\"".contains(&b));
        if !apart {
            return None;
        }
        if rest.starts_with(b"#") && before.is_some_and(|b| !b.is_ascii_whitespace()) {
            return None;
        }
        if rest.starts_with(b"/*") {
            let inner = rest.get(2..).unwrap_or_default();
            let length = inner.array_windows().position(|pair| pair == b"*/");
            return Some(length.map_or(self.bytes.len(), |length| start + length + 4));
        }
        (rest.starts_with(b"//") || rest.starts_with(b"#")).then(|| {
            let length = rest.iter().position(|b| matches!(b, b'\n' | b'\r'));
            length.map_or(self.bytes.len(), |length| start + length)
        })
    }

    /// Where a word ends that begins here. One in single quotes, which JSON does not have, ends
    /// with them.
    fn word_end(&self, start: usize) -> usize {
        if self.bytes[start] == b'\'' {
            let length = self.bytes[start + 1..].iter().position(|b| *b == b'\'');
            return length.map_or(self.bytes.len(), |length| start + length + 2);
        }
        let ends = |b: &u8| b.is_ascii_whitespace() || b"{}[],:\"".contains(b);
        let length = self.bytes[start + 1..].iter().position(ends);
        length.map_or(self.bytes.len(), |length| start + 1 + length)
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            match self.bytes.get(self.at)? {
                b'\n' => self.line += 1,
                b'\r' if self.bytes.get(self.at + 1) != Some(&b'\n') => self.line += 1,
                byte if byte.is_ascii_whitespace() => {}
                _ => break,
            }
            self.at += 1;
        }
        let (start, line) = (self.at, self.line);
        let (kind, end) = match self.bytes[start] {
            b'{' => (Kind::Open(true), start + 1),
            b'[' => (Kind::Open(false), start + 1),
            b'}' | b']' => (Kind::Close, start + 1),
            b',' => (Kind::Comma, start + 1),
            b':' => (Kind::Colon, start + 1),
            b'"' => (Kind::Text, text_end(self.bytes, start)),
            b'/' | b'#' => match self.comment_end(start) {
                Some(end) => (Kind::Comment, end),
                None => (Kind::Word, self.word_end(start)),
            },
            _ => (Kind::Word, self.word_end(start)),
        };
        if kind == Kind::Comment || matches!(self.bytes[start], b'"' | b'\'') {
            self.line += lines_in(&self.bytes[start..end]);
        }
        self.at = end;
        Some(Token {
            kind,
            start,
            end,
            line,
        })
    }
}

/// How many line breaks there are: `\n`, `\r\n`, or a lone `\r`.
pub(super) fn lines_in(bytes: &[u8]) -> u64 {
    let is_break =
        |at: usize, byte: u8| byte == b'\n' || (byte == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
    let breaks = bytes
        .iter()
        .enumerate()
        .filter(|(at, b)| is_break(*at, **b));
    breaks.count() as u64
}

/// Where a string ends that begins at this quote: after the closing one.
pub(super) fn text_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

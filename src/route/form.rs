//! Fixed parameters that a form body names again: frameworks that merge query and form would
//! take the form's value.

use std::borrow::Cow;

use super::query::{is_any_separator, occurrences, reads_as};

/// What a body is looked at as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `application/x-www-form-urlencoded`
    Encoded,
    /// `multipart/…`
    Multipart,
    /// A form that could be read in several ways: nothing is known of what it names.
    Unclear,
}

/// Beginnings of the names of charsets in which ASCII is itself.
const ASCII: [&str; 18] = [
    "utf-8",
    "utf8",
    "us-ascii",
    "ascii",
    "iso-8859-",
    "iso8859-",
    "latin",
    "windows-125",
    "windows-31j",
    "cp125",
    "shift_jis",
    "shift-jis",
    "sjis",
    "euc-",
    "gb2312",
    "gbk",
    "gb18030",
    "big5",
];

impl Form {
    /// Of all `Content-Type` lines of a request. Where a media type ends differs (PHP: at a blank
    /// or a comma as well), which line counts too, and none at all is a form to some (Rack).
    pub fn of<'v>(lines: impl Iterator<Item = &'v [u8]>) -> Option<Self> {
        let lines: Vec<Vec<u8>> = lines.map(<[u8]>::to_ascii_lowercase).collect();
        let has = |word: &[u8]| {
            let mut windows = lines.iter().flat_map(|line| line.windows(word.len()));
            windows.any(|window| window == word)
        };
        let encoded = has(b"x-www-form-urlencoded");
        let multipart = has(b"multipart/");
        let foreign = || lines.iter().any(|line| !is_ascii_kept(line));
        match (encoded, multipart) {
            (false, false) => {
                let nothing = lines.iter().all(|line| line.trim_ascii().is_empty());
                nothing.then_some(Self::Encoded)
            }
            (true, true) => Some(Self::Unclear),
            _ if lines.len() > 1 || foreign() => Some(Self::Unclear),
            (true, false) => Some(Self::Encoded),
            (false, true) => Some(Self::Multipart),
        }
    }

    /// Whether a body names one of these parameters, or may do.
    pub fn names<'k>(self, mut keys: impl Iterator<Item = &'k str>, body: &[u8]) -> bool {
        match self {
            Self::Encoded => keys.any(|key| occurrences(body, key, is_any_separator).0 > 0),
            Self::Multipart => {
                let Some(names) = part_names(body) else {
                    return true;
                };
                keys.any(|key| names.iter().any(|name| reads_as(name, key.as_bytes())))
            }
            Self::Unclear => true,
        }
    }
}

/// Whether a `Content-Type` in lower case names no charset in which a name of ASCII letters would
/// be other bytes (UTF-16, UTF-7, EBCDIC: ASP.NET decodes what it is told).
fn is_ascii_kept(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    line.split("charset").skip(1).all(|rest| {
        let value = rest.trim_start_matches(['*', ' ', '\t', '=', '"', '\'']);
        value.is_empty() || ASCII.iter().any(|name| value.starts_with(name))
    })
}

/// What may be the name of a part (RFC 7578 §4.2): of every line that looks like its header,
/// also one inside of another part, since readers differ in where a part begins. `None`: one of
/// them is written in a way that readers decode differently.
fn part_names(body: &[u8]) -> Option<Vec<Cow<'_, [u8]>>> {
    const HEADER: &[u8] = b"content-disposition";
    let mut names = Vec::new();
    let mut inside = false;
    for line in body.split(|byte| matches!(byte, b'\r' | b'\n')) {
        let folded = inside
            && line
                .first()
                .is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        let begins = line.len() >= HEADER.len()
            && line
                .trim_ascii_start()
                .get(..HEADER.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(HEADER));
        // The empty piece between CR and LF ends no header.
        inside = begins || folded || (inside && line.is_empty());
        if begins || folded {
            names_of(line, &mut names)?;
        }
    }
    Some(names)
}

/// The values of `name` and `name*` in one line. `None` for a name in pieces (`name*0`, RFC 2231
/// §3: Go puts them together) and for encoded words (RFC 2047: Java decodes them).
fn names_of<'l>(line: &'l [u8], names: &mut Vec<Cow<'l, [u8]>>) -> Option<()> {
    let mut at = 0;
    while let Some(found) = line.get(at..).and_then(|rest| {
        rest.windows(4)
            .position(|word| word.eq_ignore_ascii_case(b"name"))
    }) {
        let of_file = line[..at + found].to_ascii_lowercase().ends_with(b"file");
        at += found + 4;
        let mut rest = line[at..].trim_ascii_start();
        if let Some(extended) = rest.strip_prefix(b"*") {
            rest = extended.trim_ascii_start();
            if !of_file && rest.first().is_some_and(u8::is_ascii_digit) {
                return None;
            }
        }
        let Some(value) = rest.strip_prefix(b"=") else {
            continue;
        };
        let value = value.trim_ascii_start();
        let quoted = value
            .strip_prefix(b"\"")
            .or_else(|| value.strip_prefix(b"'"));
        let (value, end): (&[u8], &[u8]) = match quoted {
            Some(value) => (value, b"\"'"),
            None => (value, b"; \t"),
        };
        let length = value.iter().position(|byte| end.contains(byte));
        let value = &value[..length.unwrap_or(value.len())];
        if !of_file && value.windows(2).any(|word| word == b"=?") {
            return None;
        }
        // `UTF-8''action` of an extended parameter (RFC 8187 §3.2).
        let value = value.rsplit(|byte| *byte == b'\'').next().unwrap_or(value);
        names.push(unescaped(value));
    }
    Some(())
}

/// A quoted string without its backslashes (RFC 9110 §5.6.4).
fn unescaped(value: &[u8]) -> Cow<'_, [u8]> {
    if value.contains(&b'\\') {
        Cow::Owned(value.iter().copied().filter(|b| *b != b'\\').collect())
    } else {
        Cow::Borrowed(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(form: Form, body: &str, expected: bool) {
        let body = body.replace('\n', "\r\n");
        assert_eq!(
            form.names(["action"].into_iter(), body.as_bytes()),
            expected,
            "{body}"
        );
    }

    #[test]
    fn media_types() {
        let form = "application/x-www-form-urlencoded";
        let check = |lines: &[&str], expected| {
            let given = Form::of(lines.iter().map(|line| line.as_bytes()));
            assert_eq!(given, expected, "{lines:?}");
        };
        check(&["application/json"], None);
        check(&["text/plain; charset=utf-16"], None);
        let capitals = " Application/X-WWW-Form-Urlencoded ; charset=utf-8";
        check(&[capitals], Some(Form::Encoded));
        check(&["multipart/form-data; boundary=x"], Some(Form::Multipart));
        // PHP's media types end at a comma or a blank, Rack takes none for a form.
        check(&[&format!("{form}, x")], Some(Form::Encoded));
        check(&[&format!("{form} x")], Some(Form::Encoded));
        check(&[&format!("application/json, {form}")], Some(Form::Encoded));
        check(&[], Some(Form::Encoded));
        check(&[" "], Some(Form::Encoded));
        check(&[form, "multipart/form-data"], Some(Form::Unclear));
        check(&[form, "application/json"], Some(Form::Unclear));
        for charset in ["utf-16le", "\"IBM037\"", "utf-7", "iso-2022-jp"] {
            let line = format!("{form}; Charset={charset}");
            check(&[&line], Some(Form::Unclear));
        }
        for charset in ["UTF-8", "\"iso-8859-1\"", "Shift_JIS", ""] {
            let line = format!("{form}; charset={charset}");
            check(&[&line], Some(Form::Encoded));
        }
        assert!(Form::Unclear.names(["action"].into_iter(), b""));
    }

    #[test]
    fn a_form_that_names_a_fixed_parameter() {
        check(Form::Encoded, "a=1&b=action", false);
        check(Form::Encoded, "a=1&action=x", true);
        check(Form::Encoded, "a=1;ACTION[]=x", true);
        check(Form::Encoded, "%61ction", true);
    }

    #[test]
    fn a_multipart_form_that_names_a_fixed_parameter() {
        let part = |header: &str| format!("--x\n{header}\n\n1\n--x--\n");
        for header in [
            "Content-Disposition: form-data; name=\"action\"",
            "content-disposition:form-data;NAME=Action",
            "Content-Disposition: form-data;\n name='action'",
            "Content-Disposition: form-data; name=\"action[]\"",
            "Content-Disposition: form-data; name*=UTF-8''action",
            "Content-Disposition: form-data; name*0=\"act\"; name*1=\"ion\"",
            "Content-Disposition: form-data; name*0*=UTF-8''act; name*1*=ion",
            "Content-Disposition: form-data; name=\"=?utf-8?B?YWN0aW9u?=\"",
            "Content-Disposition: form-data; name=\"act\\ion\"",
            "Content-Disposition: form-data; name=\"[action]\"",
        ] {
            check(Form::Multipart, &part(header), true);
        }
        for header in [
            "Content-Disposition: form-data; name=\"act\"; filename=\"action\"",
            "X: action",
            "Content-Disposition: form-data; name=\"f\"; filename*0=\"act\"; filename*1=\"ion\"",
        ] {
            let named = header.contains("filename=");
            // `filename` ends with `name`: a file that is called so is refused as well.
            check(Form::Multipart, &part(header), named);
        }
    }
}

//! Fixed parameters that a form body names again: frameworks that merge query and form would
//! take the form's value.

use super::query::{is_any_separator, occurrences, reads_as};

/// A media type whose content is a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `application/x-www-form-urlencoded`
    Encoded,
    /// `multipart/…`
    Multipart,
}

impl Form {
    /// Of a `Content-Type`.
    pub fn of(content_type: &[u8]) -> Option<Self> {
        let essence = content_type.split(|byte| *byte == b';').next()?;
        let essence = essence.trim_ascii().to_ascii_lowercase();
        if essence == b"application/x-www-form-urlencoded" {
            Some(Self::Encoded)
        } else if essence.starts_with(b"multipart/") {
            Some(Self::Multipart)
        } else {
            None
        }
    }

    /// Whether a body names one of these parameters.
    pub fn names<'k>(self, mut keys: impl Iterator<Item = &'k str>, body: &[u8]) -> bool {
        match self {
            Self::Encoded => keys.any(|key| occurrences(body, key, is_any_separator).0 > 0),
            Self::Multipart => {
                let names = part_names(body);
                keys.any(|key| names.iter().any(|name| reads_as(name, key.as_bytes())))
            }
        }
    }
}

/// What may be the name of a part (RFC 7578 §4.2): of every line that looks like its header,
/// also one inside of another part, since readers differ in where a part begins.
fn part_names(body: &[u8]) -> Vec<&[u8]> {
    const HEADER: &[u8] = b"content-disposition";
    let mut names = Vec::new();
    let lines = body.split(|byte| matches!(byte, b'\r' | b'\n'));
    let mut inside = false;
    for line in lines {
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
            names_of(line, &mut names);
        }
    }
    names
}

/// The values of `name` and `name*` in one line.
fn names_of<'l>(line: &'l [u8], names: &mut Vec<&'l [u8]>) {
    let mut at = 0;
    while let Some(found) = line.get(at..).and_then(|rest| {
        rest.windows(4)
            .position(|word| word.eq_ignore_ascii_case(b"name"))
    }) {
        at += found + 4;
        let mut rest = line[at..].trim_ascii_start();
        rest = rest.strip_prefix(b"*").unwrap_or(rest).trim_ascii_start();
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
        // `UTF-8''action` of an extended parameter (RFC 8187 §3.2).
        names.push(value.rsplit(|byte| *byte == b'\'').next().unwrap_or(value));
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
        assert_eq!(Form::of(b"application/json"), None);
        assert_eq!(Form::of(b""), None);
        let encoded = b" Application/X-WWW-Form-Urlencoded ; charset=utf-8";
        assert_eq!(Form::of(encoded), Some(Form::Encoded));
        assert_eq!(
            Form::of(b"multipart/form-data; boundary=x"),
            Some(Form::Multipart)
        );
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
        ] {
            check(Form::Multipart, &part(header), true);
        }
        for header in [
            "Content-Disposition: form-data; name=\"act\"; filename=\"action\"",
            "X: action",
        ] {
            let named = header.contains("filename");
            // `filename` ends with `name`: a file that is called so is refused as well.
            check(Form::Multipart, &part(header), named);
        }
    }
}

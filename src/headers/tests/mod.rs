//! Heads as lines of text. Names of spelt-out cases are in any letter case, as on the wire.

mod client;
mod cors;
mod identity;
mod lines;
mod outbound;
mod properties;
mod request;
mod response;
mod trailers;
mod upgrade;

use http::{HeaderMap, HeaderName, HeaderValue};

/// A head of lines such as `Name: value`; `\xE9` stands for a byte.
#[track_caller]
fn head(lines: &str) -> HeaderMap {
    let mut head = HeaderMap::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap();
        let name: HeaderName = name.parse().unwrap();
        head.append(name, bytes(value.trim()));
    }
    head
}

/// A value in which `\xE9` stands for a byte.
fn bytes(text: &str) -> HeaderValue {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    HeaderValue::from_bytes(&bytes).unwrap()
}

/// The lines of a head, sorted.
fn lines(head: &HeaderMap) -> Vec<String> {
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        format!("{name}: {}", value.as_bytes().escape_ascii())
    };
    let mut lines: Vec<_> = head.iter().map(line).collect();
    lines.sort();
    lines
}

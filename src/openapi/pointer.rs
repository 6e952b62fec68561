//! JSON pointers (RFC 6901) and local references.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::openapi::{Map, Value};
use percent_encoding::percent_decode_str;

/// How many references are followed in a row: more is a cycle, or as good as one.
const MAX_HOPS: usize = 32;

/// Adds `/segment` to a pointer, escaped.
pub(super) fn push(pointer: &mut String, segment: &str) {
    pointer.push('/');
    for c in segment.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}

/// Adds `/index` to a pointer.
pub(super) fn push_index(pointer: &mut String, index: usize) {
    // Writing to a String can not fail.
    let _ = write!(pointer, "/{index}");
}

/// A pointer with one more segment.
pub(super) fn join(pointer: &str, segment: &str) -> String {
    let mut joined = pointer.to_owned();
    push(&mut joined, segment);
    joined
}

/// The segments of `#/a/b`, unescaped (percent-encoding first, RFC 6901 §6). `None`: not a
/// pointer into this document.
pub(super) fn segments(reference: &str) -> Option<Vec<String>> {
    let segments = unescaped(reference)?;
    Some(segments.map(Cow::into_owned).collect())
}

/// [`segments`], copied only where something is escaped: this is done for each reference.
fn unescaped(reference: &str) -> Option<impl Iterator<Item = Cow<'_, str>>> {
    let pointer = reference.strip_prefix("#/")?;
    Some(pointer.split('/').map(|segment| {
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        if decoded.contains('~') {
            decoded.replace("~1", "/").replace("~0", "~").into()
        } else {
            decoded
        }
    }))
}

/// A place in the document.
#[derive(Debug, Clone)]
pub(super) struct Place<'d> {
    /// Where, escaped, such as `#/components/schemas/Pet`.
    pub(super) pointer: String,
    /// What is there.
    pub(super) value: &'d Value,
}

/// What a local reference points to. A pointer that leads through another reference is
/// followed, as most tools do.
pub(super) fn resolve<'d>(root: &'d Value, reference: &str) -> Option<Place<'d>> {
    let mut hops = MAX_HOPS;
    resolve_within(root, reference, &mut hops)
}

/// [`resolve`] with so many hops left, over all levels.
fn resolve_within<'d>(root: &'d Value, reference: &str, hops: &mut usize) -> Option<Place<'d>> {
    let mut place = Place {
        pointer: "#".to_owned(),
        value: root,
    };
    for segment in unescaped(reference)? {
        loop {
            if let Some(inner) = child(place.value, &segment) {
                push(&mut place.pointer, &segment);
                place.value = inner;
                break;
            }
            *hops = hops.checked_sub(1)?;
            place = resolve_within(root, reference_of(place.value)?, hops)?;
        }
    }
    Some(place)
}

/// A member or an item.
pub(super) fn child<'d>(value: &'d Value, segment: &str) -> Option<&'d Value> {
    match value {
        Value::Object(map) => map.get(segment),
        Value::Array(list) => list.get(segment.parse::<usize>().ok()?),
        _ => None,
    }
}

/// `$ref`, if the value is a reference.
pub(super) fn reference_of(value: &Value) -> Option<&str> {
    value.as_object()?.get("$ref")?.as_str()
}

/// Whether an object is a reference: a `$ref` that is no text is only a key like others.
pub(super) fn is_reference(map: &Map) -> bool {
    map.get("$ref").is_some_and(Value::is_string)
}

/// The object that stands there, or that its chain of references leads to. The error is a
/// reason.
pub(super) fn follow<'d>(
    root: &'d Value,
    mut place: Place<'d>,
) -> Result<(String, &'d Map), String> {
    for _ in 0..MAX_HOPS {
        let Some(reference) = reference_of(place.value) else {
            return match place.value {
                Value::Object(map) => Ok((place.pointer, map)),
                _ => Err("it is not an object".to_owned()),
            };
        };
        place = resolve(root, reference)
            .ok_or_else(|| format!("its reference `{reference}` leads nowhere"))?;
    }
    Err("its references go in a circle".to_owned())
}

/// What stands there, or what the reference there leads to.
pub(super) fn resolved<'d>(root: &'d Value, value: &'d Value) -> &'d Value {
    let place = reference_of(value).and_then(|at| resolve(root, at));
    place.map_or(value, |place| place.value)
}

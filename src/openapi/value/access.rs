//! Looking into a value.

use serde_json::Number;

use super::{Map, Text, Value};

/// What names a part of a value: a member or an item.
pub trait Part {
    /// The part.
    fn of<'v>(&self, value: &'v Value) -> Option<&'v Value>;
    /// The part, to be changed.
    fn of_mut<'v>(&self, value: &'v mut Value) -> Option<&'v mut Value>;
    /// The name of the member that it is, if it is one.
    #[cfg(test)]
    fn name(&self) -> Option<&str>;
}

impl Part for str {
    fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        value.as_object()?.get(self)
    }

    fn of_mut<'v>(&self, value: &'v mut Value) -> Option<&'v mut Value> {
        value.as_object_mut()?.get_mut(self)
    }

    #[cfg(test)]
    fn name(&self) -> Option<&str> {
        Some(self)
    }
}

macro_rules! names {
    ($($text:ty)*) => {$(
        impl Part for $text {
            fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
                self.as_str().of(value)
            }

            fn of_mut<'v>(&self, value: &'v mut Value) -> Option<&'v mut Value> {
                self.as_str().of_mut(value)
            }

            #[cfg(test)]
            fn name(&self) -> Option<&str> {
                Some(self)
            }
        }
    )*};
}
names!(String Text);

impl Part for usize {
    fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        value.as_array()?.get(*self)
    }

    fn of_mut<'v>(&self, value: &'v mut Value) -> Option<&'v mut Value> {
        value.as_array_mut()?.get_mut(*self)
    }

    #[cfg(test)]
    fn name(&self) -> Option<&str> {
        None
    }
}

impl<P: Part + ?Sized> Part for &P {
    fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        (**self).of(value)
    }

    fn of_mut<'v>(&self, value: &'v mut Value) -> Option<&'v mut Value> {
        (**self).of_mut(value)
    }

    #[cfg(test)]
    fn name(&self) -> Option<&str> {
        (**self).name()
    }
}

impl Value {
    /// A member or an item.
    pub fn get(&self, part: impl Part) -> Option<&Value> {
        part.of(self)
    }

    /// A member or an item, to be changed.
    pub fn get_mut(&mut self, part: impl Part) -> Option<&mut Value> {
        part.of_mut(self)
    }

    /// What a JSON pointer leads to (RFC 6901 §4), such as `/paths/~1todos/get`.
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        let mut at = self;
        for token in tokens(pointer)? {
            at = match at {
                Value::Object(map) => map.get(&token)?,
                Value::Array(list) => list.get(item(&token)?)?,
                _ => return None,
            };
        }
        Some(at)
    }

    /// The same, to be changed.
    pub fn pointer_mut(&mut self, pointer: &str) -> Option<&mut Value> {
        let mut at = self;
        for token in tokens(pointer)? {
            at = match at {
                Value::Object(map) => map.get_mut(&token)?,
                Value::Array(list) => list.get_mut(item(&token)?)?,
                _ => return None,
            };
        }
        Some(at)
    }

    /// The value; `null` stays in its place.
    #[must_use]
    pub fn take(&mut self) -> Value {
        std::mem::take(self)
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Whether it is `true` or `false`.
    pub fn is_boolean(&self) -> bool {
        matches!(self, Value::Bool(_))
    }

    /// Whether it is a number.
    pub fn is_number(&self) -> bool {
        matches!(self, Value::Number(_))
    }

    /// Whether it is a text.
    pub fn is_string(&self) -> bool {
        matches!(self, Value::String(_))
    }

    /// Whether it is a list.
    pub fn is_array(&self) -> bool {
        matches!(self, Value::Array(_))
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        matches!(self, Value::Object(_))
    }

    /// Whether it is a whole number from 0 to 2^64 − 1.
    pub fn is_u64(&self) -> bool {
        self.as_u64().is_some()
    }

    /// Whether it is a whole number from −2^63 to 2^63 − 1.
    pub fn is_i64(&self) -> bool {
        self.as_i64().is_some()
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The number, if it is a whole one of this range.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_number()?.as_u64()
    }

    /// The number, if it is a whole one of this range.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number()?.as_i64()
    }

    /// The number, as near as a double comes to it.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number()?.as_f64()
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub fn as_array(&self) -> Option<&Vec<Value>> {
        match self {
            Value::Array(list) => Some(list),
            _ => None,
        }
    }

    /// The list, to be changed, if it is one.
    pub fn as_array_mut(&mut self) -> Option<&mut Vec<Value>> {
        match self {
            Value::Array(list) => Some(list),
            _ => None,
        }
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<&Map> {
        match self {
            Value::Object(map) => Some(map),
            _ => None,
        }
    }

    /// The object, to be changed, if it is one.
    pub fn as_object_mut(&mut self) -> Option<&mut Map> {
        match self {
            Value::Object(map) => Some(map),
            _ => None,
        }
    }

    /// Bytes of its JSON without blanks.
    pub fn json_bytes(&self) -> usize {
        let mut count = Count(0);
        // Counting does not fail.
        let _ = serde_json::to_writer(&mut count, self);
        count.0
    }

    /// Gives back the room that containers grew into: a document stays in memory as
    /// long as it serves. The depth of what was read is bounded.
    pub(in crate::openapi) fn shrink_to_fit(&mut self) {
        match self {
            Value::Object(map) => {
                map.shrink_to_fit();
                map.values_mut().for_each(Value::shrink_to_fit);
            }
            Value::Array(list) => {
                list.shrink_to_fit();
                list.iter_mut().for_each(Value::shrink_to_fit);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// Counts what is written.
struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The reference tokens of a pointer; `None` if it is none.
fn tokens(pointer: &str) -> Option<impl Iterator<Item = String>> {
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return None;
    }
    let tokens = pointer.split('/').skip(1);
    Some(tokens.map(|token| token.replace("~1", "/").replace("~0", "~")))
}

/// The place that a reference token names in a list: digits without a leading zero.
fn item(token: &str) -> Option<usize> {
    let leading = token.starts_with('0') && token.len() > 1;
    let plain = token.bytes().all(|b| b.is_ascii_digit()) && !leading;
    plain.then(|| token.parse().ok()).flatten()
}

/// `null` where there is no such part.
impl<P: Part> std::ops::Index<P> for Value {
    type Output = Value;

    fn index(&self, part: P) -> &Value {
        static NULL: Value = Value::Null;
        part.of(self).unwrap_or(&NULL)
    }
}

/// A member that is not there is made. Panics where there can be none: for tests.
#[cfg(test)]
impl<P: Part> std::ops::IndexMut<P> for Value {
    fn index_mut(&mut self, part: P) -> &mut Value {
        if let Some(name) = part.name() {
            if self.is_null() {
                *self = Map::new().into();
            }
            if let Value::Object(map) = &mut *self {
                map.entry(name).or_insert_with(Value::default);
            }
        }
        part.of_mut(self).expect("there is such a part")
    }
}

impl std::ops::Index<&str> for Map {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        static NULL: Value = Value::Null;
        self.get(key).unwrap_or(&NULL)
    }
}

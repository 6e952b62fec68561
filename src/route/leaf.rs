//! The operations of one path: told apart by method and fixed query.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::LazyLock;

use super::Methods;
use super::query;
use super::template::{Segment, encode};

/// The end of a path.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    /// The text of the static segments, canonically encoded; `None` for all others.
    canonical: Box<[Option<Box<str>>]>,
    /// Which segments have text beside their parameters; empty if none has.
    mixed: Box<[bool]>,
    /// Operations without a fixed query; no method twice.
    plain: Vec<Candidate>,
    /// Operations with one, under the first of their keys.
    fixed: Vec<Keyed>,
    /// All keys that any of them fixes.
    keys: Vec<String>,
}

/// What a request is that could be read as several operations: one that may not be called.
static NOBODYS: LazyLock<Candidate> = LazyLock::new(|| Candidate {
    method: Methods::NONE,
    fixed: Box::default(),
    operation: usize::MAX,
    encoded_slash: false,
    published: false,
});

/// One operation.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Exactly one.
    pub(super) method: Methods,
    /// What the query must hold, sorted.
    fixed: Box<[(String, String)]>,
    /// Index that the caller knows.
    pub(super) operation: usize,
    /// Whether its parameters may hold `%2F`.
    pub(super) encoded_slash: bool,
    /// Whether it may be called.
    pub(super) published: bool,
}

impl Candidate {
    /// Of an operation.
    pub(super) fn new(operation: usize, spec: &super::Spec) -> Self {
        let mut fixed = spec.fixed_query.clone();
        fixed.sort();
        Self {
            method: Methods::of(&spec.method),
            fixed: fixed.into(),
            operation,
            encoded_slash: spec.encoded_slash,
            published: spec.published,
        }
    }

    /// What comes first when several fit: more keys, then what may not be called, since the
    /// upstream may read the request as that; then the order of the document.
    fn rank(&self) -> impl Ord + use<> {
        (Reverse(self.fixed.len()), self.published, self.operation)
    }

    /// Whether the query holds all of it.
    fn holds(&self, query: &[u8]) -> bool {
        self.fixed.iter().all(|(key, value)| {
            query::unique(query, key).is_some_and(|given| *given == *value.as_bytes())
        })
    }
}

/// Operations by the value of one parameter, so that an API of one path and a thousand actions
/// costs what one action costs.
#[derive(Debug)]
struct Keyed {
    /// The parameter.
    key: String,
    /// By its decoded value.
    by_value: HashMap<Box<[u8]>, Vec<Candidate>>,
    /// The most fixed parameters that the operations of one value have together.
    largest: usize,
}

impl Keyed {
    /// [`largest`](Self::largest) with one more operation.
    fn largest_with(&self, candidate: &Candidate, value: &str) -> usize {
        let there = self.by_value.get(value.as_bytes());
        let there: usize = there.map_or(0, |bucket| bucket.iter().map(|one| one.fixed.len()).sum());
        self.largest.max(there + candidate.fixed.len())
    }
}

impl Leaf {
    /// Names the path that ends here.
    pub(super) fn set_path(&mut self, segments: &[Segment]) {
        let text = |segment: &Segment| match segment {
            Segment::Literal(bytes) => Some(encode(bytes)),
            Segment::Mixed(_) | Segment::Parameter => None,
        };
        self.canonical = segments.iter().map(text).collect();
        let is_mixed = |segment: &Segment| matches!(segment, Segment::Mixed(_));
        if segments.iter().any(is_mixed) {
            self.mixed = segments.iter().map(is_mixed).collect();
        }
    }

    /// The operation that has this one's method and query already.
    pub(super) fn same_as(&self, candidate: &Candidate) -> Option<&Candidate> {
        let bucket = match candidate.fixed.first() {
            None => Some(&self.plain),
            Some((key, value)) => self
                .keyed(key)
                .and_then(|keyed| keyed.by_value.get(value.as_bytes())),
        };
        bucket?
            .iter()
            .find(|one| one.method == candidate.method && one.fixed == candidate.fixed)
    }

    /// The steps that one more operation adds to those of a look at this leaf.
    pub(super) fn added_steps(&self, candidate: &Candidate) -> usize {
        match candidate.fixed.first() {
            None => 0,
            Some((key, value)) => match self.keyed(key) {
                None => 1 + candidate.fixed.len(),
                Some(keyed) => keyed.largest_with(candidate, value) - keyed.largest,
            },
        }
    }

    /// Adds an operation.
    pub(super) fn add(&mut self, candidate: Candidate) {
        let Some((key, value)) = candidate.fixed.first().cloned() else {
            self.plain.push(candidate);
            return;
        };
        for (key, _) in &candidate.fixed {
            if !self.keys.contains(key) {
                self.keys.push(key.clone());
            }
        }
        let place = self.fixed.iter().position(|keyed| keyed.key == key);
        let place = place.unwrap_or_else(|| {
            self.fixed.push(Keyed {
                key,
                by_value: HashMap::new(),
                largest: 0,
            });
            self.fixed.len() - 1
        });
        let keyed = &mut self.fixed[place];
        keyed.largest = keyed.largest_with(&candidate, &value);
        let bucket = keyed.by_value.entry(value.into_bytes().into()).or_default();
        bucket.push(candidate);
    }

    /// Those whose first key is this one.
    fn keyed(&self, key: &str) -> Option<&Keyed> {
        self.fixed.iter().find(|keyed| keyed.key == key)
    }

    /// The operations whose query fits, best first.
    pub(super) fn fitting<'l>(&'l self, query: Option<&[u8]>) -> Fitting<'l> {
        let mut keyed = Vec::new();
        let mut unclear = false;
        if let Some(query) = query {
            // A fixed parameter that is given twice, or under another spelling: the upstream may
            // read the request as an operation that has it, so it is none that has not.
            let doubtful =
                |key: &String| query::is_given(query, key) && query::unique(query, key).is_none();
            unclear = self.keys.iter().any(doubtful);
            for one in &self.fixed {
                let value = query::unique(query, &one.key);
                let bucket = value.and_then(|value| one.by_value.get(&*value));
                keyed.extend(bucket.into_iter().flatten().filter(|one| one.holds(query)));
            }
            keyed.sort_by_key(|one| one.rank());
        }
        Fitting {
            keyed,
            plain: &self.plain,
            unclear: unclear.then(|| &*NOBODYS),
        }
    }

    /// The raw path as it goes upstream: see [`Found::upstream_path`](super::Found).
    pub(super) fn upstream_path<'p>(&self, raw: &'p str) -> Cow<'p, str> {
        let pairs = || self.canonical.iter().zip(raw.split('/').skip(1));
        let differs = |(canonical, raw): (&Option<Box<str>>, &str)| {
            canonical.as_ref().is_some_and(|text| **text != *raw)
        };
        let escaped = !self.mixed.is_empty() && raw.contains('%');
        if !escaped && !pairs().any(differs) {
            return Cow::Borrowed(raw);
        }
        // Canonical text is at most three times as long as what it stands for.
        let mut path = String::with_capacity(raw.len() + 16);
        for (place, (canonical, raw)) in pairs().enumerate() {
            path.push('/');
            match canonical {
                Some(canonical) => path.push_str(canonical),
                None if self.mixed.get(place) == Some(&true) => push_unescaped(&mut path, raw),
                None => path.push_str(raw),
            }
        }
        Cow::Owned(path)
    }
}

/// Adds a segment with its unreserved characters as they are, which is the same segment (RFC 3986
/// §6.2.2.2): its text would be found by us and not by a server that looks before it decodes.
fn push_unescaped(path: &mut String, raw: &str) {
    let mut rest = raw;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        path.push_str(before);
        let byte = escape
            .get(1..3)
            .map(|digits| u8::from_str_radix(digits, 16));
        let end = escape.len().min(3);
        match byte {
            Some(Ok(byte)) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                path.push(char::from(byte));
            }
            _ => path.push_str(escape.get(..end).unwrap_or(escape)),
        }
        rest = escape.get(end..).unwrap_or_default();
    }
    path.push_str(rest);
}

/// The operations of a leaf whose query fits.
pub(super) struct Fitting<'l> {
    /// Those with a fixed query, best first. Empty, and not allocated, for nearly every API.
    keyed: Vec<&'l Candidate>,
    /// Those without.
    plain: &'l [Candidate],
    /// Set when the query could be read in several ways.
    unclear: Option<&'l Candidate>,
}

impl<'l> Fitting<'l> {
    /// What this leaf has to say about a method: the operation that it is, published or not.
    /// A published GET answers HEAD too, unless HEAD has an operation of its own.
    pub(super) fn decide(&self, method: Methods) -> Option<&'l Candidate> {
        if self.unclear.is_some() {
            return self.unclear;
        }
        let first = self.first(method);
        if method != Methods::HEAD || first.is_some_and(|own| own.published) {
            return first;
        }
        match self.first(Methods::GET) {
            Some(get) if get.published => Some(get),
            get => get.or(first),
        }
    }

    /// The best with exactly this method.
    fn first(&self, method: Methods) -> Option<&'l Candidate> {
        let mut all = self.keyed.iter().copied().chain(self.plain);
        all.find(|one| one.method == method)
    }
}

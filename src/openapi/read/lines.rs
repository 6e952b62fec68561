//! Places → the lines on which they stand.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, ScalarStyle, Span};

use super::build::{is_merge, is_nothing, key_text};
use super::tokens::{Kind, Token, Tokens};
use super::yaml::{Sink, unshield};
use super::{MAX_DEPTH, ReadError, ReadErrorKind, decode, json, yaml};

/// The line (from 1) at which each of these places stands in a text: of the key, or of the list
/// item.
///
/// A pointer is `#` or `#/a/b`, escaped by `~0` and `~1` only. Where its last parts are not there,
/// as what is merged in or repeated by an alias is not, it is the line of the longest part that
/// is; pointers of which nothing is there are left out. Of keys that stand twice the last counts.
/// A text that can not be read has the lines up to its fault. Linear in the text and the pointers.
pub fn lines<'p>(
    bytes: &[u8],
    pointers: impl IntoIterator<Item = &'p str>,
) -> HashMap<String, u64> {
    let mut trie = Trie::default();
    let wanted: Vec<(&str, usize)> = pointers
        .into_iter()
        .filter_map(|pointer| Some((pointer, trie.add(pointer)?)))
        .collect();
    let Ok(text) = decode::decode(bytes) else {
        return HashMap::new();
    };
    trie.number_items();
    let mut walk = Walk::new(trie);
    if !(json::is_json(&text) && walk.json(&text)) {
        // A fault of the text is told by whoever reads it.
        let _ = yaml::parse(&text, MAX_DEPTH, &mut walk);
    }
    let found = walk.trie.found();
    let line = |(pointer, node): (&str, usize)| Some((pointer.to_owned(), found[node]?));
    wanted.into_iter().filter_map(line).collect()
}

/// The places that are wanted, as a tree. Parents stand before their children.
#[derive(Debug)]
struct Trie {
    /// The root is the first.
    nodes: Vec<Node>,
    /// Visits so far.
    visits: u64,
}

/// A place, or what leads to one.
#[derive(Debug, Default)]
struct Node {
    /// What it is in; 0 for the root itself.
    parent: usize,
    /// Members that are wanted.
    members: HashMap<String, usize>,
    /// Those of them that could be items of a list, by index.
    items: Vec<(usize, usize)>,
    /// Line of its last visit, and the number of that visit; 0: none.
    line: u64,
    /// See `line`.
    visit: u64,
    /// The number of the visit of its parent at which it was visited. A later visit of the parent,
    /// which is a doubled key, makes this one void.
    within: u64,
}

impl Default for Trie {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            visits: 0,
        }
    }
}

impl Trie {
    /// The node of a pointer; `None`: it is none.
    fn add(&mut self, pointer: &str) -> Option<usize> {
        let rest = pointer.strip_prefix('#')?;
        if rest.is_empty() {
            return Some(0);
        }
        let mut node = 0;
        for segment in rest.strip_prefix('/')?.split('/') {
            let segment = segment.replace("~1", "/").replace("~0", "~");
            let fresh = self.nodes.len();
            let next = *self.nodes[node].members.entry(segment).or_insert(fresh);
            if next == fresh {
                self.nodes.push(Node {
                    parent: node,
                    ..Node::default()
                });
            }
            node = next;
        }
        Some(node)
    }

    /// Sorts what could be items of lists.
    fn number_items(&mut self) {
        for node in &mut self.nodes {
            for (name, at) in &node.members {
                // `+1` and `01` are numbers as well, but no indices.
                let index = name.parse().ok();
                let index = index.filter(|index: &usize| index.to_string() == *name);
                node.items.extend(index.map(|index| (index, *at)));
            }
            node.items.sort_unstable();
        }
    }

    /// A node is at this line.
    fn visit(&mut self, node: usize, line: u64) {
        self.visits += 1;
        let within = self.nodes[self.nodes[node].parent].visit;
        let place = &mut self.nodes[node];
        (place.line, place.visit, place.within) = (line, self.visits, within);
    }

    /// As if nothing had been visited.
    fn forget(&mut self) {
        for node in &mut self.nodes {
            node.visit = 0;
        }
    }

    /// For each node its line, or that of its nearest parent but the root.
    fn found(&self) -> Vec<Option<u64>> {
        let mut lines: Vec<Option<u64>> = Vec::with_capacity(self.nodes.len());
        let mut valid = Vec::with_capacity(self.nodes.len());
        for (at, node) in self.nodes.iter().enumerate() {
            let parent = node.parent;
            let is_there = node.visit > 0
                && (at == 0 || (valid[parent] && node.within == self.nodes[parent].visit));
            let inherited = if parent == 0 { None } else { lines[parent] };
            lines.push(if is_there { Some(node.line) } else { inherited });
            valid.push(is_there);
        }
        lines
    }
}

/// A list or object that is open.
#[derive(Debug)]
struct Frame {
    /// Its node, if something in it is wanted.
    node: Option<usize>,
    /// Objects want keys.
    is_object: bool,
    /// Whether a key came whose value comes next.
    has_key: bool,
    /// The node of that key, if it is wanted.
    key: Option<usize>,
    /// How many items came.
    index: usize,
    /// How many of the node's items have an index below that.
    passed: usize,
}

/// Goes through a text and notes what is wanted.
#[derive(Debug)]
struct Walk {
    /// What is wanted.
    trie: Trie,
    /// Open lists and objects.
    open: Vec<Frame>,
    /// Whether there was a value.
    is_begun: bool,
    /// See [`Sink::begin`].
    shielded: bool,
}

impl Walk {
    /// At the beginning.
    fn new(trie: Trie) -> Self {
        Self {
            trie,
            open: Vec::new(),
            is_begun: false,
            shielded: false,
        }
    }

    /// Whether a key comes next.
    fn wants_key(&self) -> bool {
        let frame = self.open.last();
        frame.is_some_and(|frame| frame.is_object && !frame.has_key)
    }

    /// A key. `name` is asked only where a key could be wanted.
    fn key(&mut self, name: impl FnOnce() -> Option<String>, line: u64) {
        let Some(frame) = self.open.last_mut() else {
            return;
        };
        let node = frame.node.and_then(|node| {
            let members = &self.trie.nodes[node].members;
            if members.is_empty() {
                return None;
            }
            members.get(&name()?).copied()
        });
        frame.has_key = true;
        frame.key = node;
        if let Some(node) = node {
            self.trie.visit(node, line);
        }
    }

    /// A value begins: its node, if it is wanted.
    fn value(&mut self, line: u64) -> Option<usize> {
        let Some(frame) = self.open.last_mut() else {
            // The root; a second one is none of ours.
            let first = !std::mem::replace(&mut self.is_begun, true);
            if first {
                self.trie.visit(0, line);
            }
            return first.then_some(0);
        };
        if frame.is_object {
            frame.has_key = false;
            return frame.key.take();
        }
        let index = frame.index;
        frame.index += 1;
        let next = self.trie.nodes[frame.node?].items.get(frame.passed)?;
        if next.0 != index {
            return None;
        }
        let node = next.1;
        frame.passed += 1;
        self.trie.visit(node, line);
        Some(node)
    }

    /// A list or object begins. False: too deep.
    fn open(&mut self, is_object: bool, line: u64) -> bool {
        let node = self.value(line);
        self.open.push(Frame {
            node,
            is_object,
            has_key: false,
            key: None,
            index: 0,
            passed: 0,
        });
        self.open.len() <= MAX_DEPTH
    }

    /// Through JSON, comments and commas at the end included. False: it is something else.
    fn json(&mut self, text: &str) -> bool {
        let mut key: Option<Token> = None;
        for token in Tokens::new(text) {
            match token.kind {
                Kind::Open(_) | Kind::Word if self.wants_key() => return false,
                Kind::Open(is_object) => {
                    if !self.open(is_object, token.line) {
                        // Too deep for YAML as well.
                        return true;
                    }
                }
                Kind::Close => drop(self.open.pop()),
                Kind::Text if self.wants_key() => key = Some(token),
                Kind::Colon => {
                    let Some(key) = key.take() else {
                        return false;
                    };
                    let name = || json::string(text, &key).map(Cow::into_owned);
                    self.key(name, key.line);
                }
                Kind::Text | Kind::Word => drop(self.value(token.line)),
                Kind::Comma | Kind::Comment => {}
            }
        }
        self.open.is_empty()
    }
}

impl Sink for Walk {
    fn begin(&mut self, shielded: bool) {
        self.trie.forget();
        self.open.clear();
        self.is_begun = false;
        self.shielded = shielded;
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), ReadError> {
        let line = span.start.line() as u64;
        let goes_on = match event {
            Event::Scalar(text, style, ..) if self.wants_key() => {
                let text = if self.shielded { unshield(text) } else { text };
                // What it merges is not there in so many words.
                let name = || (!is_merge(&text, style)).then(|| key_text(text, style, span));
                self.key(name, line);
                true
            }
            // Which key an alias repeats, only the reader knows.
            Event::Alias(_) if self.wants_key() => {
                self.key(|| None, line);
                true
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if self.wants_key() => false,
            Event::Scalar(_, ScalarStyle::Plain, ..)
                if self.open.is_empty() && is_nothing(span) =>
            {
                true
            }
            Event::Scalar(..) | Event::Alias(_) => {
                self.value(line);
                true
            }
            Event::SequenceStart(..) => self.open(false, line),
            Event::MappingStart(..) => self.open(true, line),
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                true
            }
            _ => true,
        };
        let end = || ReadError::of(ReadErrorKind::TooDeep(MAX_DEPTH));
        goes_on.then_some(()).ok_or_else(end)
    }
}

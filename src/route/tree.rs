//! The tree of segments.

use hashbrown::HashMap;

use super::Methods;
use super::leaf::{Candidate, Leaf};
use super::template::{Pattern, Segment, lower_case};

/// Most steps that a request may take, whatever its path. Real documents stay far below: one
/// step per segment, and one for each sibling that is mixed of text and parameters.
pub const MAX_STEPS: usize = 4096;

/// Where the walk begins.
pub(super) const ROOT: usize = 0;

/// Up to this many literals are compared one by one, which is quicker than hashing.
const FEW: usize = 8;

/// All templates.
#[derive(Debug)]
pub(super) struct Tree {
    /// The root first. Each has exactly one parent.
    pub(super) nodes: Vec<Node>,
    /// Whether a path that could be another operation's is looked at.
    pub(super) heeds_similar: bool,
}

/// What may follow after the segments so far.
#[derive(Debug)]
pub(super) struct Node {
    /// By the decoded bytes of the segment.
    pub(super) literals: Literals,
    /// In the order in which they are tried.
    pub(super) mixed: Vec<(Pattern, usize)>,
    /// Any segment that is not empty.
    pub(super) parameter: Option<usize>,
    /// The literals in lower case, sorted; empty until [`Tree::refuse_similar`].
    pub(super) similar_literals: Box<[(Box<[u8]>, usize)]>,
    /// What is mixed in lower case, in the same order; empty until then as well.
    pub(super) similar_mixed: Box<[(Pattern, usize)]>,
    /// The operations of the path that ends here.
    pub(super) leaf: Option<Leaf>,
    /// The most steps that a walk from here can take.
    steps: usize,
    /// The part of them that is below the literals; only one of those is followed.
    literal_steps: usize,
}

impl Node {
    /// Without children.
    fn new() -> Self {
        Self {
            literals: Literals::Few(Vec::new()),
            mixed: Vec::new(),
            parameter: None,
            similar_literals: Box::default(),
            similar_mixed: Box::default(),
            leaf: None,
            steps: 1,
            literal_steps: 0,
        }
    }

    /// The child for exactly this segment of a template.
    fn child(&self, segment: &Segment) -> Option<usize> {
        match segment {
            Segment::Literal(bytes) => self.literals.get(bytes),
            Segment::Mixed(pattern) => {
                let mut mixed = self.mixed.iter();
                mixed
                    .find(|(one, _)| one == pattern)
                    .map(|(_, child)| *child)
            }
            Segment::Parameter => self.parameter,
        }
    }

    /// Adds a child that is not there yet.
    fn add_child(&mut self, segment: &Segment, child: usize) {
        match segment {
            Segment::Literal(bytes) => self.literals.insert(bytes.clone(), child),
            Segment::Mixed(pattern) => {
                let place = self
                    .mixed
                    .partition_point(|(one, _)| one.rank() < pattern.rank());
                self.mixed.insert(place, (pattern.clone(), child));
            }
            Segment::Parameter => self.parameter = Some(child),
        }
    }
}

/// Children by literal.
#[derive(Debug)]
pub(super) enum Literals {
    /// To be compared one by one.
    Few(Vec<(Box<[u8]>, usize)>),
    /// To be hashed, so that a look costs the same however many there are.
    Many(HashMap<Box<[u8]>, usize>),
}

impl Literals {
    /// The child for these decoded bytes.
    pub(super) fn get(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Few(few) => {
                let mut few = few.iter();
                few.find(|(literal, _)| **literal == *bytes)
                    .map(|(_, child)| *child)
            }
            Self::Many(many) => many.get(bytes).copied(),
        }
    }

    /// All of them.
    fn all(&self) -> Vec<(&[u8], usize)> {
        match self {
            Self::Few(few) => few.iter().map(|(text, child)| (&**text, *child)).collect(),
            Self::Many(many) => many.iter().map(|(text, child)| (&**text, *child)).collect(),
        }
    }

    /// Adds one that is not there yet.
    fn insert(&mut self, bytes: Box<[u8]>, child: usize) {
        match self {
            Self::Few(few) if few.len() < FEW => few.push((bytes, child)),
            Self::Few(few) => {
                let mut many: HashMap<_, _> = few.drain(..).collect();
                many.insert(bytes, child);
                *self = Self::Many(many);
            }
            Self::Many(many) => {
                many.insert(bytes, child);
            }
        }
    }
}

impl Tree {
    /// Without templates.
    pub(super) fn new() -> Self {
        Self {
            nodes: vec![Node::new()],
            heeds_similar: false,
        }
    }

    /// From now on a path that could be another operation's to a lenient server is looked at.
    pub(super) fn refuse_similar(&mut self) {
        self.heeds_similar = true;
        for node in &mut self.nodes {
            let literals = node.literals.all().into_iter();
            let mut literals: Vec<(Box<[u8]>, usize)> = literals
                .map(|(text, child)| (lower_case(text).into(), child))
                .collect();
            literals.sort();
            node.similar_literals = literals.into();
            let mixed = node.mixed.iter();
            node.similar_mixed = mixed
                .map(|(pattern, child)| (pattern.to_lower_case(), *child))
                .collect();
        }
    }

    /// What is published under a path, and what is not under the same path but for a slash at its
    /// end, of the same method.
    pub(super) fn twins(&self) -> Vec<(usize, usize)> {
        let mut twins = Vec::new();
        for node in &self.nodes {
            let slash = node.literals.get(b"").map(|child| &self.nodes[child]);
            let pair = node
                .leaf
                .as_ref()
                .zip(slash.and_then(|node| node.leaf.as_ref()));
            let Some((bare, slash)) = pair else { continue };
            for method in Methods::all() {
                let decided = |leaf: &Leaf| {
                    let fitting = leaf.fitting(None);
                    fitting
                        .decide(method)
                        .map(|one| (one.operation, one.published))
                };
                let pair = match (decided(bare), decided(slash)) {
                    (Some((shown, true)), Some((hidden, false)))
                    | (Some((hidden, false)), Some((shown, true))) => (shown, hidden),
                    _ => continue,
                };
                if !twins.contains(&pair) {
                    twins.push(pair);
                }
            }
        }
        twins
    }

    /// The leaf of exactly this template.
    pub(super) fn leaf(&self, segments: &[Segment]) -> Option<&Leaf> {
        let mut node = &self.nodes[ROOT];
        for segment in segments {
            node = &self.nodes[node.child(segment)?];
        }
        node.leaf.as_ref()
    }

    /// The most steps that any request can take.
    #[cfg(test)]
    pub(super) fn steps(&self) -> usize {
        self.nodes[ROOT].steps
    }

    /// [`steps`](Self::steps) if the leaf of this template took so many more.
    pub(super) fn steps_with(&self, segments: &[Segment], more: usize) -> usize {
        self.steps_below(Some(ROOT), segments, more)
    }

    /// The steps below one node if the leaf at the end of `segments` took so many more. Without
    /// a node: as if it were made.
    fn steps_below(&self, node: Option<usize>, segments: &[Segment], more: usize) -> usize {
        let there = node.map(|node| &self.nodes[node]);
        let steps = there.map_or(1, |node| node.steps);
        let Some((segment, rest)) = segments.split_first() else {
            return steps + more;
        };
        let child = there.and_then(|node| node.child(segment));
        let below = self.steps_below(child, rest, more);
        let before = child.map_or(0, |child| self.nodes[child].steps);
        match segment {
            Segment::Literal(_) => {
                let literals = there.map_or(0, |node| node.literal_steps);
                steps + below.saturating_sub(literals)
            }
            Segment::Mixed(pattern) if child.is_none() => steps + below + pattern.weight(),
            Segment::Mixed(_) | Segment::Parameter => steps + below - before,
        }
    }

    /// Adds an operation at the end of a template.
    pub(super) fn add(&mut self, segments: &[Segment], candidate: Candidate) {
        let more = self.leaf(segments).map_or_else(
            || Leaf::default().added_steps(&candidate),
            |leaf| leaf.added_steps(&candidate),
        );
        let mut place = ROOT;
        for (depth, segment) in segments.iter().enumerate() {
            let rest = &segments[depth..];
            let child = self.nodes[place].child(segment);
            let below = self.steps_below(child, &rest[1..], more);
            let steps = self.steps_below(Some(place), rest, more);
            let child = child.unwrap_or_else(|| {
                self.nodes.push(Node::new());
                self.nodes.len() - 1
            });
            let node = &mut self.nodes[place];
            if node.child(segment).is_none() {
                node.add_child(segment, child);
            }
            if matches!(segment, Segment::Literal(_)) {
                node.literal_steps = node.literal_steps.max(below);
            }
            node.steps = steps;
            place = child;
        }
        let node = &mut self.nodes[place];
        node.steps += more;
        let leaf = node.leaf.get_or_insert_with(|| {
            let mut leaf = Leaf::default();
            leaf.set_path(segments);
            leaf
        });
        leaf.add(candidate);
    }
}

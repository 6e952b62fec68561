//! The tree of segments, and the walk through it.

use hashbrown::HashMap;

use super::leaf::{Candidate, Fitting, Leaf};
use super::path::{Facts, without_parameters};
use super::template::{Pattern, Segment};
use super::{Methods, Miss};

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
    nodes: Vec<Node>,
}

/// What may follow after the segments so far.
#[derive(Debug)]
struct Node {
    /// By the decoded bytes of the segment.
    literals: Literals,
    /// In the order in which they are tried.
    mixed: Vec<(Pattern, usize)>,
    /// Any segment that is not empty.
    parameter: Option<usize>,
    /// The literals in lower case, sorted; empty until [`Tree::refuse_similar`].
    similar_literals: Box<[(Box<[u8]>, usize)]>,
    /// What is mixed in lower case, in the same order; empty until then as well.
    similar_mixed: Box<[(Pattern, usize)]>,
    /// The operations of the path that ends here.
    leaf: Option<Leaf>,
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
enum Literals {
    /// To be compared one by one.
    Few(Vec<(Box<[u8]>, usize)>),
    /// To be hashed, so that a look costs the same however many there are.
    Many(HashMap<Box<[u8]>, usize>),
}

impl Literals {
    /// The child for these decoded bytes.
    fn get(&self, bytes: &[u8]) -> Option<usize> {
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
        }
    }

    /// From now on a path that could be another operation's to a lenient server is refused.
    pub(super) fn refuse_similar(&mut self) {
        for node in &mut self.nodes {
            let literals = node.literals.all().into_iter();
            let mut literals: Vec<(Box<[u8]>, usize)> = literals
                .map(|(text, child)| (text.to_ascii_lowercase().into(), child))
                .collect();
            literals.sort();
            node.similar_literals = literals.into();
            let mixed = node.mixed.iter();
            node.similar_mixed = mixed
                .map(|(pattern, child)| (pattern.to_lower_case(), *child))
                .collect();
        }
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

/// What a walk found.
pub(super) struct Hit<'t> {
    /// The path.
    pub(super) leaf: &'t Leaf,
    /// The operation, which is published.
    pub(super) candidate: &'t Candidate,
}

/// One walk, depth first, the more concrete branch first.
pub(super) struct Search<'t, 'q> {
    /// Where.
    tree: &'t Tree,
    /// The raw query.
    query: Option<&'q [u8]>,
    /// The method that is looked for; none, to see every leaf.
    wanted: Methods,
    /// Whether a segment of the path holds a `;`.
    semicolon: bool,
    /// Methods of which a leaf before has said what they are; those behind it have no say.
    decided: Methods,
    /// Methods of a published operation. Complete when nothing was found.
    pub(super) allowed: Methods,
    /// Steps so far.
    steps: usize,
    /// Steps on the way to similar paths.
    detours: usize,
}

impl<'t, 'q> Search<'t, 'q> {
    /// Not begun.
    pub(super) fn new(
        tree: &'t Tree,
        facts: &Facts<'_>,
        query: Option<&'q str>,
        wanted: Methods,
    ) -> Self {
        Self {
            tree,
            query: query.map(str::as_bytes),
            wanted,
            semicolon: facts.semicolon,
            decided: Methods::NONE,
            allowed: Methods::NONE,
            steps: 0,
            detours: 0,
        }
    }

    /// Walks.
    pub(super) fn run(&mut self, facts: &Facts<'_>) -> Result<Option<Hit<'t>>, Miss> {
        self.walk(ROOT, facts.decoded.get(1..))
    }

    /// Steps so far.
    #[cfg(test)]
    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    /// From one node on; `rest` is what is left of the path, nothing at its end. As deep as the
    /// longest template at most.
    fn walk(&mut self, node: usize, rest: Option<&[u8]>) -> Result<Option<Hit<'t>>, Miss> {
        self.steps += 1;
        let tree = self.tree;
        let node = &tree.nodes[node];
        let Some(rest) = rest else {
            return Ok(node.leaf.as_ref().and_then(|leaf| self.ask(leaf)));
        };
        let mut halves = rest.splitn(2, |byte| *byte == b'/');
        let segment = halves.next().unwrap_or_default();
        let rest = halves.next();
        let bare = self.semicolon && segment.contains(&b';');
        let bare = bare.then(|| without_parameters(segment));

        match (node.literals.get(segment), bare) {
            (Some(child), _) => {
                if let Some(hit) = self.walk(child, rest)? {
                    return Ok(Some(hit));
                }
            }
            (None, Some(bare)) if node.literals.get(bare).is_some() => return Err(SEMICOLON),
            (None, _) => {}
        }
        let Some((hit, taken)) = self.templated(node, (segment, bare), rest)? else {
            return Ok(None);
        };
        if self.is_similar(node, bare.unwrap_or(segment), rest, Some(taken))? {
            return Err(SIMILAR);
        }
        Ok(Some(hit))
    }

    /// From one node on by its children with parameters, in their order. With what was found
    /// comes the child that it was found by.
    fn templated(
        &mut self,
        node: &'t Node,
        (segment, bare): (&[u8], Option<&[u8]>),
        rest: Option<&[u8]>,
    ) -> Result<Option<(Hit<'t>, usize)>, Miss> {
        for (pattern, child) in &node.mixed {
            self.steps += pattern.weight();
            let fits = pattern.matches(segment);
            if bare.is_some_and(|bare| pattern.matches(bare) != fits) {
                return Err(SEMICOLON);
            }
            if fits && let Some(hit) = self.walk(*child, rest)? {
                return Ok(Some((hit, *child)));
            }
        }
        match node.parameter {
            Some(child) if !segment.is_empty() => {
                let hit = self.walk(child, rest)?;
                Ok(hit.map(|hit| (hit, child)))
            }
            _ => Ok(None),
        }
    }

    /// Whether servers that ignore case (Express, ASP.NET) or take an ending off (`.json`: Rails,
    /// Spring) may find another child of this node for a segment, and below it an operation with
    /// the wanted method. `taken`: the child that leads to what was found; those that stand before
    /// it count. Without one, on such a way, any child does.
    fn is_similar(
        &mut self,
        node: &'t Node,
        segment: &[u8],
        rest: Option<&[u8]>,
        taken: Option<usize>,
    ) -> Result<bool, Miss> {
        let literals = &node.similar_literals;
        if !literals.is_empty() {
            let is_end = |place: &usize| {
                let dot = rest.is_none() && segment.get(*place) == Some(&b'.');
                *place == segment.len() || dot && *place > 0 && place + 1 < segment.len()
            };
            // The end of a path with a trailing slash is an empty one.
            for end in (0..=segment.len()).filter(is_end) {
                let text = || segment[..end].iter().map(u8::to_ascii_lowercase);
                let first = literals.partition_point(|(one, _)| one.iter().copied().lt(text()));
                let same = literals[first..].iter();
                for (_, child) in same.take_while(|(one, _)| one.iter().copied().eq(text())) {
                    if self.leads_on(*child, rest)? {
                        return Ok(true);
                    }
                }
            }
        }
        if !node.similar_mixed.is_empty() {
            let lower = segment.to_ascii_lowercase();
            let mixed = node.similar_mixed.iter();
            let before = mixed.take_while(|(_, child)| taken != Some(*child));
            for (pattern, child) in before {
                self.detours += pattern.weight();
                if pattern.matches(&lower) && self.leads_on(*child, rest)? {
                    return Ok(true);
                }
            }
        }
        match node.parameter {
            Some(child) if taken.is_none() && !segment.is_empty() => self.leads_on(child, rest),
            _ => Ok(false),
        }
    }

    /// Whether an operation with the wanted method is at the end of a path that is similar to
    /// this one. Each node is seen once, but many of them may be similar to each other.
    fn leads_on(&mut self, node: usize, rest: Option<&[u8]>) -> Result<bool, Miss> {
        self.detours += 1;
        if self.detours > MAX_STEPS {
            return Err(SIMILAR);
        }
        let node = &self.tree.nodes[node];
        let Some(rest) = rest else {
            let decides = |leaf: &Leaf| leaf.fitting(self.query).decide(self.wanted).is_some();
            return Ok(node.leaf.as_ref().is_some_and(decides));
        };
        let mut halves = rest.splitn(2, |byte| *byte == b'/');
        let segment = halves.next().unwrap_or_default();
        let rest = halves.next();
        let bare = if self.semicolon {
            without_parameters(segment)
        } else {
            segment
        };
        self.is_similar(node, bare, rest, None)
    }

    /// Asks the leaf at the end of a path that fits.
    fn ask(&mut self, leaf: &'t Leaf) -> Option<Hit<'t>> {
        let fitting = leaf.fitting(self.query);
        if !self.wanted.is_empty() && !self.decided.intersects(self.wanted) {
            match fitting.decide(self.wanted) {
                Some(candidate) if candidate.published => return Some(Hit { leaf, candidate }),
                _ => {}
            }
        }
        self.note(&fitting);
        None
    }

    /// Remembers what a leaf says about each method.
    fn note(&mut self, fitting: &Fitting<'_>) {
        for method in Methods::all() {
            if !self.decided.intersects(method)
                && let Some(candidate) = fitting.decide(method)
            {
                self.decided = self.decided.union(method);
                if candidate.published {
                    self.allowed = self.allowed.union(method);
                }
            }
        }
    }
}

/// To a server that ignores case or endings it is a different operation.
const SIMILAR: Miss =
    Miss::Ambiguous("but for its case or an ending it is the path of another operation");
/// Without its parameters the segment is a static one, or another than with them: servers that
/// drop parameters would see a different operation.
const SEMICOLON: Miss = Miss::Ambiguous("a semicolon in a static segment of the path");

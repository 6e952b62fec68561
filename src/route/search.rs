//! The walk through the tree of segments.

use super::leaf::{Candidate, Fitting, Leaf};
use super::path::{Facts, without_parameters};
use super::similar::{How, Other};
use super::tree::{Node, ROOT, Tree};
use super::{Methods, Miss};

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
    pub(super) tree: &'t Tree,
    /// The raw query.
    pub(super) query: Option<&'q [u8]>,
    /// The method that is looked for; none, to see every leaf.
    pub(super) wanted: Methods,
    /// Whether a segment of the path holds a `;`.
    pub(super) semicolon: bool,
    /// Methods of which a leaf before has said what they are; those behind it have no say.
    decided: Methods,
    /// Methods of a published operation. Complete when nothing was found.
    pub(super) allowed: Methods,
    /// Steps so far.
    steps: usize,
    /// Steps on the way to similar paths.
    pub(super) detours: usize,
    /// What was found, while it is asked what else the path is in another form, and in which.
    pub(super) own: Option<(usize, How)>,
    /// What a lenient server would find instead.
    pub(super) others: Vec<Other>,
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
            own: None,
            others: Vec::new(),
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
    fn walk(&mut self, place: usize, rest: Option<&[u8]>) -> Result<Option<Hit<'t>>, Miss> {
        self.steps += 1;
        let tree = self.tree;
        let node = &tree.nodes[place];
        let Some(rest) = rest else {
            return Ok(node.leaf.as_ref().and_then(|leaf| self.ask(leaf)));
        };
        let (segment, rest) = first_segment(rest);
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
        if tree.heeds_similar {
            self.similar(place, (segment, rest), Some(taken), None)?;
            if let Some(bare) = bare {
                self.similar(place, (bare, rest), Some(taken), None)?;
            }
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

/// The first segment of what is left of a path, and what is left behind it: nothing at its end.
pub(super) fn first_segment(rest: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut halves = rest.splitn(2, |byte| *byte == b'/');
    (halves.next().unwrap_or_default(), halves.next())
}

/// Without its parameters the segment is a static one, or another than with them: servers that
/// drop parameters would see a different operation.
const SEMICOLON: Miss = Miss::Ambiguous("a semicolon in a static segment of the path");

//! Which other operations a path is to a server that is more lenient than we are.
//!
//! Servers ignore case (Express, ASP.NET), take an ending off (`.json`: Rails, Spring), do not look
//! at a slash at the end (Express, Rails), drop dots and spaces at the end of a segment (whatever
//! stands on Windows' file names), or decode an encoded slash before they look (nginx, Caddy, WSGI).
//! Of two paths that a document has side by side, and that differ in nothing but that, the server
//! can tell: what was found by its own text, or stands first in the order, is not asked further.

use super::Miss;
use super::leaf::Leaf;
use super::path::{Facts, SLASH, without_parameters};
use super::search::{Search, first_segment};
use super::template::lower_case;
use super::tree::{MAX_STEPS, ROOT};

/// An operation that a request may be at the upstream, beside the one that it is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Other {
    /// Its index in the `specs` of [`Router::build`](super::Router::build), published or not; one
    /// that is not there where the query leaves open which of several it is.
    pub operation: usize,
    /// To what kind of server.
    pub how: How,
}

/// What a server has to do for it. Where several things are needed together, the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It ignores case, or takes an ending off.
    Spelling,
    /// It does not look at a slash at the end of the path.
    Slash,
    /// It drops dots and spaces at the end of a segment.
    Tail,
    /// It decodes an encoded slash.
    Decoded,
    /// The query begins at a semicolon for it.
    Query,
}

impl How {
    /// The reason for refusing a path.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Spelling => SPELLING,
            Self::Slash => "but for a slash at its end it is the path of another operation",
            Self::Tail => {
                "but for dots or spaces at the end of a segment it is the path of another operation"
            }
            Self::Decoded => "with its encoded slashes decoded it is the path of another operation",
            Self::Query => "up to its semicolon it is the path of another operation",
        }
    }
}

/// The reason for refusing another spelling.
const SPELLING: &str = "but for its case or an ending it is the path of another operation";

/// Further leniency on the way.
fn with(how: Option<How>, more: How) -> Option<How> {
    how.max(Some(more))
}

impl Search<'_, '_> {
    /// Notes what the path of a request is to a server that decodes slashes, or drops dots and
    /// spaces at the ends of segments, before it looks: the whole path, so that it may be anything
    /// in the document. `found` is what it is here: also that is not another.
    pub(super) fn normalized(&mut self, facts: &Facts<'_>, found: usize) -> Result<(), Miss> {
        let how = if facts.encoded_slash {
            self.own = Some((found, How::Decoded));
            self.leads_on(ROOT, decoded(&facts.decoded).get(1..), None)?;
            How::Decoded
        } else {
            How::Tail
        };
        if facts.encoded_slash || facts.semicolon || facts.tail {
            self.own = Some((found, how));
            let bare = without_tails(&facts.decoded, without_parameters);
            self.leads_on(ROOT, bare.get(1..), None)?;
            if facts.semicolon {
                let whole = without_tails(&facts.decoded, |segment| segment);
                self.leads_on(ROOT, whole.get(1..), None)?;
            }
        }
        Ok(())
    }

    /// Notes what the path is to a server for which a semicolon ends it, and begins the query
    /// (Fastify, up to its version 4). `self` is of the part before it, and the query that of behind
    /// it. `found`: what the whole is here, if it is something.
    pub(super) fn up_to_semicolon(
        &mut self,
        facts: &Facts<'_>,
        found: Option<usize>,
    ) -> Result<(), Miss> {
        self.own = Some((found.unwrap_or(usize::MAX), How::Query));
        self.leads_on(ROOT, facts.decoded.get(1..), None)?;
        Ok(())
    }

    /// Notes the operations with the wanted method below the other children of a node that a
    /// lenient server may find for a segment. `taken`: the child that leads to what was found;
    /// those that stand before it count. Without one, on such a way, any child does. `how`: what
    /// was needed to come here.
    ///
    /// Whether there is one that needs nothing more: then what stands behind it does not count.
    pub(super) fn similar(
        &mut self,
        place: usize,
        (segment, rest): (&[u8], Option<&[u8]>),
        taken: Option<usize>,
        how: Option<How>,
    ) -> Result<bool, Miss> {
        let node = &self.tree.nodes[place];
        if !node.similar_literals.is_empty() {
            if self.by_literal(place, (segment, rest), how)? {
                return Ok(true);
            }
            // Behind an ending may stand a slash; an ending alone is a spelling like another.
            let ending = match rest {
                None => Some(How::Spelling),
                Some([]) => Some(How::Slash),
                Some(_) => None,
            };
            if let Some(ending) = ending {
                for end in 1..segment.len().saturating_sub(1) {
                    if segment[end] == b'.' {
                        self.by_literal(place, (&segment[..end], rest), with(how, ending))?;
                    }
                }
            }
        }
        self.by_parameters(place, (segment, rest), taken, how)
    }

    /// By the literals that a text is but for its case. Whether one is exactly that, and leads on.
    fn by_literal(
        &mut self,
        place: usize,
        (text, rest): (&[u8], Option<&[u8]>),
        how: Option<How>,
    ) -> Result<bool, Miss> {
        let node = &self.tree.nodes[place];
        let folded = (!text.is_ascii()).then(|| lower_case(text));
        let lower = || {
            let text = folded.as_deref().unwrap_or(text);
            text.iter().map(u8::to_ascii_lowercase)
        };
        let literals = &node.similar_literals;
        let first = literals.partition_point(|(one, _)| one.iter().copied().lt(lower()));
        let same = literals[first..].iter();
        let mut same = same
            .take_while(|(one, _)| one.iter().copied().eq(lower()))
            .peekable();
        if same.peek().is_none() {
            return Ok(false);
        }
        let exact = node.literals.get(text);
        if let Some(child) = exact
            && self.leads_on(child, rest, how)?
        {
            return Ok(true);
        }
        for (_, child) in same.filter(|(_, child)| Some(*child) != exact) {
            self.leads_on(*child, rest, with(how, How::Spelling))?;
        }
        Ok(false)
    }

    /// By the children with parameters, in their order, until one is `taken`.
    fn by_parameters(
        &mut self,
        place: usize,
        (text, rest): (&[u8], Option<&[u8]>),
        taken: Option<usize>,
        how: Option<How>,
    ) -> Result<bool, Miss> {
        let node = &self.tree.nodes[place];
        if !node.similar_mixed.is_empty() {
            let lower = lower_case(text);
            for ((pattern, child), (written, _)) in node.similar_mixed.iter().zip(&node.mixed) {
                if taken == Some(*child) {
                    return Ok(false);
                }
                self.detours += pattern.weight();
                if !pattern.matches(&lower) {
                    continue;
                }
                if written.matches(text) {
                    if self.leads_on(*child, rest, how)? {
                        return Ok(true);
                    }
                } else {
                    self.leads_on(*child, rest, with(how, How::Spelling))?;
                }
            }
        }
        match node.parameter {
            Some(child) if taken != Some(child) && !text.is_empty() => {
                self.leads_on(child, rest, how)
            }
            _ => Ok(false),
        }
    }

    /// Notes the operations with the wanted method at the ends of paths that are similar to what
    /// is left of this one. Whether there is one that needs nothing more. Each node is seen once,
    /// but many of them may be similar to each other.
    fn leads_on(
        &mut self,
        place: usize,
        rest: Option<&[u8]>,
        how: Option<How>,
    ) -> Result<bool, Miss> {
        self.detours += 1;
        if self.detours > MAX_STEPS {
            return Err(Miss::Ambiguous(SPELLING));
        }
        let tree = self.tree;
        let node = &tree.nodes[place];
        let Some(rest) = rest else {
            if self.reach(node.leaf.as_ref(), how)? {
                return Ok(true);
            }
            if let Some(child) = node.literals.get(b"") {
                let leaf = tree.nodes[child].leaf.as_ref();
                self.reach(leaf, with(how, How::Slash))?;
            }
            return Ok(false);
        };
        let (segment, behind) = first_segment(rest);
        if self.semicolon {
            // Some servers drop parameters, others know none.
            let bare = without_parameters(segment);
            if bare != segment {
                self.similar(place, (bare, behind), None, how)?;
            }
        }
        if self.similar(place, (segment, behind), None, how)? {
            return Ok(true);
        }
        if rest.is_empty() {
            self.reach(node.leaf.as_ref(), with(how, How::Slash))?;
        }
        Ok(false)
    }

    /// Notes what the end of a path says about the wanted method, and whether it says anything.
    fn reach(&mut self, leaf: Option<&Leaf>, how: Option<How>) -> Result<bool, Miss> {
        let decide = |leaf: &Leaf| {
            let fitting = leaf.fitting(self.query);
            fitting.decide(self.wanted).map(|one| one.operation)
        };
        let Some(operation) = leaf.and_then(decide) else {
            return Ok(false);
        };
        let how = match self.own {
            Some((own, _)) if own == operation => return Ok(true),
            Some((_, how)) => how,
            None => how.unwrap_or(How::Spelling),
        };
        let other = Other { operation, how };
        // Whoever asks may be allowed both, but a spelling is nothing that anybody needs.
        if how == How::Spelling {
            return Err(Miss::Another(other));
        }
        if !self.others.iter().any(|one| one.operation == operation) {
            self.others.push(other);
        }
        Ok(true)
    }
}

/// A decoded path with its encoded slashes as slashes, several at one place being one.
fn decoded(decoded: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(decoded.len());
    for byte in decoded {
        let byte = if *byte == SLASH { b'/' } else { *byte };
        if byte != b'/' || path.last() != Some(&b'/') {
            path.push(byte);
        }
    }
    path
}

/// The same without dots and spaces at the ends of segments, of which some may be gone then. `part`
/// is what is left of a segment before.
fn without_tails(decoded: &[u8], part: impl Fn(&[u8]) -> &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(decoded.len());
    for segment in decoded.split(|byte| matches!(*byte, b'/' | SLASH)) {
        let segment = part(segment);
        let end = segment.iter().rposition(|byte| !is_tail(*byte));
        if let Some(end) = end {
            path.push(b'/');
            path.extend_from_slice(&segment[..=end]);
        }
    }
    if path.is_empty() || matches!(decoded.last(), Some(&(b'/' | SLASH))) {
        path.push(b'/');
    }
    path
}

/// Whether a segment loses this byte at its end on Windows.
pub(super) fn is_tail(byte: u8) -> bool {
    matches!(byte, b'.' | b' ')
}

//! From operations to the tree.

use super::leaf::{Candidate, Leaf};
use super::template::parse;
use super::tree::{MAX_STEPS, Tree};
use super::{Methods, Spec, Unroutable, Why};

/// Adds all operations, the published first: where an unpublished one is the same up to the
/// names of its parameters, the published one was asked for by name.
pub(super) fn build(specs: &[Spec]) -> (Tree, Vec<Unroutable>) {
    let mut tree = Tree::new();
    let mut unroutable = Vec::new();
    for published in [true, false] {
        for (operation, spec) in specs.iter().enumerate() {
            if spec.published != published {
                continue;
            }
            match add(&mut tree, operation, spec) {
                // An unpublished operation has nothing to lose; but the published one that it
                // collides with is forwarded in its place.
                Err(Why::Method | Why::Template(_)) if !published => {}
                Err(why) => unroutable.push(Unroutable { operation, why }),
                Ok(()) => {}
            }
        }
    }
    unroutable.sort_by_key(|one| one.operation);
    (tree, unroutable)
}

/// Adds one, or says why not.
fn add(tree: &mut Tree, operation: usize, spec: &Spec) -> Result<(), Why> {
    if Methods::of(&spec.method).is_empty() {
        return Err(Why::Method);
    }
    let segments = parse(&spec.path).map_err(Why::Template)?;
    let candidate = Candidate::new(operation, spec);
    let empty = Leaf::default();
    let leaf = tree.leaf(&segments).unwrap_or(&empty);
    if let Some(first) = leaf.same_as(&candidate) {
        let with = first.operation;
        return Err(Why::Collides { with });
    }
    if tree.steps_with(&segments, leaf.added_steps(&candidate)) > MAX_STEPS {
        return Err(Why::Costly);
    }
    tree.add(&segments, candidate);
    Ok(())
}

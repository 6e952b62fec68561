//! Scope lists, and what each allows in one generation of one plugin.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::Selector;

/// The operations that a token may call, as written; sorted, each selector once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ScopeList(Box<[Selector]>);

impl ScopeList {
    /// From selectors in any order.
    pub fn new(selectors: impl IntoIterator<Item = Selector>) -> Self {
        let mut selectors: Vec<_> = selectors.into_iter().collect();
        selectors.sort_unstable();
        selectors.dedup();
        Self(selectors.into_boxed_slice())
    }

    /// As they are written.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// The selectors, sorted.
    pub fn selectors(&self) -> &[Selector] {
        &self.0
    }
}

/// Stands for one distinct [`ScopeList`]. Stable for the life of the process, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopeListId(u32);

/// Every distinct scope list that any token has or had.
///
/// A token holds the id only, so that it can outlive a generation; a list must be compiled
/// into the published snapshot before a token with its id enters the table, since an unknown
/// id allows nothing.
#[derive(Debug, Default)]
pub struct ScopeLists(Mutex<Interned>);

/// Both directions.
#[derive(Debug, Default)]
struct Interned {
    /// Lists by id.
    lists: Vec<Arc<ScopeList>>,
    /// Ids by list.
    ids: HashMap<Arc<ScopeList>, ScopeListId>,
}

impl ScopeLists {
    /// The id of a list, the same for an equal one. Not for the request path.
    pub fn intern(&self, list: &Arc<ScopeList>) -> ScopeListId {
        // Nothing below can panic between two writes, so a poisoned value is whole.
        let mut interned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = interned.ids.get(list) {
            return *id;
        }
        // Beyond 2^32 lists every further one gets an id that is never compiled: it allows
        // nothing, rather than what another list allows.
        let Ok(number) = u32::try_from(interned.lists.len()) else {
            return ScopeListId(u32::MAX);
        };
        let id = ScopeListId(number);
        interned.lists.push(Arc::clone(list));
        interned.ids.insert(Arc::clone(list), id);
        id
    }

    /// The list that an id stands for.
    pub fn get(&self, id: ScopeListId) -> Option<Arc<ScopeList>> {
        let interned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        interned.lists.get(index(id)).map(Arc::clone)
    }

    /// All of them, for [`CompiledScopes::compile`].
    pub fn all(&self) -> Vec<(ScopeListId, Arc<ScopeList>)> {
        self.since(0)
    }

    /// Those that came after the first `known`, for [`CompiledScopes::learn`].
    pub fn since(&self, known: usize) -> Vec<(ScopeListId, Arc<ScopeList>)> {
        let interned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (0..)
            .map(ScopeListId)
            .zip(interned.lists.iter().map(Arc::clone))
            .skip(known)
            .collect()
    }
}

/// What a request wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// The published operation with this index in its plugin.
    Operation(usize),
    /// A path that is not published, of a plugin that forwards those too.
    Unpublished,
}

/// What each scope list allows among the operations of one plugin in one generation.
///
/// A list that a token brings while the generation serves is [learned](Self::learn): what the
/// others allow does not change by that.
#[derive(Debug, Default)]
pub struct CompiledScopes {
    /// By the number of the list.
    lists: ArcSwap<Vec<Allowed>>,
}

/// What one list allows.
#[derive(Debug, Clone, Default)]
enum Allowed {
    /// Nothing: the list was not compiled.
    #[default]
    Nothing,
    /// These operations: one bit for each. Equal sets share their bits.
    These(Arc<[u64]>),
    /// Every operation, and every path that is not published.
    Everything,
}

impl CompiledScopes {
    /// Compiles `lists` for a plugin with `operations` published operations. `matches` says
    /// whether a selector means an operation; it is asked once for each pair, and never for
    /// [`Selector::All`].
    pub fn compile(
        lists: &[(ScopeListId, Arc<ScopeList>)],
        operations: usize,
        matches: impl Fn(&Selector, usize) -> bool,
    ) -> Self {
        let compiled = Self::default();
        compiled.learn(lists, operations, matches);
        compiled
    }

    /// The lists, for as long as a look at them takes: nothing is awaited meanwhile.
    #[expect(
        clippy::disallowed_methods,
        reason = "the guard never leaves this type"
    )]
    fn lists(&self) -> arc_swap::Guard<Arc<Vec<Allowed>>> {
        self.lists.load()
    }

    /// How many lists it knows: those with the first numbers.
    pub fn known(&self) -> usize {
        self.lists().len()
    }

    /// Compiles further lists, as [`Self::compile`] does. Only one thread may do so at a time.
    pub fn learn(
        &self,
        lists: &[(ScopeListId, Arc<ScopeList>)],
        operations: usize,
        matches: impl Fn(&Selector, usize) -> bool,
    ) {
        let words = operations.div_ceil(64);
        let mut selected: HashMap<&Selector, Vec<u64>> = HashMap::new();
        let mut sets: HashMap<Vec<u64>, Arc<[u64]>> = HashMap::new();
        let mut compiled = Vec::clone(&self.lists());
        for (id, list) in lists {
            let allowed = if list.selectors().contains(&Selector::All) {
                Allowed::Everything
            } else {
                let mut bits = vec![0; words];
                for selector in list.selectors() {
                    let means = selected.entry(selector).or_insert_with(|| {
                        bits_of((0..operations).filter(|op| matches(selector, *op)), words)
                    });
                    bits.iter_mut()
                        .zip(means)
                        .for_each(|(all, one)| *all |= *one);
                }
                let set = sets
                    .entry(bits)
                    .or_insert_with_key(|bits| bits.as_slice().into());
                Allowed::These(Arc::clone(set))
            };
            set(&mut compiled, *id, allowed);
        }
        self.lists.store(Arc::new(compiled));
    }

    /// Whether a token with this list may make this call.
    pub fn allows(&self, id: ScopeListId, call: Call) -> bool {
        match (self.lists().get(index(id)), call) {
            (Some(Allowed::Everything), Call::Operation(_) | Call::Unpublished) => true,
            (Some(Allowed::These(bits)), Call::Operation(operation)) => bits
                .get(operation / 64)
                .is_some_and(|word| word >> (operation % 64) & 1 == 1),
            (Some(Allowed::These(_)), Call::Unpublished)
            | (Some(Allowed::Nothing) | None, Call::Operation(_) | Call::Unpublished) => false,
        }
    }
}

/// Puts a list where its id finds it.
fn set(lists: &mut Vec<Allowed>, id: ScopeListId, allowed: Allowed) {
    if lists.len() <= index(id) {
        lists.resize(index(id) + 1, Allowed::Nothing);
    }
    lists[index(id)] = allowed;
}

/// A set of operations as bits.
fn bits_of(operations: impl Iterator<Item = usize>, words: usize) -> Vec<u64> {
    let mut bits = vec![0; words];
    for operation in operations {
        bits[operation / 64] |= 1 << (operation % 64);
    }
    bits
}

/// An id as an index; saturating where a `usize` is smaller, which finds nothing.
fn index(id: ScopeListId) -> usize {
    usize::try_from(id.0).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn list(texts: &[&str]) -> Arc<ScopeList> {
        Arc::new(ScopeList::new(
            texts.iter().map(|text| Selector::parse(text).unwrap()),
        ))
    }

    #[test]
    fn equal_lists_have_one_id() {
        let lists = ScopeLists::default();
        let one = lists.intern(&list(&["b", "a", "b"]));
        let two = lists.intern(&list(&["tag:x"]));
        assert_eq!(lists.intern(&list(&["a", "b"])), one);
        assert_ne!(one, two);
        assert_eq!(
            lists.all(),
            [(one, list(&["a", "b"])), (two, list(&["tag:x"]))]
        );
        assert_eq!(lists.get(two), Some(list(&["tag:x"])));
        assert_eq!(lists.get(ScopeListId(2)), None);
    }

    /// Operations `op0`, `op1`, …; every tenth has the tag `ten`.
    fn matches(selector: &Selector, operation: usize) -> bool {
        match selector {
            Selector::All => panic!("never asked"),
            Selector::OperationId(id) => *id == format!("op{operation}"),
            Selector::Tag(tag) => tag == "ten" && operation.is_multiple_of(10),
            Selector::Route { .. } => false,
        }
    }

    /// Compiles one list for 130 operations and names what it allows; `*` for unpublished paths.
    #[track_caller]
    fn check(texts: &[&str], expected: &[usize], unpublished: bool) {
        let lists = ScopeLists::default();
        let id = lists.intern(&list(texts));
        let compiled = CompiledScopes::compile(&lists.all(), 130, matches);
        let allowed: Vec<_> = (0..300)
            .filter(|op| compiled.allows(id, Call::Operation(*op)))
            .collect();
        assert_eq!(allowed, expected);
        assert_eq!(compiled.allows(id, Call::Unpublished), unpublished);
    }

    #[test]
    fn lists_allow_what_they_name() {
        check(&[], &[], false);
        check(&["op0"], &[0], false);
        check(
            &["op63", "op64", "op129", "op130", "op7000"],
            &[63, 64, 129],
            false,
        );
        check(
            &["tag:ten", "op7"],
            &[0, 7, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
            false,
        );
        check(&["GET /x"], &[], false);
        check(&["*", "op1"], &(0..300).collect::<Vec<_>>(), true);
    }

    #[test]
    fn an_unknown_list_allows_nothing() {
        let lists = ScopeLists::default();
        let all = lists.intern(&list(&["*"]));
        let compiled = CompiledScopes::compile(&lists.all(), 3, matches);
        let late = lists.intern(&list(&["*", "op1"]));
        assert!(compiled.allows(all, Call::Operation(1)));
        for id in [late, ScopeListId(u32::MAX)] {
            assert!(!compiled.allows(id, Call::Operation(1)));
            assert!(!compiled.allows(id, Call::Unpublished));
        }
        // A gap in the ids is a list that was not compiled.
        let part = CompiledScopes::compile(&[(late, list(&["*"]))], 3, matches);
        assert!(!part.allows(all, Call::Operation(1)));
        assert!(part.allows(late, Call::Operation(1)));
    }

    #[test]
    fn each_selector_is_asked_once_for_each_operation() {
        let lists = ScopeLists::default();
        for other in 0..50 {
            lists.intern(&list(&["tag:ten", &format!("op{other}")]));
        }
        let asked = Cell::new(0);
        CompiledScopes::compile(&lists.all(), 20, |selector, operation| {
            asked.set(asked.get() + 1);
            matches(selector, operation)
        });
        assert_eq!(asked.get(), 51 * 20);
    }

    proptest! {
        #[test]
        fn bits_agree_with_sets(wanted in proptest::collection::vec(
            proptest::collection::btree_set(0..200_usize, 0..20), 1..8,
        )) {
            let lists = ScopeLists::default();
            let ids: Vec<_> = wanted.iter().map(|set| {
                let selectors = set.iter().map(|op| Selector::OperationId(format!("op{op}")));
                lists.intern(&Arc::new(ScopeList::new(selectors)))
            }).collect();
            let compiled = CompiledScopes::compile(&lists.all(), 150, matches);
            for (id, set) in ids.iter().zip(&wanted) {
                let allowed: BTreeSet<_> =
                    (0..250).filter(|op| compiled.allows(*id, Call::Operation(*op))).collect();
                prop_assert_eq!(allowed, set.iter().copied().filter(|op| *op < 150).collect());
            }
        }
    }
}

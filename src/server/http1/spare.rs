//! Header maps that are used again: two allocations less for each request of a thread.

use std::cell::RefCell;

use http::HeaderMap;

/// How many are kept.
const KEPT: usize = 8;
/// Fields that one may have room for.
const LARGEST: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<HeaderMap>> = const { RefCell::new(Vec::new()) };
}

/// An empty map.
pub(super) fn take() -> HeaderMap {
    SPARE
        .with(|spare| spare.borrow_mut().pop())
        .unwrap_or_else(|| HeaderMap::with_capacity(LARGEST / 4))
}

/// A map that is not wanted any more.
pub(super) fn give(mut map: HeaderMap) {
    if map.capacity() > LARGEST {
        return;
    }
    map.clear();
    SPARE.with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < KEPT {
            spare.push(map);
        }
    });
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};

    use super::*;

    #[test]
    fn a_map_comes_back_empty() {
        let mut map = take();
        map.insert(header::HOST, HeaderValue::from_static("a"));
        map.append(header::HOST, HeaderValue::from_static("b"));
        give(map);
        assert!(take().is_empty());
        for _ in 0..2 * KEPT {
            give(HeaderMap::with_capacity(4));
        }
        give(HeaderMap::with_capacity(4 * LARGEST));
        SPARE.with(|spare| {
            let spare = spare.borrow();
            assert_eq!(spare.len(), KEPT);
            assert!(spare.iter().all(|map| map.capacity() <= LARGEST));
        });
    }
}

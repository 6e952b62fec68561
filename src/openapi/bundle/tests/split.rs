//! A document that is split and bundled again is the same document.

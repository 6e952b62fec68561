//! Passes over the finished document, for clients that read less than the specification allows.

pub(super) mod cycles;
pub(super) mod flatten;
mod graph;
mod meet;
mod pieces;
#[cfg(test)]
mod tests;
mod values;
mod walk;

pub(super) use cycles::cycles;
pub(super) use flatten::flatten;

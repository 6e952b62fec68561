//! Passes over the finished document, for clients that read less than the specification allows.

mod allows;
pub(super) mod cycles;
mod decimal;
pub(super) mod defaults;
pub(super) mod encodings;
pub(super) mod enums;
pub(super) mod flatten;
mod graph;
mod meet;
pub(super) mod parameters;
mod pieces;
mod plain;
#[cfg(test)]
mod tests;
pub(super) mod titles;
mod values;
mod visit;
mod walk;

pub(super) use cycles::cycles;
pub(super) use flatten::flatten;

//! Passes over the finished document, for clients that read less than the specification allows.

mod allows;
mod decimal;
pub(super) mod defaults;
pub(super) mod encodings;
pub(super) mod enums;
pub(super) mod parameters;
mod plain;
pub(super) mod titles;
mod visit;

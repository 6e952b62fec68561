//! Watches, reads, compiles and publishes.

pub mod devcerts;

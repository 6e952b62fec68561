//! Watches, reads, compiles and publishes.

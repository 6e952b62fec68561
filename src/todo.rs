//! The built-in to-do API.

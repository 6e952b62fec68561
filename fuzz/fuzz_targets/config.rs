//! Any bytes as plugway.toml: every problem has its place, and no secret is shown.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|made: &[u8]| plugway::fuzzing::config(made));

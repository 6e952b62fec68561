//! Any bytes as a token file, as a credential and as what is scanned for tokens.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|made: &[u8]| plugway::fuzzing::tokens(made));

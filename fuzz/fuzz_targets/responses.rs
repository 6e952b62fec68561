//! Any bytes as what an upstream answers, cut in pieces: read as hyper reads them.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|made: &[u8]| plugway::fuzzing::responses(made));

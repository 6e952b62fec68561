//! Any bytes as what a client sends on a connection, cut in pieces: read as hyper reads them.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|made: &[u8]| plugway::fuzzing::requests(made));

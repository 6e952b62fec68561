//! Any bytes as a request that is understood: what is written upstream is that request, and nothing else.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|made: &[u8]| {
    plugway::fuzzing::targets(made);
});

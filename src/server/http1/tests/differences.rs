//! What is read of requests, against what hyper's server reads of the same bytes.
//!
//! `PROPTEST_CASES=200000 cargo test differential` looks longer, `tests/long fuzz` further.

use proptest::prelude::*;

use super::super::differential::check;
use crate::http1::grammar::{cases, cuts, requests};

proptest! {
    #![proptest_config(cases(3000))]

    #[test]
    fn differential_of_requests(bytes in requests(), cuts in cuts()) {
        check(&bytes, &cuts.pieces(&bytes)).map_err(TestCaseError::fail)?;
    }
}

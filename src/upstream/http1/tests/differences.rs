//! What is read of a response, against what hyper's client reads of the same bytes.
//!
//! `PROPTEST_CASES=200000 cargo test differential` looks longer, `tests/long fuzz` further.

use http::Method;
use proptest::prelude::*;

use super::super::differential::check;
use crate::http1::grammar::{cases, cuts, responses};

proptest! {
    #![proptest_config(cases(3000))]

    #[test]
    fn differential_of_responses(
        bytes in responses(),
        cuts in cuts(),
        method in prop_oneof![5 => Just(Method::GET), 1 => Just(Method::HEAD), 1 => Just(Method::POST)],
    ) {
        check(&method, &bytes, &cuts.pieces(&bytes)).map_err(TestCaseError::fail)?;
    }
}

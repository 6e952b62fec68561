//! Parameters with a fixed value.

use super::super::{Form, Held, held};
use super::check;

/// Published.
const QUERIES_SPECS: &str = "GET /index.php?action=list
    POST /index.php?action=list
    GET /index.php?action=list&full=yes
    -GET /index.php?action=delete
    GET /search
    GET /search?kind=new book
    GET /soap?wsdl
    GET /page?filter[type]=a
    GET /php?user_name=a
    GET /both?a=1
    -GET /both?b=2";

/// Requests.
const QUERIES_CASES: &str = "GET /index.php?action=list => 0 /index.php
    HEAD /index.php?action=list => 0 /index.php for GET
    GET /index.php?x=1&action=list&y => 0 /index.php
    GET /index.php?%61ction=li%73t => 0 /index.php
    POST /index.php?action=list => 1 /index.php
    PUT /index.php?action=list => allow GET, HEAD, POST
    GET /index.php?action=list&full=yes => 2 /index.php
    GET /index.php?full=yes&action=list => 2 /index.php
    GET /index.php?action=list&full=no => 0 /index.php
    GET /index.php?action=delete => not found
    GET /index.php => not found
    GET /index.php? => not found
    GET /index.php?action => not found
    GET /index.php?action=List => not found
    GET /index.php?Action=list => not found
    GET /index.php?action=list&action=list => not found
    GET /index.php?action=list&action=delete => not found
    GET /index.php?action=delete&action=list => not found
    GET /index.php?action=list&%61ction=delete => not found
    GET /index.php?action=list&ACTION=delete => not found
    GET /index.php?action=list&action[]=delete => not found
    GET /index.php?action=list&action%5b0%5d=delete => not found
    GET /index.php?action=list&action%00x=delete => not found
    GET /index.php?action=list&+action=delete => not found
    GET /index.php?action=list;action=delete => not found
    GET /index.php?x=1;action=delete&action=list => not found
    GET /index.php?x=1;y=2&action=list => 0 /index.php
    GET /index.php?action=%zz => not found
    GET /index.php?action=list&[action]=delete => not found
    GET /index.php?action=list&action]=delete => not found
    GET /index.php?action=list&%5Daction=delete => not found
    GET /index.php?action=list&%u0061ction=delete => not found
    GET /index.php?action=list&%u00zz=%u => 0 /index.php
    GET /search => 4 /search
    GET /search?kind=old => 4 /search
    GET /search?kind=new+book => 5 /search
    GET /search?kind=new%20book => 5 /search
    GET /soap?wsdl => 6 /soap
    GET /soap?wsdl= => 6 /soap
    GET /soap?wsdl=1 => not found
    GET /page?filter[type]=a&filter[other]=b => 7 /page
    GET /page?filter%5Btype%5D=a => 7 /page
    GET /php?user_name=a => 8 /php
    GET /page?filter[type]=a&filter=b => not found
    GET /page?filter[type]=a&filter[type][]=b => not found
    GET /page?filter[type]=a&filter[type]x=b => not found
    GET /page?filter[type]=a&filter.type=b => not found
    GET /page?filter[type]=a&[filter][type]=b => not found
    GET /page?filter[type]=a&filter[types]=b => 7 /page
    GET /php?user_name=a&user.name=b => not found
    GET /php?user_name=a&user[name=b => not found
    GET /php?user_name=a&user[name]=b => 8 /php
    GET /php?user_name=a&user+name=b => not found
    GET /both?a=1 => 9 /both
    GET /both?a=1&b=2 => not found";

#[test]
fn fixed_queries() {
    check(QUERIES_SPECS, QUERIES_CASES);
}

/// An operation without a fixed query on the same path, and a template that covers it, are no way
/// around those that have one.
#[test]
fn unclear_queries_are_no_operation() {
    check(
        "GET /index.php
        -GET /index.php?action=delete&sure=yes
        GET /{page}",
        "GET /index.php => 0 /index.php
        GET /index.php?x=1 => 0 /index.php
        GET /index.php?action=show => 0 /index.php
        GET /index.php?action=delete&sure=yes => not found
        GET /index.php?action=delete&action=delete&sure=yes => not found
        GET /index.php?Action=delete&sure=yes => not found
        GET /index.php?action[]=delete&sure=yes => not found
        GET /index.php?x=1;action=delete&sure=yes => not found
        GET /index.php?action=delete&sure=yes&sure=yes => not found
        GET /other?action=delete&action=delete => 2 /other",
    );
}

#[test]
fn form_bodies_that_name_a_fixed_parameter() {
    let fixed = [("action".to_owned(), "list".to_owned())];
    for (form, expected) in [
        ("", false),
        ("x=1&y=2", false),
        ("x=action", false),
        ("action=list", true),
        ("x=1;ACTION[]=2", true),
        ("x=1&acti%6fn", true),
    ] {
        let keys = fixed.iter().map(|(key, _): &(String, String)| key.as_str());
        assert_eq!(
            Form::Encoded.names(keys, form.as_bytes()),
            expected,
            "{form}"
        );
    }
}

#[test]
fn how_a_query_stands_to_a_parameter() {
    for (query, expected) in [
        (None, Held::Absent),
        (Some("x=1"), Held::Absent),
        (Some("a=1&x=2"), Held::Same),
        (Some("a=%31"), Held::Same),
        (Some("a=2"), Held::Other),
        (Some("a=1&a=1"), Held::Other),
        (Some("a=1&A[]=1"), Held::Other),
        (Some("A=1"), Held::Other),
        (Some("x=1;a=2"), Held::Other),
    ] {
        assert_eq!(held(query, "a", "1"), expected, "{query:?}");
    }
    // Frameworks stop to read somewhere.
    let behind = |count: usize| format!("{}a=1", "x=1&".repeat(count));
    assert_eq!(held(Some(&behind(100)), "a", "1"), Held::Same);
    assert_eq!(held(Some(&behind(1_000)), "a", "1"), Held::Other);
}

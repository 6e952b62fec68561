//! Answers to browsers.

use http::HeaderValue;

use super::super::Cors;
use super::{head, lines};

/// For `https://chatgpt.com`.
fn cors() -> Cors {
    Cors::new(&[
        "https://chatgpt.com".to_owned(),
        "http://localhost:3000".to_owned(),
    ])
}

/// Status and head of the answer to a preflight.
#[track_caller]
fn check(request: &str, private_network: bool, expected: Option<(u16, &str)>) {
    let answer = cors().preflight(&head(request), "GET, HEAD, POST", private_network);
    let answer = answer.map(|answer| (answer.status.as_u16(), lines(&answer.headers)));
    assert_eq!(
        answer,
        expected.map(|(status, fields)| (status, lines(&head(fields)))),
        "{request}"
    );
}

#[test]
fn preflights() {
    let allowed = "Access-Control-Allow-Origin: https://chatgpt.com
        Access-Control-Allow-Methods: GET, HEAD, POST
        Access-Control-Max-Age: 600
        Vary: Origin";
    let asks = "Origin: https://chatgpt.com\nAccess-Control-Request-Method: POST";
    check("", false, None);
    check("Origin: https://chatgpt.com", false, None);
    check("Access-Control-Request-Method: POST", false, None);
    check(asks, false, Some((204, allowed)));
    check(
        &format!(
            "{asks}\nAccess-Control-Request-Headers: Authorization,content-type, no name ,,\\xE9"
        ),
        false,
        Some((
            204,
            &format!("{allowed}\nAccess-Control-Allow-Headers: authorization, content-type"),
        )),
    );
    let private = format!("{asks}\nAccess-Control-Request-Private-Network: true");
    let answer = format!("{allowed}\nAccess-Control-Allow-Private-Network: true");
    check(&private, true, Some((204, &answer)));
    check(&private, false, Some((204, allowed)));
    check(asks, true, Some((204, allowed)));
    for origin in [
        "https://evil.example",
        "http://chatgpt.com",
        "https://chatgpt.com.evil.example",
        "https://chatgpt.com:444",
        "null",
        "*",
        "",
        "https://chatgpt.com\nOrigin: https://chatgpt.com",
    ] {
        let asks = format!("Access-Control-Request-Method: POST\nOrigin: {origin}");
        check(&asks, true, Some((403, "Vary: Origin")));
    }
}

#[test]
fn responses() {
    #[track_caller]
    fn check(cors: &Cors, response: &str, origin: Option<&'static str>, expected: &str) {
        let mut response = head(response);
        cors.decorate(&mut response, origin.map(HeaderValue::from_static).as_ref());
        response.remove("access-control-expose-headers");
        assert_eq!(lines(&response), lines(&head(expected)));
    }
    let allowed = "Access-Control-Allow-Origin: http://localhost:3000";
    let origin = Some("http://localhost:3000");
    check(&cors(), "", origin, &format!("{allowed}\nVary: Origin"));
    check(
        &cors(),
        "Vary: Accept",
        origin,
        &format!("{allowed}\nVary: Accept\nVary: Origin"),
    );
    check(
        &cors(),
        "Vary: Accept, origin",
        origin,
        &format!("{allowed}\nVary: Accept, origin"),
    );
    check(&cors(), "Vary: *", origin, &format!("{allowed}\nVary: *"));
    check(&cors(), "", None, "Vary: Origin");
    check(&cors(), "", Some("https://evil.example"), "Vary: Origin");
    check(&Cors::default(), "", origin, "");
}

#[test]
fn pages_may_read_the_request_id() {
    let mut response = head("");
    cors().decorate(
        &mut response,
        Some(&HeaderValue::from_static("https://chatgpt.com")),
    );
    let exposed = response["access-control-expose-headers"].to_str().unwrap();
    assert!(exposed.starts_with("X-Request-Id, WWW-Authenticate, "));
    assert!(!exposed.contains("  "));
}

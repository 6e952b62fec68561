//! `[[plugins.NAME.tests]]`: requests that a candidate must answer as expected.

use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode};

use crate::config::section::{Reading, Section, understood};
use crate::config::values::Fault;
use crate::config::{Secret, Spanned, Test, TestCaller};

/// The tests of a plugin. One that is not understood is left out, its problem beside it.
pub(super) fn tests(plugin: &Section<'_>, reading: &mut Reading<'_>) -> Vec<Test> {
    let tables = plugin.tables("tests", reading);
    if let Some(table) = tables.get(Test::MOST) {
        let most = Test::MOST;
        let message = format!("a plugin has at most {most} tests");
        reading
            .problems
            .add(table.at(), message)
            .help("all of them run before each swap: keep those that tell something");
    }
    tables
        .iter()
        .filter_map(|table| test(table, reading))
        .collect()
}

/// One of them.
fn test(section: &Section<'_>, reading: &mut Reading<'_>) -> Option<Test> {
    let request = section.text("request", reading);
    let parsed = request
        .as_ref()
        .and_then(|text| understood(text, &mut reading.problems, self::request));
    let asks = section.text("as", reading).and_then(|text| {
        let value = understood(&text, &mut reading.problems, caller)?;
        Some(Spanned { value, at: text.at })
    });
    let expect = section
        .integer("expect", reading)
        .and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok())
        .zip(section.written("expect"))
        .map(|(value, at)| Spanned { value, at });
    let upstream = section.flag("upstream", reading).unwrap_or_default();
    let body = section.text("body", reading);
    let content_type = section.parsed("content_type", reading, |text| {
        HeaderValue::from_str(text)
            .map_err(|_| Fault::with("is not a media type", "such as `application/json`"))
    });
    if let (Some(at), None) = (section.written("content_type"), &body) {
        reading
            .problems
            .warn(&at, "the media type has no effect without `body`");
    }
    let timeout = section.duration("timeout", reading);
    if let (Some(at), false) = (section.written("timeout"), upstream) {
        reading
            .problems
            .warn(&at, "the timeout has no effect without `upstream = true`");
    }
    let (request, (method, target)) = request.zip(parsed)?;
    Some(Test {
        shown: Spanned {
            value: request.shown,
            at: request.at,
        },
        method,
        target,
        caller: asks?,
        expect: expect?,
        upstream,
        body: body.map(|text| Secret::new(text.value.into_bytes())),
        content_type: content_type?,
        timeout: timeout?,
    })
}

/// `GET /todos?limit=1`
fn request(text: &str) -> Result<(Method, String), Fault> {
    let fault = |what: &str| {
        Fault::with(
            what.to_owned(),
            "write a method and a path, such as `GET /todos?limit=1`",
        )
    };
    let (method, target) = text
        .split_once(' ')
        .ok_or_else(|| fault("is not a request"))?;
    let named = method.bytes().all(|byte| byte.is_ascii_uppercase());
    let method = Method::from_bytes(method.as_bytes())
        .ok()
        .filter(|method| named && *method != Method::CONNECT)
        .ok_or_else(|| fault("does not begin with a method"))?;
    let plain = target.starts_with('/')
        && !target.contains('#')
        && target
            .parse::<PathAndQuery>()
            .is_ok_and(|parsed| parsed.as_str() == target);
    if plain {
        Ok((method, target.to_owned()))
    } else {
        Err(fault("has no path as clients send it"))
    }
}

/// `service`, `user`, `anonymous`, or a token's key, which is looked for once all are known.
fn caller(text: &str) -> Result<TestCaller, Fault> {
    Ok(match text {
        "" => return Err(Fault::with("names nobody", "for nobody, write `anonymous`")),
        "anonymous" => TestCaller::Anonymous,
        "service" => TestCaller::Service,
        "user" => TestCaller::User,
        key => TestCaller::Token(key.to_owned()),
    })
}

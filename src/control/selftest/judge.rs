//! Whether an answer is the one that was expected, and what is said when it is not.

use http::StatusCode;

use super::Answer;
use crate::config::{self, Test};
use crate::control::edges::Tried;
use crate::problems::{Place, Problem, Severity};

/// What became of a request.
pub(super) enum Judged {
    /// As expected.
    Good,
    /// Only the upstream can tell.
    Open,
    /// Not as expected.
    Bad(Box<Problem>),
}

/// A request without a token to a plugin that wants one.
pub(super) fn guard(plugin: &config::Plugin, shown: &str, answer: &Answer) -> Judged {
    let said = match answer {
        Ok(tried) if tried.forwarded => "would be sent to the upstream".to_owned(),
        Ok(tried) if tried.status.as_u16() < 400 => format!("is answered with {}", told(tried)),
        Ok(_) => return Judged::Good,
        Err(error) => format!("is not answered: {error}"),
    };
    let at = Place {
        key: format!("plugins.{}.auth.require", plugin.name),
        ..plugin.at.clone()
    };
    bad(&at, format!("`{shown}` without a token {said}"), None)
}

/// A test, answered without its upstream. If it matches nothing, it stops the candidate where
/// `strict`.
pub(super) fn test(test: &Test, answer: &Answer, strict: bool) -> Judged {
    let tried = match answer {
        Ok(tried) => tried,
        Err(error) => return unanswered(test, error, None),
    };
    let expected = test.expect.value;
    if tried.forwarded {
        return match (test.upstream, expected.is_success()) {
            (true, _) => Judged::Open,
            (false, true) => Judged::Good,
            (false, false) => {
                let message = format!(
                    "{} would be sent to the upstream, not answered with {}",
                    named(test),
                    expected.as_u16()
                );
                bad(&test.expect.at, message, Some(let_through(expected)))
            }
        };
    }
    if tried.status == expected {
        return Judged::Good;
    }
    let missed = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
    if missed.contains(&tried.status) && !missed.contains(&expected) {
        let message = format!(
            "`{}` matches no published operation and no document: it is answered with {}",
            test.shown.value,
            told(tried)
        );
        let help = "`plugway print openapi` shows what is published";
        let Judged::Bad(mut problem) = bad(&test.shown.at, message, Some(help)) else {
            return Judged::Good;
        };
        if !strict {
            problem.severity = Severity::Warning;
        }
        return Judged::Bad(problem);
    }
    let message = format!(
        "{} is answered with {}, not with {}",
        named(test),
        told(tried),
        expected.as_u16()
    );
    bad(&test.expect.at, message, None)
}

/// A test, answered by its upstream.
pub(super) fn upstream(test: &Test, answer: &Answer) -> Option<Problem> {
    let judged = match answer {
        Ok(tried) if tried.status == test.expect.value => Judged::Good,
        Ok(tried) => {
            let message = format!(
                "{} is answered with {}, not with {}",
                named(test),
                told(tried),
                test.expect.value.as_u16()
            );
            let help = "it was sent to the upstream (`upstream = true`)";
            bad(&test.expect.at, message, Some(help))
        }
        Err(error) => {
            let help = "it was sent to the upstream (`upstream = true`), which has to run whenever this file \
                        changes; without `upstream = true` it is only looked whether it would be sent there";
            unanswered(test, error, Some(help))
        }
    };
    match judged {
        Judged::Bad(problem) => Some(*problem),
        Judged::Good | Judged::Open => None,
    }
}

fn unanswered(test: &Test, error: &str, help: Option<&str>) -> Judged {
    let message = format!("{} is not answered: {error}", named(test));
    bad(&test.shown.at, message, help)
}

/// What to do about a request that is let through.
fn let_through(expected: StatusCode) -> &'static str {
    match expected.as_u16() {
        401 | 403 => "who asks may call it: mend `auth.require`, or the scopes of the token",
        404 | 405 => {
            "it is published: mend `openapi.include` or `exclude`; or, if this is the API's answer, \
             write `upstream = true`"
        }
        _ => "with `upstream = true` the answer of the API is what counts",
    }
}

/// `GET /todos` as service
fn named(test: &Test) -> String {
    format!("`{}` as {}", test.shown.value, test.caller.value.word())
}

/// A status, with the code of a refusal.
fn told(tried: &Tried) -> String {
    let status = tried.status.as_u16();
    match &tried.code {
        Some(code) => format!("{status} ({code})"),
        None => status.to_string(),
    }
}

fn bad(at: &Place, message: String, help: Option<&str>) -> Judged {
    let problem = Problem::new(Severity::Problem, at.clone(), message);
    let help = help.map(str::to_owned);
    Judged::Bad(Box::new(Problem { help, ..problem }))
}

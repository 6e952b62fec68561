//! What serves, and generations, as paths.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde_json::Value;

use super::{Command, Commands, Expected, Problem, ask, for_all};
use crate::tokens::{Fault, Who};

pub(super) fn routes() -> Router<Commands> {
    Router::new()
        .route("/status", get(status))
        .route("/reload", post(reload))
        .route("/rollback", post(roll_back))
        .route("/history", get(history))
        .route("/diff", get(diff))
}

async fn status(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
) -> Result<Response, Problem> {
    for_all(&who)?;
    let status = ask(&commands, Command::Status).await?;
    let tag = format!("\"{}\"", status["generation"]["number"]);
    Ok(([(header::ETAG, tag)], Json(status)).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReloadQuery {
    #[serde(default)]
    weaker: bool,
}

async fn reload(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    query: Result<Query<ReloadQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    for_all(&who)?;
    let Ok(Query(ReloadQuery { weaker })) = query else {
        return Err(invalid(
            "`weaker` is true or false, and there is no other parameter",
        ));
    };
    let expected = expected(&headers)?;
    let asked = ask(&commands, |answer| Command::Reload {
        weaker,
        expected,
        who,
        answer,
    });
    Ok(told(asked.await??))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RollBackQuery {
    generation: Option<u64>,
    #[serde(default)]
    weaker: bool,
}

async fn roll_back(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    query: Result<Query<RollBackQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    for_all(&who)?;
    let Ok(Query(RollBackQuery { generation, weaker })) = query else {
        return Err(invalid(
            "`generation` is a number, `weaker` is true or false, and there is no other parameter",
        ));
    };
    let expected = expected(&headers)?;
    let asked = ask(&commands, |answer| Command::RollBack {
        to: generation,
        weaker,
        expected,
        who,
        answer,
    });
    Ok(told(asked.await??))
}

/// An outcome, with the generation that serves now.
fn told(outcome: Value) -> Response {
    let tag = format!("\"{}\"", outcome["generation"]);
    ([(header::ETAG, tag)], Json(outcome)).into_response()
}

async fn history(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
) -> Result<Json<Value>, Problem> {
    for_all(&who)?;
    Ok(Json(ask(&commands, Command::History).await??))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DiffQuery {
    from: Option<String>,
    to: Option<String>,
}

async fn diff(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
    query: Result<Query<DiffQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    for_all(&who)?;
    let Ok(Query(DiffQuery { from, to })) = query else {
        return Err(invalid(
            "there are the parameters `from` and `to`, and no others",
        ));
    };
    let asked = ask(&commands, |answer| Command::Diff {
        from: from.unwrap_or_else(|| "running".to_owned()),
        to: to.unwrap_or_else(|| "disk".to_owned()),
        answer,
    });
    Ok(Json(asked.await??))
}

/// Refuses what would change something while another generation serves than the client thinks
/// (RFC 9110 §13.1.1).
pub(super) async fn matches(
    State(commands): State<Commands>,
    request: Request,
    next: Next,
) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    match expected(request.headers()) {
        Ok(Some(expected)) if !reads => match ask(&commands, Command::Generation).await {
            Ok(serves) if expected.contains(&serves) => next.run(request).await,
            Ok(serves) => Problem::from(Fault::Changed { serves }).into_response(),
            Err(problem) => problem.into_response(),
        },
        Err(problem) if !reads => problem.into_response(),
        _ => next.run(request).await,
    }
}

/// `If-Match`: the generations of which one has to serve. `*` and no field at all: any may.
fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    let mut expected = Vec::new();
    let mut written = false;
    for field in headers.get_all(header::IF_MATCH) {
        written = true;
        let field = field.to_str().unwrap_or_default();
        for tag in field
            .split(',')
            .map(str::trim)
            .filter(|tag| !tag.is_empty())
        {
            if tag == "*" {
                return Ok(None);
            }
            let strong = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            // A weak tag never matches, and neither does one that is no number.
            if strong.is_none() && !tag.starts_with("W/\"") {
                return Err(invalid(
                    "`If-Match` is a generation in double quotes, such as \"7\"",
                ));
            }
            // Compared as it is written: `\"07\"` is another tag.
            let number = strong.and_then(|tag| tag.parse::<u64>().ok());
            expected.extend(number.filter(|number| Some(&*number.to_string()) == strong));
        }
    }
    Ok(written.then_some(expected))
}

fn invalid(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_precondition_names_generations() {
        let read = |fields: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::IF_MATCH, field.parse().unwrap());
            }
            expected(&headers).ok()
        };
        assert_eq!(read(&[]), Some(None));
        assert_eq!(read(&["*"]), Some(None));
        assert_eq!(read(&["\"7\""]), Some(Some(vec![7])));
        assert_eq!(read(&["\"7\", \"8\"", "\"9\""]), Some(Some(vec![7, 8, 9])));
        assert_eq!(read(&["W/\"7\""]), Some(Some(vec![])));
        assert_eq!(read(&["\"seven\""]), Some(Some(vec![])));
        assert_eq!(read(&["7"]), None);
        // A tag is compared byte for byte (RFC 9110 §8.8.3.2): it is no number.
        for other in ["\"07\"", "\"+7\"", "\"7 \"", "\" 7\"", "\"\"", "\"-7\""] {
            assert_eq!(read(&[other]), Some(Some(vec![])), "{other}");
        }
        assert_eq!(read(&["\"0\""]), Some(Some(vec![0])));
    }
}

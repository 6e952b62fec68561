//! Tokens, the audit and the state, as paths.

use axum::body::Body;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::lines::Flowing;
use super::{Command, Commands, Problem, ask};
use crate::tokens::{
    CreateRequest, Filter, Flow, Look, Order, Question, RotateRequest, SetRequest, Who,
    contains_token,
};

/// Bytes of an import at the most: two million tokens.
pub(super) const IMPORT: usize = 512 << 20;
/// The same, of an admin who may not do all.
pub(super) const IMPORT_OF_SOME: usize = 32 << 20;
/// Entries of the audit that are shown unless more are asked for.
const SHOWN: usize = 100;

pub(super) fn routes() -> Router<Commands> {
    let import = post(import).layer(DefaultBodyLimit::max(IMPORT));
    Router::new()
        .route("/tokens", get(list).post(create))
        .route("/tokens/import", import)
        .route("/tokens/export", get(export))
        .route("/tokens/{token}", get(show).patch(set))
        .route("/tokens/{token}/rotate", post(rotate))
        .route("/tokens/{token}/finish", post(finish))
        .route("/tokens/{token}/undo", post(undo))
        .route("/tokens/{token}/suspend", post(suspend))
        .route("/tokens/{token}/resume", post(resume))
        .route("/tokens/{token}/revoke", post(revoke))
        .route("/explain", get(explain))
        .route("/audit", get(audit))
        .route("/audit/verify", get(verify))
        .route("/audit/export", get(audit_export))
        .route("/state/backup", get(backup))
}

type Asked<T> = Result<T, Problem>;
type Whose = Result<Path<String>, PathRejection>;

/// A problem with what was sent, without what was sent: it may hold a secret.
fn invalid(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
}

/// A JSON body. What serde says of it names fields and types, and a value only in quotes, which
/// are taken out.
fn body<T>(read: Result<Json<T>, JsonRejection>) -> Asked<T> {
    match read {
        Ok(Json(body)) => Ok(body),
        Err(JsonRejection::MissingJsonContentType(_)) => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "invalid_request",
            "send JSON, with `Content-Type: application/json`",
        )),
        Err(rejection) => {
            let text = without_values(&rejection.body_text());
            let safe = !contains_token(&text);
            Err(invalid(if safe {
                &text
            } else {
                "the body holds a secret where none belongs"
            }))
        }
    }
}

/// Replaces all that stands in double quotes.
fn without_values(text: &str) -> String {
    let parts: Vec<&str> = text.split('"').collect();
    let kept = parts
        .iter()
        .enumerate()
        .map(|(number, part)| if number % 2 == 1 { "…" } else { part });
    kept.collect()
}

fn query<T>(read: Result<Query<T>, QueryRejection>) -> Asked<T> {
    let Query(query) = read
        .map_err(|_| invalid("the query has a parameter that is not known, or not in its form"))?;
    Ok(query)
}

fn token(path: Whose) -> Asked<String> {
    let Path(token) = path.map_err(|_| invalid("the token in the path is not UTF-8"))?;
    Ok(token)
}

/// Does it. 201 for what was made, 200 for the rest.
async fn perform(commands: &Commands, order: Order, who: Who) -> Asked<Response> {
    let creates = matches!(order, Order::Create(_));
    let asked = ask(commands, |answer| Command::Order { order, who, answer });
    let done = asked.await??;
    let mut value = done.value;
    value["changed"] = done.changed.into();
    let status = if creates && done.changed {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, [(header::CACHE_CONTROL, "no-store")], Json(value)).into_response())
}

async fn look(commands: &Commands, look: Look, who: Who) -> Asked<Json<Value>> {
    let asked = ask(commands, |answer| Command::Look { look, who, answer });
    Ok(Json(asked.await??))
}

async fn flow(commands: &Commands, flow: Flow, who: Who) -> Asked<Response> {
    let media = match flow {
        Flow::List(_) => "application/json",
        Flow::Export | Flow::Audit | Flow::Backup => "application/jsonl",
    };
    let asked = ask(commands, |answer| Command::Flow { flow, who, answer });
    let lines = asked.await??;
    let media = [
        (header::CONTENT_TYPE, media),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((media, Body::new(Flowing(lines))).into_response())
}

async fn list(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Asked<Response> {
    flow(&commands, Flow::List(query(filter)?), who).await
}

async fn create(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
    request: Result<Json<CreateRequest>, JsonRejection>,
) -> Asked<Response> {
    perform(&commands, Order::Create(body(request)?), who).await
}

async fn show(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
    path: Whose,
) -> Asked<Response> {
    perform(&commands, Order::Show(token(path)?), who).await
}

async fn set(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
    path: Whose,
    request: Result<Json<SetRequest>, JsonRejection>,
) -> Asked<Response> {
    perform(&commands, Order::Set(token(path)?, body(request)?), who).await
}

async fn rotate(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
    path: Whose,
    request: Result<Json<RotateRequest>, JsonRejection>,
) -> Asked<Response> {
    perform(&commands, Order::Rotate(token(path)?, body(request)?), who).await
}

async fn finish(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
    path: Whose,
) -> Asked<Response> {
    perform(&commands, Order::Finish(token(path)?), who).await
}

async fn undo(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
    path: Whose,
) -> Asked<Response> {
    perform(&commands, Order::Undo(token(path)?), who).await
}

async fn suspend(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
    path: Whose,
) -> Asked<Response> {
    perform(&commands, Order::Suspend(token(path)?), who).await
}

async fn resume(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
    path: Whose,
) -> Asked<Response> {
    perform(&commands, Order::Resume(token(path)?), who).await
}

/// Why a token ends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Revocation {
    reason: String,
}

async fn revoke(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
    path: Whose,
    request: Result<Json<Revocation>, JsonRejection>,
) -> Asked<Response> {
    let reason = body(request)?.reason;
    perform(&commands, Order::Revoke(token(path)?, reason), who).await
}

/// Whether what is there is replaced.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Importing {
    replace: bool,
}

async fn import(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
    importing: Result<Query<Importing>, QueryRejection>,
    lines: Result<Bytes, BytesRejection>,
) -> Asked<Response> {
    let replace = query(importing)?.replace;
    let lines = lines.map_err(|_| invalid("the import is larger than 512 MiB, or was cut"))?;
    let lines = String::from_utf8(lines.into()).map_err(|_| invalid("the import is not UTF-8"))?;
    perform(&commands, Order::Import(lines, replace), who).await
}

async fn export(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
) -> Asked<Response> {
    flow(&commands, Flow::Export, who).await
}

async fn explain(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
    question: Result<Query<Question>, QueryRejection>,
) -> Asked<Json<Value>> {
    look(&commands, Look::Explain(query(question)?), who).await
}

/// Which entries.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Entries {
    token: Option<String>,
    most: Option<usize>,
}

async fn audit(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
    entries: Result<Query<Entries>, QueryRejection>,
) -> Asked<Json<Value>> {
    let Entries { token, most } = query(entries)?;
    look(&commands, Look::Audit(token, most.unwrap_or(SHOWN)), who).await
}

/// Which hash it must have.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Head {
    head: Option<String>,
}

async fn verify(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
    head: Result<Query<Head>, QueryRejection>,
) -> Asked<Json<Value>> {
    look(&commands, Look::Verify(query(head)?.head), who).await
}

async fn audit_export(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
) -> Asked<Response> {
    flow(&commands, Flow::Audit, who).await
}

async fn backup(
    State(commands): State<Commands>,
    Extension(who): Extension<Who>,
) -> Asked<Response> {
    flow(&commands, Flow::Backup, who).await
}

#[cfg(test)]
mod tests {
    use super::without_values;

    #[test]
    fn what_was_sent_is_not_repeated() {
        let said = r#"level: invalid type: string "pls_secret", expected "x""#;
        assert_eq!(
            without_values(said),
            "level: invalid type: string …, expected …"
        );
    }
}

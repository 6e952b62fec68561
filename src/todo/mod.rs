//! The built-in to-do API: what `plugway dev` fronts when no upstream is named.
//!
//! Plain HTTP/1.1, in memory, one list for each principal that the gateway names. It is written
//! as any other API would be: it knows nothing of the gateway but one header.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{
    DefaultBodyLimit, FromRequest, FromRequestParts, Path, RawQuery, Request, State,
};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use http_body::Frame;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use lists::{Full, Lists};

mod lists;

/// Serves the API until `stop` is ready; then lets answers end and cuts event streams. Returns
/// when every connection has ended, at the latest after five seconds.
pub async fn serve(listener: TcpListener, stop: impl Future<Output = ()>) {
    let api = Api::default();
    let (stopping, stopped) = oneshot::channel::<Infallible>();
    let server = axum::serve(listener, router(api.clone()))
        .with_graceful_shutdown(async { drop(stopped.await) })
        .into_future();
    let mut server = pin!(server);
    tokio::select! {
        () = stop => {}
        // It takes no end of its own.
        _ = &mut server => return,
    }
    drop(stopping);
    api.lists().close();
    let _ = tokio::time::timeout(STOP_WITHIN, server).await;
}

/// Which method of which path is answered by what.
fn router(api: Api) -> Router {
    Router::new()
        .route("/openapi.json", get(document))
        .route("/todos", get(list_todos).post(add_todo))
        .route(
            "/todos/{id}",
            get(get_todo).patch(update_todo).delete(remove_todo),
        )
        .route("/events", get(watch_todos))
        .fallback(async || problem(StatusCode::NOT_FOUND, "There is nothing at this path."))
        .method_not_allowed_fallback(async || {
            problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "This path has no such method.",
            )
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(api)
}

/// The lists, shared by all requests.
#[derive(Debug, Clone, Default)]
struct Api(Arc<Mutex<Lists>>);

impl Api {
    /// The lists. Nothing that holds them waits or can leave them half changed.
    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `GET /openapi.json`
async fn document() -> Response {
    answer(StatusCode::OK, "application/json", DOCUMENT)
}

/// `GET /todos`
async fn list_todos(
    State(api): State<Api>,
    Owner(owner): Owner,
    RawQuery(query): RawQuery,
) -> Result<Response, Response> {
    let (mut done, mut limit) = (None, DEFAULT_LIMIT);
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "done" => {
                let wanted = value.parse();
                done = Some(wanted.map_err(|_| invalid("done is true or false."))?);
            }
            "limit" => {
                let range = 1..=lists::MAX_TODOS;
                let wanted = value.parse().ok().filter(|limit| range.contains(limit));
                limit = wanted.ok_or_else(|| invalid("limit is a number from 1 to 1000."))?;
            }
            _ => {}
        }
    }
    let todos = api.lists().list(&owner, done, limit);
    Ok(json_answer(
        StatusCode::OK,
        &json!({ "owner": owner, "todos": todos }),
    ))
}

/// `POST /todos`
async fn add_todo(
    State(api): State<Api>,
    Owner(owner): Owner,
    Input(new): Input<NewTodo>,
) -> Result<Response, Response> {
    let text = checked(new.text).ok_or_else(bad_text)?;
    let todo = api.lists().add(&owner, text).map_err(full)?;
    let location = [(header::LOCATION, format!("/todos/{}", todo.id))];
    Ok((location, json_answer(StatusCode::CREATED, &json!(todo))).into_response())
}

/// `GET /todos/{id}`
async fn get_todo(
    State(api): State<Api>,
    Owner(owner): Owner,
    Id(id): Id,
) -> Result<Response, Response> {
    let todo = api.lists().get(&owner, id).ok_or_else(no_todo)?;
    Ok(json_answer(StatusCode::OK, &json!(todo)))
}

/// `PATCH /todos/{id}`
async fn update_todo(
    State(api): State<Api>,
    Owner(owner): Owner,
    Id(id): Id,
    Input(change): Input<Change>,
) -> Result<Response, Response> {
    let text = match change.text {
        Some(text) => Some(checked(text).ok_or_else(bad_text)?),
        None => None,
    };
    if text.is_none() && change.done.is_none() {
        return Err(invalid("Give text, done, or both."));
    }
    let todo = api
        .lists()
        .update(&owner, id, text, change.done)
        .ok_or_else(no_todo)?;
    Ok(json_answer(StatusCode::OK, &json!(todo)))
}

/// `DELETE /todos/{id}`
async fn remove_todo(
    State(api): State<Api>,
    Owner(owner): Owner,
    Id(id): Id,
) -> Result<StatusCode, Response> {
    api.lists().remove(&owner, id).ok_or_else(no_todo)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /events`
async fn watch_todos(State(api): State<Api>, Owner(owner): Owner) -> Result<Response, Response> {
    let events = api.lists().watch(&owner).map_err(full)?;
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, Body::new(Events(events))).into_response())
}

/// Body of `POST /todos`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTodo {
    /// What.
    text: String,
}

/// Body of `PATCH /todos/{id}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// The new text.
    text: Option<String>,
    /// Whether it is done.
    done: Option<bool>,
}

/// Whose list: the principal that the gateway authenticated.
#[derive(Debug)]
struct Owner(String);

impl<S: Sync> FromRequestParts<S> for Owner {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let Some(value) = parts.headers.get("x-plugway-principal") else {
            return Ok(Self("anonymous".to_owned()));
        };
        match std::str::from_utf8(value.as_bytes()) {
            Ok(name) if name.len() <= MAX_OWNER => Ok(Self(name.to_owned())),
            _ => Err(invalid("X-Plugway-Principal is too long or not UTF-8.")),
        }
    }
}

/// The `{id}` of a path. What is no number is no to-do.
#[derive(Debug)]
struct Id(u64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let id = Path::<u64>::from_request_parts(parts, state).await;
        id.map(|Path(id)| Self(id)).map_err(|_| no_todo())
    }
}

/// A JSON body, refused with a problem rather than with axum's plain text.
#[derive(Debug)]
struct Input<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Input<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        if !is_json(request.headers()) {
            let detail = "Send the body as application/json.";
            return Err(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|refused| {
                problem(
                    refused.status(),
                    "The body is longer than 64 KiB or broke off.",
                )
            })?;
        let value = serde_json::from_slice(&bytes);
        value
            .map(Self)
            .map_err(|error| invalid(&format!("The body does not fit: {error}.")))
    }
}

/// Whether the body says that it is JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// A text that may be kept.
fn checked(text: String) -> Option<String> {
    let fits = !text.trim().is_empty() && text.chars().count() <= MAX_TEXT;
    fits.then_some(text)
}

/// An event stream's body.
#[derive(Debug)]
struct Events(mpsc::Receiver<Bytes>);

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let event = ready!(self.0.poll_recv(cx));
        Poll::Ready(event.map(|event| Ok(Frame::data(event))))
    }
}

/// 404 for a to-do.
fn no_todo() -> Response {
    problem(StatusCode::NOT_FOUND, "There is no to-do with this id.")
}

/// 422 for what was sent.
fn invalid(detail: &str) -> Response {
    problem(StatusCode::UNPROCESSABLE_ENTITY, detail)
}

/// 422 for a text.
fn bad_text() -> Response {
    invalid("text has 1 to 500 characters, not only spaces.")
}

/// A bound was reached: by this client (422), or by all together (503).
fn full(full: Full) -> Response {
    match full {
        Full::Todos => invalid("The list is full: remove a to-do first."),
        Full::Lists => problem(StatusCode::SERVICE_UNAVAILABLE, "There are too many lists."),
        Full::Watchers => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "There are too many event streams.",
        ),
    }
}

/// RFC 9457.
fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": detail,
    });
    answer(status, "application/problem+json", body.to_string())
}

/// JSON.
fn json_answer(status: StatusCode, body: &serde_json::Value) -> Response {
    answer(status, "application/json", body.to_string())
}

/// A body of a media type.
fn answer(status: StatusCode, media_type: &'static str, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, media_type)], body.into()).into_response()
}

/// What the API says of itself.
const DOCUMENT: &str = include_str!("openapi.json");
/// Bytes of a request body.
const MAX_BODY: usize = 64 << 10;
/// Bytes of an owner's name.
const MAX_OWNER: usize = 200;
/// Characters of a to-do.
const MAX_TEXT: usize = 500;
/// To-dos of an answer when no limit is given.
const DEFAULT_LIMIT: usize = 100;
/// How long connections may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;

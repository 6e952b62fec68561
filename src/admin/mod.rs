//! The admin API, over a unix socket, over loopback TCP and over TLS, and the metrics page.
//!
//! Knows no configuration and no database: a request becomes a [`Command`], which control
//! answers. Over the socket its file's mode says who may speak, and the system who does; over TCP
//! an admin token says both.

mod generations;
mod lines;
mod peer;
mod room;
mod serve;
mod tokens;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use bytes::Bytes;
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

pub use peer::{Authenticate, NotAdmin, user_name};
use room::Untaken;
use serve::Bounds;

use crate::tokens::{Done, Fault, Flow, Look, Order, Who};

/// What can be asked of control.
#[derive(Debug)]
pub enum Command {
    /// What runs, and what lies on disk refused.
    Status(oneshot::Sender<Value>),
    /// Reads everything again; answers when the new generation serves or has been refused.
    Reload {
        /// Also when a plugin is guarded less than before.
        weaker: bool,
        /// Only if this generation serves.
        expected: Expected,
        /// Who asks.
        who: Who,
        /// The outcome.
        answer: oneshot::Sender<Result<Value, Fault>>,
    },
    /// Takes up a generation of before; answers as a reload does.
    RollBack {
        /// Which; `None`: the one before.
        to: Option<u64>,
        /// Also when a plugin is guarded less than now.
        weaker: bool,
        /// Only if this generation serves.
        expected: Expected,
        /// Who asks.
        who: Who,
        /// The outcome.
        answer: oneshot::Sender<Result<Value, Fault>>,
    },
    /// The generations that are kept.
    History(oneshot::Sender<Result<Value, Fault>>),
    /// What two generations have not in common.
    Diff {
        /// A number, `running` or `disk`.
        from: String,
        /// The same.
        to: String,
        /// The differences.
        answer: oneshot::Sender<Result<Value, Fault>>,
    },
    /// The number of the generation that serves.
    Generation(oneshot::Sender<u64>),
    /// Makes or changes a token.
    Order {
        /// What is asked.
        order: Order,
        /// By whom.
        who: Who,
        /// What became of it. The only message that may hold a secret, which is why it has no
        /// form for the log.
        answer: oneshot::Sender<Result<Done, Fault>>,
    },
    /// Looks at tokens or at the audit.
    Look {
        /// At what.
        look: Look,
        /// Who looks.
        who: Who,
        /// What is seen.
        answer: oneshot::Sender<Result<Value, Fault>>,
    },
    /// Gives many lines.
    Flow {
        /// Of what.
        flow: Flow,
        /// To whom.
        who: Who,
        /// The lines; an error ends them.
        answer: oneshot::Sender<Result<Lines, Fault>>,
    },
    /// The metrics page.
    Metrics(oneshot::Sender<String>),
    /// Whether every plugin can serve.
    Ready(oneshot::Sender<bool>),
}

/// The generations of which one has to serve (`If-Match`); `None`: any may.
pub type Expected = Option<Vec<u64>>;

/// Lines on their way: pieces of whole lines, or why there are no more.
pub type Lines = mpsc::Receiver<Result<Bytes, String>>;

/// How commands reach control.
pub type Commands = mpsc::Sender<Command>;

/// Bytes of a body, but for an import.
const BODY: usize = 2 << 20;

/// Media type of the metrics page (`OpenMetrics` 1.0).
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves the admin API on a unix socket until `stop`.
pub async fn serve(
    listener: std::os::unix::net::UnixListener,
    commands: Commands,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let by_user = middleware::from_fn(peer::by_user);
    let api = api(commands.clone()).layer(by_user);
    let routes = api.merge(health()).with_state(commands);
    let listener = tokio::net::UnixListener::from_std(listener)?;
    serve::serve(listener, routes, Bounds::UNIX, stop).await;
    Ok(())
}

/// Serves the admin API over TCP until `stop`: to holders of an admin token, and to nobody else.
pub async fn serve_tcp(
    listener: std::net::TcpListener,
    commands: Commands,
    authenticate: Authenticate,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    serve::serve(
        listener,
        guarded(commands, authenticate),
        Bounds::GUARDED,
        stop,
    )
    .await;
    Ok(())
}

/// [`serve_tcp`] with TLS, for addresses that others can reach. `tls` gives what holds now.
pub async fn serve_tls(
    listener: std::net::TcpListener,
    commands: Commands,
    (authenticate, tls): (
        Authenticate,
        impl Fn() -> Option<Arc<ServerConfig>> + 'static,
    ),
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let secured = serve::Secured { listener, tls };
    serve::serve(
        secured,
        guarded(commands, authenticate),
        Bounds::GUARDED,
        stop,
    )
    .await;
    Ok(())
}

/// How the admin API speaks TLS, with the certificates of the data path: HTTP/1.1 only.
pub fn tls(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// What holders of an admin token may ask.
fn guarded(commands: Commands, authenticate: Authenticate) -> Router {
    let guard = middleware::from_fn_with_state(authenticate, peer::by_token);
    let routes = api(commands.clone()).layer(guard).merge(health());
    routes.with_state(commands)
}

/// Serves the metrics page until `stop`.
pub async fn serve_metrics(
    listener: std::net::TcpListener,
    commands: Commands,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .merge(health())
        .with_state(commands);
    let listener = tokio::net::TcpListener::from_std(listener)?;
    serve::serve(listener, routes, Bounds::TCP, stop).await;
    Ok(())
}

/// What only admins may ask for.
fn api(commands: Commands) -> Router<Commands> {
    Router::new()
        .route("/openapi.json", get(openapi))
        .merge(tokens::routes())
        .layer(middleware::from_fn_with_state(
            commands,
            generations::matches,
        ))
        .merge(generations::routes())
        .method_not_allowed_fallback(not_allowed)
        .fallback(nothing)
        .layer(middleware::from_fn(whole))
}

/// Takes the body before anything is said: what is left of one would be in the way of the next
/// request of the connection.
async fn whole(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let imports = head.uri.path() == "/tokens/import";
    let partial = head
        .extensions
        .get()
        .is_some_and(|who: &Who| !who.may_all());
    let (most, detail) = if imports && partial {
        (
            tokens::IMPORT_OF_SOME,
            "the body is larger than the 32 MiB that an admin of some plugins may send, was cut, or stood still",
        )
    } else if imports {
        (
            tokens::IMPORT,
            "the body is larger than 512 MiB, was cut, or stood still",
        )
    } else {
        (
            BODY,
            "the body is larger than 2 MiB, was cut, or stood still",
        )
    };
    let problem = match room::taken(body, most, room::BODY_IDLE, &room::HELD).await {
        Ok((bytes, _room)) => return next.run(Request::from_parts(head, bytes.into())).await,
        Err(Untaken::Body) => Problem::new(StatusCode::BAD_REQUEST, "invalid_request", detail),
        Err(Untaken::Room) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "other requests with large bodies are under way: try again when they are done",
        ),
    };
    closing(problem.into_response())
}

/// An answer to a request whose body nobody read is the last of its connection.
fn closing(mut response: Response) -> Response {
    let close = header::HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

fn health() -> Router<Commands> {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .method_not_allowed_fallback(not_allowed)
}

/// Why a request is not answered as it was meant, in the form of RFC 9457.
#[derive(Debug)]
struct Problem(u16, Value);

impl Problem {
    fn new(status: StatusCode, code: &str, detail: &str) -> Self {
        let title = status.canonical_reason().unwrap_or("Refused");
        let value = json!({
            "type": "about:blank", "title": title, "status": status.as_u16(),
            "detail": detail, "code": code,
        });
        Self(status.as_u16(), value)
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let (status, value) = fault.problem();
        Self(status, value)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.1)).into_response();
        let headers = response.headers_mut();
        let media = header::HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}

/// Asks control.
async fn ask<T>(
    commands: &Commands,
    command: impl FnOnce(oneshot::Sender<T>) -> Command,
) -> Result<T, Problem> {
    let ending = || {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ending",
            "the gateway is shutting down",
        )
    };
    let (answer, receiver) = oneshot::channel();
    let sent = commands.send(command(answer)).await;
    sent.map_err(|_| ending())?;
    receiver.await.map_err(|_| ending())
}

/// For what concerns all plugins.
fn for_all(who: &Who) -> Result<(), Problem> {
    if who.may_all() {
        return Ok(());
    }
    let detail = "this needs an admin token for all plugins";
    Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail))
}

/// The API's own document.
async fn openapi() -> Response {
    const DOCUMENT: &str = include_str!("openapi.json");
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

async fn nothing() -> Problem {
    let detail = "there is nothing at this path; /openapi.json says what there is";
    Problem::new(StatusCode::NOT_FOUND, "no_route", detail)
}

async fn not_allowed() -> Problem {
    let detail = "this path has other methods; the field `Allow` names them";
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Problem::new(status, "method_not_allowed", detail)
}

async fn metrics(State(commands): State<Commands>) -> Result<Response, Problem> {
    let page = ask(&commands, Command::Metrics).await?;
    Ok(([(header::CONTENT_TYPE, METRICS)], page).into_response())
}

async fn ready(State(commands): State<Commands>) -> Result<Response, Problem> {
    Ok(if ask(&commands, Command::Ready).await? {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    })
}

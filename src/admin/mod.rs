//! The admin API over a unix socket, and the metrics page.
//!
//! Knows no configuration: a request becomes a [`Command`], which control answers.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

/// What can be asked of control.
#[derive(Debug)]
pub enum Command {
    /// What runs, and what lies on disk refused.
    Status(oneshot::Sender<Value>),
    /// Reads everything again; answers when the new generation serves or has been refused.
    Reload {
        /// Also when a plugin is guarded less than before.
        weaker: bool,
        /// The outcome.
        answer: oneshot::Sender<Value>,
    },
    /// The metrics page.
    Metrics(oneshot::Sender<String>),
    /// Whether every plugin can serve.
    Ready(oneshot::Sender<bool>),
}

/// How commands reach control.
pub type Commands = mpsc::Sender<Command>;

/// Media type of the metrics page (`OpenMetrics` 1.0).
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves the admin API until `stop`.
pub async fn serve(
    listener: std::os::unix::net::UnixListener,
    commands: Commands,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/status", get(status))
        .route("/reload", post(reload))
        .merge(health())
        .with_state(commands);
    let listener = tokio::net::UnixListener::from_std(listener)?;
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop)
        .await
}

/// Serves the metrics page until `stop`.
pub async fn serve_metrics(
    listener: std::net::TcpListener,
    commands: Commands,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .merge(health())
        .with_state(commands);
    let listener = tokio::net::TcpListener::from_std(listener)?;
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop)
        .await
}

fn health() -> Router<Commands> {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
}

async fn ask<T>(
    commands: &Commands,
    command: impl FnOnce(oneshot::Sender<T>) -> Command,
) -> Result<T, StatusCode> {
    let (answer, receiver) = oneshot::channel();
    commands
        .send(command(answer))
        .await
        .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    receiver.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}

async fn status(State(commands): State<Commands>) -> Result<axum::Json<Value>, StatusCode> {
    ask(&commands, Command::Status).await.map(axum::Json)
}

#[derive(serde::Deserialize)]
struct ReloadQuery {
    #[serde(default)]
    weaker: bool,
}

async fn reload(
    State(commands): State<Commands>,
    query: Result<Query<ReloadQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<axum::Json<Value>, (StatusCode, axum::Json<Value>)> {
    let Ok(Query(ReloadQuery { weaker })) = query else {
        return Err((
            StatusCode::BAD_REQUEST,
            axum::Json(json!({"detail": "weaker is true or false"})),
        ));
    };
    let asked = ask(&commands, |answer| Command::Reload { weaker, answer }).await;
    asked.map(axum::Json).map_err(|status| {
        (
            status,
            axum::Json(json!({"detail": "the gateway is shutting down"})),
        )
    })
}

async fn metrics(State(commands): State<Commands>) -> Result<Response, StatusCode> {
    let page = ask(&commands, Command::Metrics).await?;
    Ok(([(header::CONTENT_TYPE, METRICS)], page).into_response())
}

async fn ready(State(commands): State<Commands>) -> Result<Response, StatusCode> {
    Ok(if ask(&commands, Command::Ready).await? {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    })
}

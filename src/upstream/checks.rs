//! Health checks: who is asked, and what the answers mean. Run once per process, beside control.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderValue, Request, header};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::Outgoing;
use super::line::Line;
use crate::body::RequestBody;
use crate::snapshot::{Checked, Condition, Target};

/// The checks that run. Each ends when its URL is no longer named, or all with this.
#[derive(Debug, Default)]
pub struct Checks {
    /// By the address of what they write to, which they hold.
    running: HashMap<*const Condition, Running>,
}

/// A task, ended when dropped.
#[derive(Debug)]
struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Checks {
    /// Runs the checks of these targets, and no others. One that runs already goes on.
    pub fn follow<'t>(&mut self, targets: impl Iterator<Item = &'t Target>) {
        let mut before = std::mem::take(&mut self.running);
        for target in targets {
            let Some(checked) = &target.checked else {
                continue;
            };
            let id = Arc::as_ptr(&checked.condition);
            let running = before.remove(&id);
            self.running.entry(id).or_insert_with(|| {
                running.unwrap_or_else(|| {
                    let (target, checked) = (target.clone(), checked.clone());
                    Running(tokio::task::spawn_local(watch(target, checked)))
                })
            });
        }
    }
}

/// Whether a connection to it can be made.
pub async fn answers(target: &Target) -> bool {
    Line::alone(target).await.is_ok()
}

async fn watch(target: Target, checked: Checked) {
    let settings = &checked.settings;
    loop {
        let result = timeout(settings.timeout, ask(&target, &settings.path)).await;
        let result = result.unwrap_or_else(|_| Err("it did not answer in time".to_owned()));
        if checked.condition.found(result.is_ok(), settings) {
            let url = target.url("");
            match result {
                Ok(()) => tracing::info!(url, "an upstream is healthy"),
                Err(error) => tracing::warn!(url, error, "an upstream is unhealthy"),
            }
        }
        sleep(settings.interval).await;
    }
}

/// Asks once, without any credential, on a connection of its own. Good is a status of 2xx.
async fn ask(target: &Target, path: &str) -> Result<(), String> {
    let line = Line::alone(target).await;
    let mut line = line.map_err(|error| error.to_string())?;
    let own = || HeaderValue::try_from(target.authority()).ok();
    let host = target.host_sent.clone().or_else(own);
    let request = Request::get(path)
        .header(header::USER_AGENT, "plugway-health")
        .body(RequestBody::none());
    let request = request.map_err(|error| error.to_string())?;
    let outgoing = Outgoing::new(request, host);
    let response = line.send(Box::new(outgoing)).await;
    let status = response
        .map_err(|failed| failed.error.to_string())?
        .status();
    if status.is_success() {
        Ok(())
    } else {
        Err(format!("it answered {status}"))
    }
}

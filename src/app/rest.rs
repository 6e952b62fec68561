//! What is let go of when a change is over.

use std::time::Duration;

use tokio::task::AbortHandle;

/// How long it has been since the last change. Those that follow each other run the same code.
const QUIET: Duration = Duration::from_secs(2);

/// Lets go of the code that starts and changes run, and requests do not: two thirds of what an idle
/// gateway would be resident with.
#[derive(Debug, Default)]
pub(super) struct Rest(Option<AbortHandle>);

impl Rest {
    /// A change is over. To be called in the control thread.
    pub(super) fn begin(&mut self) {
        let task = tokio::task::spawn_local(async {
            tokio::time::sleep(QUIET).await;
            if let Err(error) = plugway_heap::let_go_of_code() {
                tracing::debug!(%error, "code that is not needed any more stays resident");
            }
        });
        if let Some(before) = self.0.replace(task.abort_handle()) {
            before.abort();
        }
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

//! The order to come to an end, as connections hear it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use tokio_util::sync::CancellationToken;

/// Given once to all that hold it.
#[derive(Debug, Clone, Default)]
pub(super) struct Drain {
    token: CancellationToken,
    /// The same, for those that are woken a thousand times for other causes: to ask the token
    /// takes a lock.
    begun: Arc<AtomicBool>,
}

impl Drain {
    /// Gives it.
    pub(super) fn begin(&self) {
        self.begun.store(true, Ordering::Release);
        self.token.cancel();
    }

    /// Cancelled when it is given.
    pub(super) fn child(&self) -> CancellationToken {
        self.token.child_token()
    }

    /// What comes of `work`; `None`: the order came before. To be awaited in one task.
    pub(super) async fn unless_begun<F: Future>(&self, work: F) -> Option<F::Output> {
        let mut work = std::pin::pin!(work);
        let mut begun = std::pin::pin!(self.token.cancelled());
        let mut is_heard = false;
        poll_fn(|cx| {
            if let Poll::Ready(output) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            if is_heard && !self.begun.load(Ordering::Acquire) {
                return Poll::Pending;
            }
            is_heard = true;
            Pin::new(&mut begun).as_mut().poll(cx).map(|()| None)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_heard_before_during_and_after_work() {
        let drain = Drain::default();
        assert_eq!(drain.unless_begun(async { 1 }).await, Some(1));
        // Woken for something else first.
        let work = async {
            tokio::task::yield_now().await;
            std::future::pending::<()>().await;
        };
        let later = async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            drain.begin();
        };
        let (heard, ()) = tokio::join!(drain.unless_begun(work), later);
        assert_eq!(heard, None);
        assert_eq!(drain.unless_begun(std::future::pending::<()>()).await, None);
        assert_eq!(drain.unless_begun(async { 2 }).await, Some(2));
        assert!(drain.child().is_cancelled());
    }
}

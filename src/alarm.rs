//! A timer that is set as seldom as can be.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep};

/// Wakes a task when it is time. Moved only when a nearer time is asked for, or when it rang too
/// early: what asks for later times again and again, and hardly ever waits for one, costs nothing.
#[derive(Debug, Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready at that time.
    pub fn poll(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let timer = self
            .0
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if at < timer.deadline() {
            timer.as_mut().reset(at);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_rings_at_the_time_that_was_asked_for_last() {
        let mut alarm = Alarm::default();
        let begun = Instant::now();
        // Later than before, and nearer than what it is set for.
        for (pending, asked) in [(0, 10), (0, 30), (500_000, 60), (0, 20)] {
            let at = |millis| begun + Duration::from_millis(millis);
            if pending > 0 {
                let rings = poll_fn(|cx| Poll::Ready(alarm.poll(cx, at(pending)).is_ready())).await;
                assert!(!rings);
            }
            poll_fn(|cx| alarm.poll(cx, at(asked))).await;
            assert!(begun.elapsed() >= Duration::from_millis(asked));
        }
    }
}

//! Whether the clock of the wall was set back. What had ended by it is judged by it again, as it is
//! by every clock that is wrong: that can not be known from here, but it can be said.

use std::time::Duration;

use jiff::Timestamp;

/// What a clock that is kept right may go back by.
const SLACK: Duration = Duration::from_secs(2);

/// The latest that the clock ever said.
#[derive(Debug)]
pub(super) struct Wall {
    latest: Timestamp,
    /// It said less since then.
    back: Option<Back>,
}

/// A clock that was set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Back {
    /// What it said before.
    before: Timestamp,
    /// How much less it said then.
    by: Duration,
}

/// What became of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It was set back, or once more.
    Back(Back),
    /// It is past what it said before.
    Caught,
}

impl std::fmt::Display for Back {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the clock was set back by {} s, behind {}: tokens and secrets that had ended before that, grace \
             periods too, are good again if they end after what it says now. Set it right, or revoke them",
            self.by.as_secs(),
            self.before
        )
    }
}

impl Wall {
    /// It says this.
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            latest: now,
            back: None,
        }
    }

    /// It says this now.
    pub(super) fn note(&mut self, now: Timestamp) -> Option<Turn> {
        if now >= self.latest {
            self.latest = now;
            return self.back.take().map(|_| Turn::Caught);
        }
        let by = self.latest.duration_since(now).unsigned_abs();
        // It goes on from where it was set to: less behind each time is no other step.
        let known = self.back.map_or(Duration::ZERO, |back| back.by);
        if by <= known.saturating_add(SLACK) {
            return None;
        }
        let back = Back {
            before: self.latest,
            by,
        };
        self.back = Some(back);
        Some(Turn::Back(back))
    }

    /// It is behind what it said once.
    pub(super) fn back(&self) -> Option<Back> {
        self.back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_is_told_once() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let mut wall = Wall::new(at(0));
        assert_eq!(wall.note(at(5)), None);
        // What a clock that is kept right does.
        assert_eq!(wall.note(at(4)), None);
        assert_eq!(wall.note(at(10)), None);
        let back = |by| {
            Some(Turn::Back(Back {
                before: at(10),
                by: Duration::from_secs(by),
            }))
        };
        assert_eq!(wall.note(at(-3590)), back(3600));
        assert_eq!(wall.note(at(-3585)), None);
        assert!(wall.back().unwrap().to_string().contains("back by 3600 s"));
        assert_eq!(wall.note(at(-7190)), back(7200));
        assert_eq!(wall.note(at(0)), None);
        assert!(wall.back().is_some());
        assert_eq!(wall.note(at(11)), Some(Turn::Caught));
        assert_eq!((wall.back(), wall.note(at(12))), (None, None));
    }
}

//! When files are looked at: soon after one is whole, later while one is written, and not too often.

use std::time::Duration;

use tokio::time::Instant;

use super::news::News;

/// Silence after something that is no end of a change, before the files are read.
const QUIET: Duration = Duration::from_millis(250);
/// The same while a file is being written: writers write in pieces, and half of a configuration may
/// be valid, without what stood at its end. Who has closed it is not waited for.
pub(super) const UNFINISHED: Duration = Duration::from_secs(2);
/// Silence after a file was closed by its writer or got its name. It is whole, and is not waited
/// for; what is replaced in the same breath (a certificate and its key, the files of a commit) is
/// one change, where half of it would be refused and looked at a second time much later.
const BREATH: Duration = Duration::from_millis(2);
/// From one look to the next, and no longer than this after the first whole file: a storm of events
/// makes few attempts.
const GAP: Duration = Duration::from_millis(20);
/// Between two looks at files that told nothing, and no longer than this after a first write.
pub(super) const POLL: Duration = Duration::from_secs(3);

/// What was noticed, and when that is to be looked at.
#[derive(Debug, Default)]
pub(super) struct Pace {
    pending: Option<Pending>,
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Pending {
    since: Instant,
    /// Since when something is whole.
    whole: Option<Instant>,
    until: Instant,
}

impl Pace {
    /// Something happened.
    pub(super) fn note(&mut self, news: News, now: Instant) {
        let pending = self.pending.get_or_insert(Pending {
            since: now,
            whole: None,
            until: now,
        });
        match (news, pending.whole) {
            (News::Whole, whole) => {
                let first = *pending.whole.insert(whole.unwrap_or(now));
                pending.until = (now + BREATH).min(first + GAP);
            }
            (News::Open, _) => pending.until = (now + UNFINISHED).min(pending.since + POLL),
            (News::Written, None) => pending.until = (now + QUIET).min(pending.since + POLL),
            // When that is whole, it is looked at again.
            (News::Written, Some(_)) => {}
        }
    }

    /// When the files are to be looked at. `None`: nothing happened.
    pub(super) fn due(&self) -> Option<Instant> {
        let until = self.pending.as_ref()?.until;
        Some(self.looked.map_or(until, |last| until.max(last + GAP)))
    }

    /// They are looked at now, and all that was noted is part of it.
    pub(super) fn looks(&mut self, now: Instant) {
        self.pending = None;
        self.looked = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// When it is looked at after these events, in ms from the first.
    fn due(events: &[(u32, News)]) -> u128 {
        let start = Instant::now();
        let mut pace = Pace::default();
        for (at, news) in events {
            let now = start + MS * *at;
            assert!(pace.due().is_none_or(|due| now < due), "looked at before");
            pace.note(*news, now);
        }
        (pace.due().unwrap() - start).as_millis()
    }

    #[test]
    fn what_is_whole_is_looked_at_at_once_and_what_is_written_when_it_is_quiet() {
        use News::{Open, Whole, Written};
        for (events, expected) in [
            (vec![(0, Whole)], 2),
            (vec![(0, Written)], 250),
            (vec![(0, Written), (200, Written)], 450),
            (vec![(0, Written), (200, Whole)], 202),
            (vec![(0, Whole), (1, Whole)], 3),
            (vec![(0, Whole), (1, Written)], 2),
            (vec![(0, Open)], 2000),
            (vec![(0, Open), (500, Open), (900, Whole)], 902),
            (vec![(0, Whole), (1, Open)], 2001),
            ((0..10).map(|at| (at * 300, Open)).collect(), 3000),
            ((0..20).map(|at| (at, Whole)).collect(), 20),
            ((0..15).map(|at| (at * 200, Written)).collect(), 3000),
        ] {
            assert_eq!(due(&events), expected, "{events:?}");
        }
    }

    #[test]
    fn a_storm_makes_few_looks_and_its_last_event_is_not_lost() {
        let start = Instant::now();
        let (mut pace, mut looks) = (Pace::default(), Vec::new());
        for at in 0..2000 {
            let now = start + MS * at;
            if pace.due().is_some_and(|due| due <= now) {
                pace.looks(now);
                looks.push(at);
            }
            if at <= 1000 {
                pace.note(News::Whole, now);
            }
        }
        assert!(looks.len() <= 52, "{looks:?}");
        assert!(looks.last().is_some_and(|last| *last > 1000));
        assert_eq!(pace.due(), None);
    }

    #[test]
    fn a_change_right_after_a_look_waits_for_the_gap() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.looks(start);
        pace.note(News::Whole, start + MS);
        assert_eq!(pace.due(), Some(start + GAP));
        pace.looks(start + GAP);
        assert_eq!(pace.due(), None);
    }
}

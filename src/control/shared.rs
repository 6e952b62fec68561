//! What control and the workers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::Clock;
use crate::auth::Failures;
use crate::snapshot::Origins;
use crate::telemetry::Labels;
use crate::tokens::{ScopeLists, Token, TokenTable};

/// What control and the workers share.
#[derive(Debug)]
pub struct Shared {
    /// Every secret that opens something.
    pub tokens: TokenTable,
    /// The scope lists of all tokens.
    pub scopes: ScopeLists,
    /// Names of the metrics.
    pub labels: Labels,
    /// What is known of upstreams.
    pub origins: Origins,
    /// Wrong credentials.
    pub failures: Failures,
    /// Secrets that are used: each at most once a minute, so that none of them is waited for.
    pub uses: mpsc::UnboundedSender<Vec<Arc<Token>>>,
    /// There may be tokens that the table does not have, for now: what it does not know is neither
    /// right nor wrong.
    pub undecided: AtomicBool,
    /// A token file at a URL never came.
    pub untold: AtomicBool,
    /// Whether what was fetched may be older than it looks.
    pub clock: Clock,
    /// The program that was started does not answer yet.
    pub starting: AtomicBool,
    /// Every plugin could serve at some time.
    pub begun: AtomicBool,
}

impl Shared {
    /// With room for so many secrets; `now` is when the process begins. The other value is the
    /// receiving end of [`Self::uses`].
    pub fn new(
        secrets: usize,
        now: Instant,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Vec<Arc<Token>>>) {
        let (uses, used) = mpsc::unbounded_channel();
        let shared = Self {
            tokens: TokenTable::with_capacity(secrets),
            scopes: ScopeLists::default(),
            labels: Labels::new(),
            origins: Origins::default(),
            failures: Failures::new(now),
            uses,
            undecided: AtomicBool::new(false),
            untold: AtomicBool::new(false),
            clock: Clock::new(now, Timestamp::now()),
            starting: AtomicBool::new(false),
            begun: AtomicBool::new(false),
        };
        (Arc::new(shared), used)
    }

    /// Whether who is not known may be right.
    pub fn is_undecided(&self) -> bool {
        self.undecided.load(Ordering::Relaxed) || self.untold.load(Ordering::Relaxed)
    }
}

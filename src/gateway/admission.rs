//! Who asks, whether they may, and how often.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use jiff::Timestamp;

use super::Gateway;
use crate::answer::Recorder;
use crate::auth::{AuthError, AuthFailure, Principal};
use crate::callers::caller;
use crate::control::Shared;
use crate::network::Network;
use crate::outbound::Errand;
use crate::rejection::Rejection;
use crate::snapshot::{Plugin, Snapshot};
use crate::tokens::Token;

impl Gateway {
    /// Who asks, and whether they may.
    pub(super) fn admit(
        &self,
        plugin: &Plugin,
        headers: &HeaderMap,
        errand: &Errand<'_>,
        recorder: &mut Recorder,
    ) -> Result<Principal, Rejection> {
        let scope = errand
            .operation
            .map(|index| plugin.operations[index].meaning.id.as_str());
        let admitted = plugin
            .policy
            .admit(headers, &self.shared.tokens, recorder.record.started);
        let principal = admitted.map_err(|error| self.refused(plugin, error.into(), None))?;
        self.note_caller(&principal, recorder);
        let (scopes, call, client) = (&plugin.scopes, errand.call(), recorder.record.client);
        let authorize = |call| plugin.policy.authorize(&principal, scopes, call, client);
        authorize(call).map_err(|denied| self.refused(plugin, denied.into(), scope))?;
        errand.refuse_doubtful(|call| authorize(call).is_ok())?;
        enter(&principal, recorder)?;
        Ok(principal)
    }

    /// Nobody, or somebody who may not. As long as tokens may be missing, who is not known may be
    /// right.
    pub(super) fn refused(
        &self,
        plugin: &Plugin,
        failure: AuthFailure,
        scope: Option<&str>,
    ) -> Rejection {
        let unknown = failure == AuthFailure::Unauthenticated(AuthError::Unknown);
        if unknown && self.shared.is_undecided() {
            return Rejection::StoreUnavailable;
        }
        Rejection::Auth {
            failure,
            challenge: plugin.policy.challenge(failure, scope),
        }
    }

    /// A wrong credential is one too many when its network has tried `limits.failed_auth`. A right
    /// one never comes here: nobody is locked out by a neighbour.
    pub(super) fn limited(
        &self,
        rejection: Rejection,
        snapshot: &Snapshot,
        client: IpAddr,
    ) -> Rejection {
        let Rejection::Auth {
            failure: AuthFailure::Unauthenticated(error),
            ..
        } = rejection
        else {
            return rejection;
        };
        let Some(rate) = snapshot
            .limits
            .failed_auth
            .filter(|_| error != AuthError::Missing)
        else {
            return rejection;
        };
        let failures = &self.shared.failures;
        match failures.count(Network::of(client), rate, Instant::now()) {
            Ok(()) => rejection,
            Err(wait) => Rejection::TooManyFailures {
                retry: wait.as_secs() + 1,
            },
        }
    }

    /// Notes who called, for the record, and that the secret was used.
    pub(super) fn note_caller(&self, principal: &Principal, recorder: &mut Recorder) {
        if let Some(token) = principal.token() {
            recorder.record.caller = Some(caller(token, &self.shared.labels));
            recorder.record.slot = Some(token.slot.as_str());
            let (now, client) = (recorder.record.started, recorder.record.client);
            self.uses.note(&self.shared, token, now, client);
        }
    }
}

/// Secrets that were used, of which control is told together: once a second, or when there are
/// many. Told of each, it would be woken by every request of a million tokens.
#[derive(Debug, Default)]
pub(super) struct Uses(RefCell<Vec<Arc<Token>>>);

/// Uses that are told at a time.
const MANY: usize = 256;

impl Uses {
    /// Notes that a secret was used: the first time in a minute.
    fn note(&self, shared: &Shared, token: &Arc<Token>, now: Timestamp, client: IpAddr) {
        if token.shared.used(token.slot, now, Network::of(client)) {
            let mut waiting = self.0.borrow_mut();
            waiting.push(Arc::clone(token));
            if waiting.len() >= MANY {
                drop(waiting);
                self.tell(shared);
            }
        }
    }

    /// Tells control.
    pub(super) fn tell(&self, shared: &Shared) {
        let waiting = std::mem::take(&mut *self.0.borrow_mut());
        if !waiting.is_empty() {
            // Who would write it down may have ended before this worker.
            let _ = shared.uses.send(waiting);
        }
    }
}

/// Counts a request against the limits of its token, until its record is closed.
pub(super) fn enter(principal: &Principal, recorder: &mut Recorder) -> Result<(), Rejection> {
    if let Some(token) = principal.token()
        && let Some(limits) = &token.limits
    {
        recorder.place = token.shared.enter(limits, recorder.record.started)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::{Fingerprint, Level, Plugins, ScopeList, SecretRecord, Slot, State};
    use crate::tokens::{TokenRecord, entries};

    #[test]
    fn control_is_told_of_each_secret_once_a_minute() {
        let (shared, mut uses) = Shared::new(2, Instant::now());
        let secret = |text: &str| SecretRecord::new(Fingerprint::of(text.as_bytes()));
        let record = TokenRecord {
            id: "chatgpt".into(),
            name: "chatgpt".into(),
            level: Level::Service,
            plugins: Plugins::All,
            scopes: Arc::new(ScopeList::default()),
            current: secret("new"),
            previous: Some(secret("old")),
            not_before: None,
            expires: None,
            state: State::Active,
            limits: None,
            note: None,
            made: None,
            ending: None,
        };
        let made = entries(&record, &shared.scopes, &Arc::default());
        let [(_, new), (_, old)] = made.as_slice() else {
            panic!("two secrets make two entries");
        };
        let home: IpAddr = "192.0.2.7".parse().unwrap();
        let mut told = |token, second: i64, from: IpAddr| {
            let now = Timestamp::from_second(1_790_000_040 + second).unwrap();
            let noted = Uses::default();
            noted.note(&shared, token, now, from);
            assert!(uses.try_recv().is_err(), "not of each");
            noted.tell(&shared);
            let told = uses.try_recv().ok()?;
            assert_eq!(told.len(), 1);
            told.first().map(|token| token.slot)
        };
        assert_eq!(told(new, 0, home), Some(Slot::Current));
        assert_eq!(told(new, 59, "10.0.0.1".parse().unwrap()), None);
        assert_eq!(told(old, 59, home), Some(Slot::Previous));
        assert_eq!(
            told(new, 60, "10.0.0.1".parse().unwrap()),
            Some(Slot::Current)
        );
        assert_eq!(told(old, 60, home), Some(Slot::Previous));
        assert_eq!(told(old, 119, home), None);
        let network = |slot| new.shared.last_use(slot).unwrap().1.unwrap().to_string();
        assert_eq!(network(Slot::Current), "10.0.0.0/24");
        assert_eq!(network(Slot::Previous), "192.0.2.0/24");
    }
}

//! What the names of upstreams mean, as one worker knows it.
//!
//! A name is looked up again each `upstream.resolve`, beside the requests if it is in use; one
//! that can not be looked up any more keeps its last addresses.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::ConnectError;
use crate::snapshot::Target;

/// How long a new look-up is waited for where there are addresses from before.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a name whose addresses do not connect is looked up at the most.
const DOUBT: Duration = Duration::from_secs(1);
/// For how long a name that nobody uses is looked up and remembered.
const UNUSED: Duration = Duration::from_mins(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: RefCell<HashMap<Arc<str>, Known>>,
}

#[derive(Debug)]
struct Known {
    host: String,
    port: u16,
    addresses: Rc<[SocketAddr]>,
    /// When it was last looked up, whatever came of it.
    asked: Instant,
    /// When a connection was last made or used.
    used: Instant,
    resolve: Duration,
}

impl Names {
    /// The addresses to connect to, in the order in which the system gives them.
    pub(super) async fn addresses(
        &self,
        target: &Target,
    ) -> Result<Rc<[SocketAddr]>, ConnectError> {
        if let Ok(ip) = target.host.parse() {
            return Ok(Rc::new([SocketAddr::new(ip, target.port)]));
        }
        let look_up = look_up(&target.host, target.port);
        self.looked_up(target, Instant::now(), look_up).await
    }

    /// [`Self::addresses`] of a name, with a look-up that is polled only if it is needed.
    async fn looked_up(
        &self,
        target: &Target,
        now: Instant,
        look_up: impl Future<Output = io::Result<Vec<SocketAddr>>>,
    ) -> Result<Rc<[SocketAddr]>, ConnectError> {
        let old = self.known.borrow_mut().get_mut(&target.key).map(|known| {
            (known.used, known.resolve) = (now, target.resolve);
            let stale = known.asked + known.resolve <= now;
            if stale {
                // Who comes meanwhile takes what there is.
                known.asked = now;
            }
            (Rc::clone(&known.addresses), stale)
        });
        match old {
            Some((addresses, false)) => Ok(addresses),
            Some((old, true)) => match timeout(PATIENCE, look_up).await {
                Ok(Ok(found)) if !found.is_empty() => Ok(self.learn(target, now, found)),
                _ => Ok(old),
            },
            None => {
                let found = look_up.await.map_err(ConnectError::Resolve)?;
                if found.is_empty() {
                    return Err(ConnectError::NoAddress);
                }
                Ok(self.learn(target, now, found))
            }
        }
    }

    fn learn(&self, target: &Target, now: Instant, found: Vec<SocketAddr>) -> Rc<[SocketAddr]> {
        let addresses = Rc::<[SocketAddr]>::from(found);
        let known = Known {
            host: target.host.clone(),
            port: target.port,
            addresses: Rc::clone(&addresses),
            asked: now,
            used: now,
            resolve: target.resolve,
        };
        self.known
            .borrow_mut()
            .insert(Arc::clone(&target.key), known);
        addresses
    }

    /// None of its addresses connects: the next request asks for newer ones.
    pub(super) fn doubt(&self, target: &Target, now: Instant) {
        if let Some(known) = self.known.borrow_mut().get_mut(&target.key)
            && known.asked + DOUBT <= now
        {
            known.asked = now.checked_sub(known.resolve).unwrap_or(now);
        }
    }

    /// Whether a connection to `peer` still leads to where the name leads.
    pub(super) fn lead_to(&self, key: &Arc<str>, peer: SocketAddr) -> bool {
        match self.known.borrow_mut().get_mut(key) {
            Some(known) => {
                known.used = Instant::now();
                known.addresses.contains(&peer)
            }
            None => true,
        }
    }

    /// Looks up again what is due. Called once a second.
    pub(super) fn tick(self: &Rc<Self>) {
        let now = Instant::now();
        let mut all = self.known.borrow_mut();
        all.retain(|_, known| known.used + known.resolve.max(UNUSED) > now);
        for (key, known) in all.iter_mut() {
            if known.asked + known.resolve > now {
                continue;
            }
            known.asked = now;
            let (names, key) = (Rc::clone(self), Arc::clone(key));
            let (host, port, patience) = (known.host.clone(), known.port, known.resolve);
            tokio::task::spawn_local(async move {
                if let Ok(Ok(found)) = timeout(patience, look_up(&host, port)).await
                    && !found.is_empty()
                    && let Some(known) = names.known.borrow_mut().get_mut(&key)
                {
                    known.addresses = found.into();
                }
            });
        }
    }
}

async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 80))
    }

    fn gone() -> io::Result<Vec<SocketAddr>> {
        Err(io::Error::other("no such name"))
    }

    #[tokio::test]
    async fn a_name_that_is_gone_keeps_its_last_addresses() {
        let names = Names::default();
        let mut target = super::super::tests::target(80);
        target.host = "api.example".into();
        let mut now = Instant::now();
        let asked = async |now, answer| names.looked_up(&target, now, ready(answer)).await;
        assert!(asked(now, gone()).await.is_err());
        assert!(asked(now, Ok(Vec::new())).await.is_err());
        assert_eq!(
            *asked(now, Ok(vec![address(1)])).await.unwrap(),
            [address(1)]
        );
        // Not yet.
        assert_eq!(
            *asked(now, Ok(vec![address(2)])).await.unwrap(),
            [address(1)]
        );
        assert!(names.lead_to(&target.key, address(1)));
        now += target.resolve;
        assert_eq!(*asked(now, gone()).await.unwrap(), [address(1)]);
        now += target.resolve;
        assert_eq!(*asked(now, Ok(Vec::new())).await.unwrap(), [address(1)]);
        now += target.resolve;
        let both = vec![address(2), address(3)];
        assert_eq!(*asked(now, Ok(both.clone())).await.unwrap(), *both);
        assert!(!names.lead_to(&target.key, address(1)));
        // None of them connects: there may be newer ones.
        names.doubt(&target, now);
        assert_eq!(*asked(now, Ok(vec![address(4)])).await.unwrap(), *both);
        now += DOUBT;
        names.doubt(&target, now);
        assert_eq!(
            *asked(now, Ok(vec![address(4)])).await.unwrap(),
            [address(4)]
        );
    }
}

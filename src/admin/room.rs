//! What many clients may take together: places of a network, bytes of bodies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Limited};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::peer::Peer;
use crate::network::Network;

/// How many connections each network has.
#[derive(Debug, Default, Clone)]
pub(super) struct Networks(Arc<Mutex<HashMap<Network, usize>>>);

impl Networks {
    /// A place for one more; `None`: the network has as many as it may.
    pub(super) fn share(&self, peer: &Peer, most: usize) -> Option<Share> {
        let network = peer.address.map(Network::of);
        if let Some(network) = network {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = all.entry(network).or_default();
            if *count >= most {
                return None;
            }
            *count += 1;
        }
        Some(Share(self.clone(), network))
    }
}

/// The place of a connection among those of its network.
pub(super) struct Share(Networks, Option<Network>);

impl Drop for Share {
    fn drop(&mut self) {
        let Some(network) = self.1 else { return };
        let mut all = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                all.remove(&network);
            }
        }
    }
}

/// For how long a body may bring nothing.
pub(super) const BODY_IDLE: Duration = Duration::from_secs(30);

/// Bytes of bodies that are held at a time, over all connections.
pub(super) static HELD: Semaphore = Semaphore::const_new(1 << 30);

/// Why a body was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Untaken {
    /// It is larger than it may be, was cut, or brought nothing for too long.
    Body,
    /// Others hold what there is.
    Room,
}

/// All of a body, with the room in `held` that it takes.
pub(super) async fn taken(
    body: Body,
    most: usize,
    idle: Duration,
    held: &Semaphore,
) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Untaken> {
    let mut body = Limited::new(body, most);
    let mut whole = BytesMut::new();
    let mut room: Option<SemaphorePermit<'_>> = None;
    let frame = async |body: &mut Limited<Body>| {
        let frame = tokio::time::timeout(idle, body.frame()).await;
        frame.map_err(|_| Untaken::Body)
    };
    while let Some(frame) = frame(&mut body).await? {
        let frame = frame.map_err(|_| Untaken::Body)?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        let size = u32::try_from(data.len()).map_err(|_| Untaken::Body)?;
        let more = held.try_acquire_many(size).map_err(|_| Untaken::Room)?;
        match &mut room {
            Some(room) => room.merge(more),
            None => room = Some(more),
        }
        whole.extend_from_slice(data);
    }
    Ok((whole.freeze(), room))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_have_room_together() {
        let held = Semaphore::new(10);
        let long = Duration::from_mins(1);
        let take = async |body: &'static str| taken(body.into(), 9, long, &held).await;
        let (bytes, first) = take("123456").await.unwrap();
        assert_eq!(bytes, "123456");
        assert_eq!(take("12345").await.unwrap_err(), Untaken::Room);
        assert_eq!(take("1234567890").await.unwrap_err(), Untaken::Body);
        let _second = take("1234").await.unwrap();
        drop(first);
        take("12345").await.unwrap();
    }

    #[test]
    fn a_network_has_its_share() {
        let networks = Networks::default();
        let peer = |text: &str| Peer::at(text.parse().unwrap());
        let first = networks.share(&peer("192.0.2.1"), 1).unwrap();
        assert!(networks.share(&peer("::ffff:192.0.2.77"), 1).is_none());
        let _other = networks.share(&peer("192.0.3.1"), 1).unwrap();
        drop(first);
        let _again = networks.share(&peer("192.0.2.2"), 1).unwrap();
    }
}

//! What is listened on: what is new is bound before the swap, what is gone let go of after it.

use super::{Control, Edges};
use crate::config::{Config, ListenerKind};
use crate::problems::{Place, Problems};

impl<E: Edges> Control<E> {
    /// Binds what is listened on from now on. Nothing accepts from it yet.
    pub(super) fn bind_added(
        &self,
        config: &Config,
        problems: &mut Problems,
    ) -> Result<Vec<E::Bound>, ()> {
        let running = self.edges.listening();
        let mut added = Vec::new();
        for (kind, address) in wanted(config) {
            if running
                .iter()
                .any(|known| known.kind == kind && known.asked == address)
            {
                continue;
            }
            match self.edges.bind(kind, address) {
                Ok(bound) => added.push(bound),
                Err(error) => {
                    problems.add(&Place::named(format!("listen.{}", kind.name())), error);
                }
            }
        }
        if problems.has_problems() {
            Err(())
        } else {
            Ok(added)
        }
    }
}

/// The listeners of a configuration.
pub(super) fn wanted(config: &Config) -> Vec<(ListenerKind, std::net::SocketAddr)> {
    let listen = &config.listen;
    let https = listen
        .https
        .iter()
        .map(|address| (ListenerKind::Https, *address));
    let http = listen
        .http
        .iter()
        .map(|address| (ListenerKind::Http, *address));
    let metrics = listen
        .metrics
        .iter()
        .map(|address| (ListenerKind::Metrics, *address));
    let admin = listen.admin_addresses.iter();
    let admin = admin.map(|address| (ListenerKind::Admin, *address));
    https.chain(http).chain(metrics).chain(admin).collect()
}

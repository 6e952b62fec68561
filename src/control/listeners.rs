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
        let wanted = wanted(config);
        let known = running.iter().map(|known| (known.kind, known.asked));
        let leaving: Vec<_> = known.filter(|known| !wanted.contains(known)).collect();
        let mut added = Vec::new();
        for (kind, address) in wanted {
            if running
                .iter()
                .any(|known| known.kind == kind && known.asked == address)
            {
                continue;
            }
            match self.edges.bind(kind, address, &leaving) {
                Ok(bound) => added.push(bound),
                Err(error) => {
                    problems.add(&Place::named(format!("listen.{}", kind.name())), error);
                }
            }
        }
        // The first one is opened by whoever starts us, when there is somebody to answer.
        if self.published.is_some() {
            match self.edges.bind_admin(&config.listen.admin) {
                Ok(bound) => added.extend(bound),
                Err(error) => drop(problems.add(&Place::named("listen.admin"), error)),
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

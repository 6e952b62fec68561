//! A start that serves nothing.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use super::capacity::Bounds;
use super::world::World;
use crate::access;
use crate::control::{Control, Rehearsed, Shared, Source};
use crate::server::Handed;

/// Reads, proves, compiles and tests as a start would, and starts nothing: for `check` and `print`.
pub fn rehearse(source: Source) -> anyhow::Result<Rehearsed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let set = LocalSet::new();
    set.block_on(&runtime, async {
        let (commands, _) = mpsc::channel(1);
        let (shared, _) = Shared::new(16, Instant::now());
        let world = World {
            workers: None,
            early: Vec::new(),
            own: Vec::new(),
            handed: Handed::default(),
            copies: Vec::new(),
            admin: None,
            succeeded: Vec::new(),
            access: access::Writer::start()?,
            commands,
            log: Rc::new(|_| {}),
            bounds: Bounds::new(usize::MAX),
            stop: CancellationToken::new(),
            shared: Arc::clone(&shared),
            failed_auth: Arc::default(),
            tls: Arc::default(),
        };
        let mut control = Control::new(source, world, shared).map_err(anyhow::Error::msg)?;
        loop {
            if let Some(result) = control.rehearse() {
                return Ok(result);
            }
            let orders = control.take_orders();
            anyhow::ensure!(
                !orders.is_empty(),
                "a document is awaited that nobody ordered"
            );
            for order in orders {
                let delivery = order.await;
                control.delivered(delivery);
            }
        }
    })
}

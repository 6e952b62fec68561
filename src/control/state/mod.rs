//! The state: tokens that commands made, their last use, and the audit, in one database.
//!
//! A change is durable before it is told, and in the table before it is told: no request that
//! starts after a command returned sees what was before. The desk is used by the control thread
//! of a running gateway, and by the command line where none runs.

mod audit;
mod backup;
mod change;
mod db;
mod desk;
mod ends;
mod find;
mod history;
mod import;
mod load;
mod numbers;
mod place;
mod reader;
mod saved;
mod uses;
mod view;
mod wall;

pub(super) use audit::Deed;
pub use backup::{BackupError, restore};
pub use db::StoreError;
pub(super) use desk::{Desk, Scene};
pub(super) use find::no_plugin;
pub(super) use history::{Contents, Disk, Generation, KeptDocument, KeptFile, newest};
pub use place::{fleeting, in_the_way};
pub(super) use place::{no_directory, open_to_others};
pub(super) use reader::Reader;
pub(super) use view::audited;

use crate::tokens::Fault;

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

/// Whether commands made tokens that are kept in this directory.
pub fn exists(directory: &std::path::Path) -> bool {
    db::Db::is_in(directory)
}

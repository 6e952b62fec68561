//! What can be wrong with the files of `plugway dev`.

use std::path::{Path, PathBuf};

/// Names the file and the mend.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory could not be read, written or protected.
    #[error("{} could not be {verb}; {mend}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What was tried, such as `written`.
        verb: &'static str,
        /// What to do.
        mend: &'static str,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A file is there that was not made here, or not by this version.
    #[error("{} {fault}; move it away or delete it, and a new one is made", path.display())]
    Strange {
        /// Which.
        path: PathBuf,
        /// What about it, such as `is not a certificate in PEM`.
        fault: &'static str,
    },
    /// A name that no certificate can be for.
    #[error("{0:?} can not stand in a certificate; give a DNS name or an address")]
    Name(String),
    /// Too many names.
    #[error(
        "a certificate for {0} names is too large; give at most 100, localhost and its addresses among them"
    )]
    Names(usize),
    /// The cryptographic library refused.
    #[error(
        "a development certificate could not be made; give one of your own with `plugway serve`"
    )]
    Make(#[from] rcgen::Error),
}

impl Error {
    /// Something that was not made here.
    pub(super) fn strange(path: &Path, fault: &'static str) -> Self {
        let path = path.to_owned();
        Self::Strange { path, fault }
    }
}

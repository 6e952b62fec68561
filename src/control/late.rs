//! What is known only when the program behind answers, which is started after all else.

use super::{Control, Edges, Source};

impl<E: Edges> Control<E> {
    /// From now on this is the configuration.
    pub fn set_source(&mut self, source: Source) {
        self.source = source;
    }

    /// An upstream answers that did not: what could not be had is due.
    pub fn hurry(&mut self) {
        self.documents.hurry();
    }
}

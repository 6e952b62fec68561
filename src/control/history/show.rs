//! What is told of generations.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::control::{Control, Edges};
use crate::tokens::Fault;

impl<E: Edges> Control<E> {
    /// For `plugway history`: every generation that is kept, the newest first.
    ///
    /// # Errors
    /// The state database can not be read.
    pub fn history(&mut self, now: Timestamp) -> Result<Value, Fault> {
        self.save(now);
        let running = self.generation;
        let line = |generation: &crate::control::state::Generation| {
            json!({
                "number": generation.number,
                "hash": generation.hash,
                "at": format!("{:.3}", generation.at),
                "cause": generation.cause,
                "by": generation.by,
                "rolled_back_to": generation.rolled_back_to,
                "plugins": generation.plugins,
                "held": generation.held,
                "serves": generation.number == running,
            })
        };
        Ok(self.generations(now)?.iter().map(line).collect())
    }
}

//! A document as it was read → one that can be loaded: `OpenAPI` 3.0 or 3.1.

use std::sync::Arc;

use crate::openapi::Value;

use super::dialect::{self, Dialect, LoadError};
use super::{Bundled, Finding, Origins, Overlay};

/// A document that can be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// `OpenAPI` 3.0 or 3.1, in one piece.
    pub document: Arc<Value>,
    /// What was repaired, simplified and skipped on the way here; pointers into the original.
    pub report: Vec<Finding>,
    /// What was moved, step by step.
    origins: Vec<Origins>,
}

impl Prepared {
    /// Of a document in one piece.
    pub fn new(document: Value) -> Result<Self, LoadError> {
        Self::of(document, Vec::new(), Origins::default())
    }

    /// Of a document that was put together, with overlays applied in their order. `name` is what
    /// the report calls an overlay's file.
    pub fn bundled(bundled: Bundled, overlays: &[(String, Overlay)]) -> Result<Self, LoadError> {
        let Bundled {
            mut value,
            origins,
            mut report,
        } = bundled;
        for (name, overlay) in overlays {
            let mut found = overlay.apply(&mut value);
            for finding in &mut found {
                finding.pointer = format!("{name}{}", finding.pointer);
            }
            report.append(&mut found);
        }
        Self::of(value, report, origins)
    }

    /// Of a document in one piece. `report` and `moved` are of what was done before.
    fn of(document: Value, mut report: Vec<Finding>, moved: Origins) -> Result<Self, LoadError> {
        let (dialect, guessed) = dialect::dialect(&document)?;
        report.extend(guessed);
        let mut origins = vec![moved];
        let document = match dialect {
            Dialect::V30OrV31 => document,
            Dialect::Swagger2 | Dialect::V32 => {
                let mut converted = match dialect {
                    Dialect::Swagger2 => super::swagger2::convert(document),
                    _ => super::v32::convert(document),
                };
                for moved in &origins {
                    moved.restore(&mut converted.report);
                }
                report.append(&mut converted.report);
                origins.push(converted.origins);
                converted.value
            }
        };
        Ok(Self {
            document: Arc::new(document),
            report,
            origins,
        })
    }

    /// Puts the places of findings about [`Self::document`] back to where they were written.
    pub(super) fn restore(&self, report: &mut [Finding]) {
        for moved in self.origins.iter().rev() {
            moved.restore(report);
        }
    }
}

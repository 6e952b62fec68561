//! Stand-in until the branch lands.
use super::Finding;
use serde_json::Value;
/// x
#[derive(Debug)]
pub struct Overlay;
/// x
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// x
    #[error("x")]
    X,
}
impl Overlay {
    /// x
    pub fn parse(_document: &Value) -> Result<Self, Vec<OverlayError>> {
        Ok(Self)
    }
    /// x
    pub fn apply(&self, _document: &mut Value) -> Vec<Finding> {
        Vec::new()
    }
}

//! Stand-in until the branch lands.
use super::{Finding, Origins};
use serde_json::Value;
/// x
#[derive(Debug)]
pub struct Bundler(Value);
/// x
#[derive(Debug)]
pub struct Bundled {
    /// x
    pub value: Value,
    /// x
    pub origins: Origins,
    /// x
    pub report: Vec<Finding>,
}
impl Bundler {
    /// x
    pub fn new(root: Value, _location: &str) -> Self {
        Self(root)
    }
    /// x
    pub fn wanted(&mut self) -> Vec<String> {
        Vec::new()
    }
    /// x
    pub fn supply(&mut self, _location: &str, _content: Result<Value, String>) {}
    /// x
    pub fn finish(self) -> Bundled {
        Bundled {
            value: self.0,
            origins: Origins::default(),
            report: Vec::new(),
        }
    }
}

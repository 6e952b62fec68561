//! Stand-in until the branch lands.
pub(super) fn convert(value: serde_json::Value) -> super::origins::Converted {
    super::origins::Converted {
        value,
        origins: super::Origins::default(),
        report: Vec::new(),
    }
}

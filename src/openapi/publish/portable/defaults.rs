//! Defaults that their schema allows. One that it does not allow makes validators refuse the whole
//! document.

use crate::openapi::Value;

use super::super::{Action, Finding, Target};
use super::allows::Checker;
use super::visit;

/// Drops the defaults that their schema does not allow, and objects, for which generators have no
/// form.
pub(in super::super) fn drop_unusable(
    document: &mut Value,
    target: Target,
    report: &mut Vec<Finding>,
) {
    let mut dropped: Vec<String> = Vec::new();
    let mut checker = Checker::new(document, target);
    visit::schemas(document, |spot, schema| {
        let reason = match schema.get("default") {
            Some(Value::Object(_)) => "its default is an object, which generators have no form for",
            Some(default) if checker.refuses(schema, default) => {
                "its default is no value that it allows"
            }
            _ => return,
        };
        let finding = Finding::new(spot.pointer, Action::Simplified, reason);
        visit::note(report, finding);
        dropped.push(spot.pointer.to_owned());
    });
    visit::change(document, &dropped, |_, schema| {
        schema.shift_remove("default");
    });
}

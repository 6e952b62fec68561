//! Path items and operations.

use crate::openapi::{Map, Value};

use super::{Action, Converter, Kind, pointer, text};

/// Methods that 3.1 has members for.
const METHODS: &[&str] = &[
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// Whether a member of a path item is an operation.
fn is_method(name: &str) -> bool {
    METHODS
        .iter()
        .any(|method| method.eq_ignore_ascii_case(name))
}

impl Converter<'_> {
    /// A path item.
    pub(super) fn path_item(&mut self, item: &mut Map) {
        self.servers(item);
        self.parameters(item);
        if let Some(name) = item.keys().find(|n| n.eq_ignore_ascii_case("query")) {
            let name = name.clone();
            if let Some(operation) = item.shift_remove(&name) {
                self.within(&name, |this| this.skip("QUERY", &operation));
            }
        }
        if let Some(more) = item.shift_remove("additionalOperations") {
            self.additional(more, item);
        }
        for (name, operation) in item.iter_mut().filter(|(name, _)| is_method(name)) {
            self.within(name, |this| this.visit(Kind::Operation, operation));
        }
    }

    /// `additionalOperations`: what has a method of 3.1 belongs beside them.
    fn additional(&mut self, more: Value, item: &mut Map) {
        let from = pointer::join(&self.origin(), "additionalOperations");
        let Value::Object(more) = more else {
            let message = "`additionalOperations` is not an object";
            self.note_at(from, Action::Skipped, message);
            return;
        };
        for (method, operation) in more {
            let old = pointer::join(&from, &method);
            let name = method.to_ascii_lowercase();
            if !is_method(&name) {
                self.within("additionalOperations", |this| {
                    this.within(&method, |this| this.skip(&method, &operation));
                });
            } else if item.keys().any(|known| known.eq_ignore_ascii_case(&name)) {
                let message = format!("the path has {} already", name.to_ascii_uppercase());
                self.note_at(old, Action::Skipped, message);
            } else {
                let message = format!(
                    "`{method}` stands in `additionalOperations`, and is read as `{name}` of the \
                     path"
                );
                self.note_at(old.clone(), Action::Repaired, message);
                self.moved(&name, old);
                item.insert(name, operation);
            }
        }
    }

    /// Says that an operation can not be published.
    fn skip(&mut self, method: &str, operation: &Value) {
        let id = operation
            .as_object()
            .and_then(|body| text(body, "operationId"));
        let method: String = method.chars().take(40).collect();
        let what = match id {
            Some(id) => format!("`{id}` has the method {method}"),
            None => format!("its method is {method}"),
        };
        self.note(
            Action::Skipped,
            format!("{what}, which OpenAPI 3.1 can not say"),
        );
    }

    /// An operation.
    pub(super) fn operation(&mut self, operation: &mut Map) {
        self.servers(operation);
        self.security(operation);
        self.parameters(operation);
        self.member(operation, "requestBody", Kind::RequestBody);
        self.members(operation, "responses", Kind::Response);
    }
}

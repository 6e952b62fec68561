//! Schemas: only their notes about XML and discriminators differ.

use crate::openapi::{Map, Value};

use super::{Converter, Kind, pointer};

impl Converter<'_> {
    /// A schema and those in it.
    pub(super) fn schema(&mut self, schema: &mut Map) {
        self.xml(schema);
        self.discriminator(schema);
        for (name, value) in schema {
            match name.as_str() {
                "not"
                | "items"
                | "contains"
                | "propertyNames"
                | "if"
                | "then"
                | "else"
                | "contentSchema"
                | "additionalProperties"
                | "unevaluatedProperties"
                | "unevaluatedItems"
                | "additionalItems"
                | "allOf"
                | "anyOf"
                | "oneOf"
                | "prefixItems" => self.within(name, |this| this.schema_or_list(value)),
                "properties" | "patternProperties" | "dependentSchemas" | "$defs"
                | "definitions" => {
                    if let Value::Object(inner) = value {
                        self.within(name, |this| {
                            for (name, value) in inner {
                                this.within(name, |this| this.visit(Kind::Schema, value));
                            }
                        });
                    }
                }
                _ => {}
            }
        }
    }

    /// A schema or a list of them.
    fn schema_or_list(&mut self, value: &mut Value) {
        match value {
            Value::Array(list) => {
                for (index, value) in list.iter_mut().enumerate() {
                    self.within_item(index, |this| this.visit(Kind::Schema, value));
                }
            }
            value => self.visit(Kind::Schema, value),
        }
    }

    /// `xml.nodeType`: two of its values have a member of their own in 3.1.
    fn xml(&mut self, schema: &mut Map) {
        let is_list = match schema.get("type") {
            Some(Value::String(kind)) => kind == "array",
            Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "array"),
            _ => false,
        };
        let dynamic = schema.get("$dynamicRef").is_some_and(Value::is_string);
        let refers = dynamic || pointer::is_reference(schema);
        let Some(Value::Object(xml)) = schema.get_mut("xml") else {
            return;
        };
        let Some(node) = xml.shift_remove("nodeType") else {
            return;
        };
        let member = match node.as_str() {
            Some("attribute") => "attribute",
            Some("element") if is_list => "wrapped",
            // The defaults.
            Some("element") if !refers => return,
            Some("none") if is_list || refers => return,
            _ => {
                self.within("xml", |this| this.unsayable(&["nodeType"]));
                return;
            }
        };
        if !xml.contains_key(member) {
            xml.insert(member.to_owned(), true.into());
        }
    }

    /// `discriminator`: 3.1 has no default for other values.
    fn discriminator(&mut self, schema: &mut Map) {
        let Some(Value::Object(discriminator)) = schema.get_mut("discriminator") else {
            return;
        };
        if discriminator.shift_remove("defaultMapping").is_some() {
            self.within("discriminator", |this| this.unsayable(&["defaultMapping"]));
        }
        let Some(Value::Object(mapping)) = discriminator.get_mut("mapping") else {
            return;
        };
        for target in mapping.values_mut() {
            if let Value::String(reference) = target {
                self.localise(reference);
                self.enqueue(Kind::Schema, reference);
            }
        }
    }
}

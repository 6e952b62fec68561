//! The top of a document: version, servers, tags, security.

use crate::openapi::{Map, Value};

use super::{Action, Converter, Kind, listed, pointer, text};

/// What is written as version.
const VERSION: &str = "3.1.0";
/// References to security schemes that stand where their names do in 3.1.
const SCHEMES: &str = "#/components/securitySchemes/";

impl Converter<'_> {
    /// The whole document.
    pub(super) fn root(&mut self, root: &mut Map) {
        root.insert("openapi".to_owned(), VERSION.into());
        if root.shift_remove("$self").is_some() {
            let message = "OpenAPI 3.1 has no `$self`; references to it are written as local ones";
            self.within("$self", |this| this.note(Action::Noted, message));
        }
        // 3.1 knows only its own.
        if text(root, "jsonSchemaDialect").is_some_and(|dialect| dialect.contains("/oas/3.2/")) {
            root.shift_remove("jsonSchemaDialect");
        }
        self.servers(root);
        self.security(root);
        self.tags(root);
        if let Some(Value::Object(paths)) = root.get_mut("paths") {
            self.within("paths", |this| {
                for (key, item) in paths {
                    if !key.starts_with("x-") {
                        this.within(key, |this| this.visit(Kind::PathItem, item));
                    }
                }
            });
        }
        if let Some(Value::Object(components)) = root.get_mut("components") {
            self.within("components", |this| {
                this.members(components, "securitySchemes", Kind::SecurityScheme);
            });
        }
    }

    /// `servers`: 3.1 has no names for them.
    pub(super) fn servers(&mut self, map: &mut Map) {
        let Some(Value::Array(servers)) = map.get_mut("servers") else {
            return;
        };
        self.within("servers", |this| {
            for (index, server) in servers.iter_mut().enumerate() {
                let name = server.as_object_mut().and_then(|s| s.shift_remove("name"));
                if name.is_some() {
                    this.within_item(index, |this| this.unsayable(&["name"]));
                }
            }
        });
    }

    /// `security`: 3.2 may write a scheme as a reference.
    pub(super) fn security(&mut self, map: &mut Map) {
        let Some(Value::Array(requirements)) = map.get_mut("security") else {
            return;
        };
        let own_schemes = self.original.pointer("/components/securitySchemes");
        let declared = |name: &str| own_schemes.is_some_and(|own| own.get(name).is_some());
        for requirement in requirements {
            let Value::Object(schemes) = requirement else {
                continue;
            };
            if schemes.keys().all(|key| !key.contains('#')) {
                continue;
            }
            *schemes = std::mem::take(schemes)
                .into_iter()
                .map(|(key, scopes)| {
                    let local = self.local(&key).to_owned();
                    let segments = pointer::segments(&local).unwrap_or_default();
                    match segments.last() {
                        Some(name) if local.starts_with(SCHEMES) && !declared(&key) => {
                            (name.as_str().into(), scopes)
                        }
                        _ => (key, scopes),
                    }
                })
                .collect();
        }
    }

    /// `tags`: 3.1 has no tree of them.
    fn tags(&mut self, root: &mut Map) {
        let Some(Value::Array(tags)) = root.get_mut("tags") else {
            return;
        };
        self.within("tags", |this| {
            for (index, tag) in tags.iter_mut().enumerate() {
                let Value::Object(tag) = tag else {
                    continue;
                };
                let mut lost = Vec::new();
                if let Some(summary) = tag.shift_remove("summary") {
                    if text(tag, "description").is_none() {
                        tag.insert("description".to_owned(), summary);
                    } else {
                        lost.push("summary");
                    }
                }
                for name in ["parent", "kind"] {
                    if tag.shift_remove(name).is_some() {
                        lost.push(name);
                    }
                }
                this.within_item(index, |this| this.unsayable(&lost));
            }
        });
    }

    /// A security scheme.
    pub(super) fn security_scheme(&mut self, scheme: &mut Map) {
        let mut lost = Vec::new();
        for name in ["oauth2MetadataUrl", "deprecated"] {
            if scheme.shift_remove(name).is_some() {
                lost.push(name);
            }
        }
        self.unsayable(&lost);
        if let Some(Value::Object(flows)) = scheme.get_mut("flows")
            && flows.shift_remove("deviceAuthorization").is_some()
        {
            self.within("flows", |this| this.unsayable(&["deviceAuthorization"]));
        }
    }

    /// Says which members are left out.
    pub(super) fn unsayable(&mut self, names: &[&str]) {
        if !names.is_empty() {
            let message = format!(
                "OpenAPI 3.1 has no {} here; left out of what is published",
                listed(names)
            );
            self.note(Action::Simplified, message);
        }
    }
}

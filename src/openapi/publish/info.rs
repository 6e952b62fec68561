//! `info` and `tags`.

use std::collections::HashSet;

use crate::openapi::{Map, Value};

use super::super::load::info_object;
use super::keywords::text;
use super::{Api, InfoOverrides, Target};

/// `info` with what both versions know.
pub(super) fn render(document: &Value, target: Target, overrides: &InfoOverrides) -> Value {
    let empty = Map::new();
    let source = info_object(document).unwrap_or(&empty);
    let field = |name: &str| source.get(name).and_then(text);
    let mut info = Map::new();
    let title = overrides
        .title
        .clone()
        .or_else(|| field("title"))
        .unwrap_or_default();
    let title = if title.is_empty() {
        "API".to_owned()
    } else {
        title
    };
    info.insert("title".to_owned(), title.into());
    if target == Target::V3_1_0 {
        insert(&mut info, "summary", field("summary"));
    }
    let description = overrides
        .description
        .clone()
        .or_else(|| field("description"));
    insert(&mut info, "description", description);
    insert(
        &mut info,
        "termsOfService",
        field("termsOfService").filter(|t| is_link(t)),
    );
    if let Some(contact) = part(source, "contact", &["name", "url", "email"]) {
        info.insert("contact".to_owned(), contact.into());
    }
    if let Some(license) = license(source, target) {
        info.insert("license".to_owned(), license.into());
    }
    info.insert(
        "version".to_owned(),
        field("version").unwrap_or_else(|| "1".to_owned()).into(),
    );
    Value::Object(info)
}

/// Inserts what is there.
fn insert(map: &mut Map, name: &str, value: Option<String>) {
    if let Some(value) = value {
        map.insert(name.to_owned(), value.into());
    }
}

/// Some texts of a member, if there are any.
fn part(of: &Map, name: &str, fields: &[&str]) -> Option<Map> {
    let member = of.get(name)?.as_object()?;
    let mut out = Map::new();
    for field in fields {
        let usable = |text: &String| match *field {
            "url" => is_link(text),
            "email" => is_email(text),
            _ => true,
        };
        insert(
            &mut out,
            field,
            member.get(field).and_then(text).filter(usable),
        );
    }
    (!out.is_empty()).then_some(out)
}

/// Whether a text can be the address of something (RFC 3986), as validators ask.
pub(super) fn is_link(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b);
    let Ok(base) = url::Url::parse("https://document.invalid/") else {
        return false;
    };
    let mut escapes = text.split('%').skip(1);
    let hex = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    !text.is_empty() && text.bytes().all(allowed) && escapes.all(hex) && base.join(text).is_ok()
}

/// Whether a text can be an e-mail address, as far as validators look.
fn is_email(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._+@".contains(&b);
    let parts = text.split_once('@');
    let dotted = |part: &str| !part.is_empty() && part.split('.').all(|label| !label.is_empty());
    text.bytes().all(allowed)
        && parts.is_some_and(|(user, host)| {
            dotted(user) && dotted(host) && !host.contains('@') && !host.starts_with('-')
        })
}

/// `info.license`: it needs a name; the identifier is of 3.1, and excludes the URL. Validators
/// of 3.1 ask for one of the two: a name in the form of an identifier is given as one, and any
/// other says nothing that a caller needs.
fn license(info: &Map, target: Target) -> Option<Map> {
    let mut license = part(info, "license", &["name", "identifier", "url"])?;
    if !license.contains_key("name") {
        let name = license
            .get("identifier")
            .or_else(|| license.get("url"))?
            .clone();
        license.shift_insert(0, "name".to_owned(), name);
    }
    if target == Target::V3_0_1 || license.contains_key("url") {
        license.shift_remove("identifier");
    }
    if target == Target::V3_1_0 && !license.contains_key("url") {
        let name = license.get("identifier").or_else(|| license.get("name"))?;
        let name = name.as_str().filter(|name| is_identifier(name))?.to_owned();
        license.insert("identifier".to_owned(), name.into());
    }
    Some(license)
}

/// Whether a text has the form of an SPDX licence identifier or expression.
fn is_identifier(text: &str) -> bool {
    let word = |word: &str| {
        let mut bytes = word.trim_matches(['(', ')']).bytes();
        bytes.len() > 0 && bytes.all(|b| b.is_ascii_alphanumeric() || b"-.+:".contains(&b))
    };
    let words: Vec<&str> = text.split(' ').collect();
    let (names, joints): (Vec<_>, Vec<_>) = words.iter().enumerate().partition(|(i, _)| i % 2 == 0);
    let joins = |(_, joint): &(usize, &&str)| matches!(**joint, "AND" | "OR" | "WITH");
    names.len() == joints.len() + 1
        && names.iter().all(|(_, name)| word(name))
        && joints.iter().all(joins)
}

/// The tags of the document that a published operation has.
pub(super) fn tags(api: &Api) -> Option<Value> {
    let mut open: HashSet<&str> = api
        .operations
        .iter()
        .flat_map(|o| &o.tags)
        .map(String::as_str)
        .collect();
    let mut tags = Vec::new();
    for tag in api.source.get("tags")?.as_array()? {
        let Some(name) = tag.get("name").and_then(Value::as_str) else {
            continue;
        };
        if !open.remove(name) {
            continue;
        }
        let mut out = Map::new();
        out.insert("name".to_owned(), name.into());
        insert(
            &mut out,
            "description",
            tag.get("description").and_then(text),
        );
        if let Some(docs) = external_docs(tag.get("externalDocs")) {
            out.insert("externalDocs".to_owned(), docs);
        }
        tags.push(Value::Object(out));
    }
    (!tags.is_empty()).then_some(Value::Array(tags))
}

/// `externalDocs`, if it has the URL that it needs.
pub(super) fn external_docs(value: Option<&Value>) -> Option<Value> {
    let value = value?;
    let url = value.get("url").and_then(text).filter(|url| is_link(url))?;
    let mut docs = Map::new();
    insert(
        &mut docs,
        "description",
        value.get("description").and_then(text),
    );
    docs.insert("url".to_owned(), url.into());
    Some(Value::Object(docs))
}

#[cfg(test)]
mod tests {
    use crate::openapi::json;

    use super::*;

    #[test]
    fn a_license_has_what_validators_of_its_version_ask_for() {
        let check = |source: Value, v31: Value, v30: Value| {
            let info = json!({ "info": { "license": source } });
            for (target, expected) in [(Target::V3_1_0, v31), (Target::V3_0_1, v30)] {
                let info = render(&info, target, &InfoOverrides::default());
                assert_eq!(info.get("license").unwrap_or(&Value::Null), &expected);
            }
        };
        let mit = json!({ "name": "MIT" });
        check(
            mit.clone(),
            json!({ "name": "MIT", "identifier": "MIT" }),
            mit,
        );
        let either = json!({ "name": "MIT OR Apache-2.0" });
        let named = json!({ "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" });
        check(either.clone(), named, either);
        let prose = json!({ "name": "Apache License, Version 2.0" });
        check(prose.clone(), Value::Null, prose);
        let linked = json!({ "name": "Ours", "url": "https://a.example/licence" });
        check(linked.clone(), linked.clone(), linked);
    }
}

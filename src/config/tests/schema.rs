//! The schema, and that `config/full.toml` shows every key of the description.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use crate::config::keys::{self, Kind, ROOT};
use crate::config::schema;

/// A text of TOML as JSON; times are strings there.
fn json(text: &str) -> Value {
    fn value(found: &DeValue<'_>) -> Value {
        match found {
            DeValue::String(text) => text.as_ref().into(),
            DeValue::Integer(number) => number.as_str().parse::<u64>().expect("small").into(),
            DeValue::Float(number) => number.as_str().parse::<f64>().expect("a number").into(),
            DeValue::Boolean(truth) => (*truth).into(),
            DeValue::Datetime(time) => time.to_string().into(),
            DeValue::Array(items) => items.iter().map(|item| value(item.get_ref())).collect(),
            DeValue::Table(table) => object(table),
        }
    }
    fn object(table: &DeTable<'_>) -> Value {
        let member = |(name, item): (&toml::Spanned<_>, &toml::Spanned<_>)| {
            let name: &toml::de::DeString<'_> = name.get_ref();
            (name.to_string(), value(item.get_ref()))
        };
        Value::Object(table.iter().map(member).collect())
    }
    let parsed = DeTable::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    object(parsed.get_ref())
}

#[test]
fn it_is_a_schema_and_knows_valid_from_invalid() {
    let schema = schema();
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    let mut files = vec!["config/full.toml".into(), "config/plugway.toml".into()];
    let valid = fs::read_dir("tests/config/valid").expect("a folder of the repository");
    files.extend(valid.map(|file| file.expect("a file").path()));
    for path in files {
        let text = fs::read_to_string(&path).expect("a file of the repository");
        let errors: Vec<String> = validator
            .iter_errors(&json(&text))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
    }
    for name in [
        "unknown-key",
        "require-missing",
        "wrong-types",
        "literal-secret",
        "bad-duration",
        "choice",
    ] {
        let path = format!("tests/config/invalid/{name}.toml");
        let text = fs::read_to_string(&path).expect("a file of the repository");
        assert!(!validator.is_valid(&json(&text)), "{path} is valid");
    }
}

#[test]
fn the_schema_is_this() {
    let schema = serde_json::to_string_pretty(&schema()).expect("JSON");
    insta::assert_snapshot!(schema);
}

/// The dotted keys of a table of TOML, arrays of tables like tables.
fn keys_of(value: &Value, path: &str, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let dot = if path.is_empty() { "" } else { "." };
                let inner = format!("{path}{dot}{name}");
                keys.insert(inner.clone());
                keys_of(member, &inner, keys);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys_of(item, path, keys)),
        _ => {}
    }
}

/// The keys of `config/full.toml`, in use or in a comment.
fn shown_keys() -> BTreeSet<String> {
    let text = fs::read_to_string("config/full.toml").expect("a file of the repository");
    let mut keys = BTreeSet::new();
    keys_of(&json(&text), "", &mut keys);
    let mut table = String::new();
    for line in text.lines() {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_start_matches('[');
            let end = header.find(']').expect("a header");
            table = format!("{}.", &header[..end]);
        }
        let Some(comment) = line.strip_prefix("# ") else {
            continue;
        };
        // A comment that is TOML is a key; prose is none.
        if comment.contains(" = ") && DeTable::parse(comment).is_ok() {
            let mut inner = BTreeSet::new();
            keys_of(&json(comment), "", &mut inner);
            keys.extend(inner.into_iter().map(|key| format!("{table}{key}")));
        }
    }
    keys
}

#[test]
fn full_shows_every_key() {
    let shown: BTreeSet<String> = shown_keys()
        .into_iter()
        .map(|key| {
            key.replacen("plugins.todo", "plugins.NAME", 1)
                .replacen("operations.listTodos", "operations.NAME", 1)
                .replacen("tokens.chatgpt", "tokens.NAME", 1)
                .replacen("tokens.webhook", "tokens.NAME", 1)
        })
        .collect();
    for table in keys::all() {
        for key in table.keys {
            let dot = if table.path.is_empty() { "" } else { "." };
            let path = format!("{}{dot}{}", table.path, key.name);
            assert!(shown.contains(&path), "config/full.toml has no {path}");
        }
    }
}

#[test]
fn the_paths_of_the_description_are_where_its_tables_are() {
    fn check(table: &keys::Table) {
        for key in table.keys {
            let dot = if table.path.is_empty() { "" } else { "." };
            let name = match key.kind {
                Kind::Named(_) => format!("{}.NAME", key.name),
                _ => key.name.to_owned(),
            };
            for inner in key.kind.tables() {
                assert_eq!(inner.path, format!("{}{dot}{name}", table.path));
                check(inner);
            }
        }
    }
    check(&ROOT);
    let included: Vec<&str> = keys::INCLUDED.keys.iter().map(|key| key.name).collect();
    assert!(included.iter().all(|name| ROOT.key(name).is_some()));
}

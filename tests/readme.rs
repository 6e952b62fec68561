//! Every configuration that README.md shows is one that plugway takes.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can not read README.md has to fail"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use plugway::config::{self, Inputs};
use plugway::openapi::{self, ReadLimits, Selection};

/// Files and variables are there, whichever are asked for.
struct Everything;

impl Inputs for Everything {
    fn file(&mut self, path: &Path) -> Result<Arc<[u8]>, String> {
        // Distinct, since two tokens must not share a secret.
        Ok(format!("content-of-{}", path.display()).into_bytes().into())
    }

    fn glob(&mut self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        Err(format!(
            "README.md includes {pattern}: this test has to learn how"
        ))
    }

    fn env(&mut self, name: &str) -> Option<String> {
        Some(format!("value-of-the-variable-{name}"))
    }
}

fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    text.split(&opening)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

#[test]
fn every_toml_block_is_a_valid_configuration() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let found = blocks(&text, "toml");
    assert!(found.len() >= 2, "README.md shows no configuration");
    for block in found {
        let now = "2026-11-23T00:00:00Z".parse().unwrap();
        let (config, problems) = config::load_text(
            "README.md",
            block,
            &mut Everything,
            &config::Parts::default(),
            now,
        );
        assert!(
            config.is_some() && problems.is_empty(),
            "{}\n{block}",
            problems.render(false)
        );
    }
}

#[test]
fn every_yaml_block_is_a_document_with_operations_or_an_overlay_of_it() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let found = blocks(&text, "yaml");
    assert!(!found.is_empty(), "README.md shows no document");
    let mut last = openapi::Value::Null;
    for block in found {
        let read = openapi::read(block.as_bytes(), &ReadLimits::default()).unwrap();
        if read.get("overlay").is_some() {
            let overlay = openapi::Overlay::parse(&read).unwrap();
            assert_eq!(overlay.apply(&mut last), [], "{block}");
            continue;
        }
        last.clone_from(&read);
        let api = openapi::load(read, &Selection::default()).unwrap();
        assert!(
            !api.operations.is_empty() && api.report.is_empty(),
            "{:?}\n{block}",
            api.report
        );
    }
}

#[test]
fn the_first_screen_has_thirty_lines_or_little_more() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let first = text.split("\n---\n").next().unwrap();
    assert!(
        first.lines().count() <= 36,
        "{} lines",
        first.lines().count()
    );
}

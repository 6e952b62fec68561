use std::path::Path;
use std::sync::OnceLock;

use super::*;

/// A document of `tests/specs`.
pub(super) struct Spec {
    /// Its path below that folder.
    pub(super) name: String,
    /// Its content.
    pub(super) value: Value,
}

/// The documents of `tests/specs`, read once.
pub(super) fn specs() -> &'static [Spec] {
    static SPECS: OnceLock<Vec<Spec>> = OnceLock::new();
    SPECS.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specs");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&root).unwrap() {
            let path = entry.unwrap().path();
            let file = if path.is_dir() {
                path.join("openapi.yaml")
            } else {
                path
            };
            let document = file.extension().is_some_and(|e| e == "json" || e == "yaml");
            if document && file.exists() {
                names.push(
                    file.strip_prefix(&root)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
        names.sort();
        assert_eq!(names.len(), 22);
        let read = |name: String| {
            let bytes = std::fs::read(root.join(&name)).unwrap();
            let limits = ReadLimits::default();
            let value =
                read(&bytes, &limits).unwrap_or_else(|e| panic!("{name}: {e} {:?}", e.line));
            Spec { name, value }
        };
        names.into_iter().map(read).collect()
    })
}

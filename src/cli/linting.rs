//! `plugway check --profile`: the documents as they are served, held against the limits of clients.

use anyhow::Context;
use serde_json::{Value, json};

use super::output::{Output, on_one_line};
use super::served::{document, origin};
use crate::counted::counted;
use crate::documents::MANIFEST;
use crate::openapi;
use crate::openapi::lint::{self, Breach, Linted, Profile, Severity};
use crate::snapshot::{Plugin, Snapshot};

/// What was found in the documents of one plugin; the error says why there are none.
pub(super) type Found = anyhow::Result<Vec<Breach>>;

/// Errors and warnings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// How many errors.
    pub(super) errors: usize,
    /// How many warnings.
    pub(super) warnings: usize,
}

impl Count {
    /// Of these breaches.
    fn of<'b>(breaches: impl IntoIterator<Item = &'b Breach>) -> Self {
        let mut count = Self::default();
        for breach in breaches {
            match breach.severity {
                Severity::Error => count.errors += 1,
                Severity::Warning => count.warnings += 1,
            }
        }
        count
    }

    /// Of all plugins. Documents that could not be looked at are a warning: nobody knows.
    pub(super) fn of_all(all: &[Found]) -> Self {
        let mut sum = Self::default();
        for found in all {
            let one = match found {
                Ok(breaches) => Self::of(breaches),
                Err(_) => Self {
                    errors: 0,
                    warnings: 1,
                },
            };
            sum.errors += one.errors;
            sum.warnings += one.warnings;
        }
        sum
    }

    /// Whether there is anything.
    pub(super) fn is_any(self) -> bool {
        self != Self::default()
    }
}

/// As people read it.
impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}, {}",
            counted(self.errors, "error", "errors"),
            counted(self.warnings, "warning", "warnings")
        )
    }
}

/// Looks at the documents of a plugin.
pub(super) fn look(snapshot: &Snapshot, plugin: &Plugin, profiles: &[Profile]) -> Found {
    let origin = origin(snapshot, plugin);
    let read = |path: &str| -> anyhow::Result<(openapi::Value, usize)> {
        let text = document(plugin, path, &origin)?;
        let value = serde_json::from_str(&text)
            .with_context(|| format!("{path} as it is published can not be read back"))?;
        Ok((value, text.len()))
    };
    let (v31, v31_bytes) = read("/openapi.json")?;
    let (v30, _) = read("/openapi-3.0.json")?;
    // What `files` puts in its place need be no JSON; then there is no manifest that a client reads.
    let manifest = read(MANIFEST).ok().map(|(manifest, _)| manifest);
    let linted = Linted {
        v31: &v31,
        v30: &v30,
        manifest: manifest.as_ref(),
        v31_bytes,
        origin: &origin,
        guarded: plugin.documents_need_token,
    };
    Ok(lint::lint(&linted, profiles))
}

/// All fields of each breach.
pub(super) fn to_json(found: &Found) -> Value {
    let breaches = found.as_deref().unwrap_or_default();
    breaches
        .iter()
        .map(|breach| {
            json!({
                "profile": breach.profile.word(),
                "severity": breach.severity.word(),
                "rule": breach.rule,
                "place": breach.place,
                "pointer": breach.pointer,
                "message": breach.message,
                "limit": breach.limit,
                "actual": breach.actual,
                "help": breach.help,
            })
        })
        .collect()
}

/// Why there was nothing to look at, or null.
pub(super) fn error(found: &Found) -> Value {
    found
        .as_ref()
        .err()
        .map(|reason| format!("{reason:#}"))
        .into()
}

/// Prints them by profile, each with its mend.
pub(super) fn print(
    found: &Found,
    profiles: &[Profile],
    output: &mut Output,
) -> anyhow::Result<()> {
    let breaches = match found {
        Ok(breaches) => breaches,
        Err(reason) => return output.text(&format!("  no profile was looked at: {reason:#}\n")),
    };
    for profile in profiles {
        let own = || breaches.iter().filter(|breach| breach.profile == *profile);
        output.text(&format!("  {}: {}\n", profile.word(), Count::of(own())))?;
        for breach in own() {
            output.text(&format!(
                "    {} {} [{}]\n      {} (limit: {}; actual: {})\n      {}\n      help: {}\n",
                breach.severity.word(),
                on_one_line(&breach.place),
                breach.rule,
                on_one_line(&breach.message),
                breach.limit,
                on_one_line(&breach.actual),
                on_one_line(&breach.pointer),
                on_one_line(&breach.help),
            ))?;
        }
    }
    Ok(())
}

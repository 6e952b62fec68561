//! Keys that a table does not know: misspelt, in the wrong table, or of a later version.

use super::{Section, in_order};
use crate::config::expand::shown;
use crate::config::keys::{self, Table};
use crate::problems::{Problems, closest};

/// Keys of the longest table that is told whole.
const LISTED: usize = 12;

impl Section<'_> {
    /// Reports every unknown key of the table.
    pub(super) fn check_unknown(&self, problems: &mut Problems) {
        let Some(values) = self.values else {
            return;
        };
        for (name, _) in in_order(values) {
            let key: &str = name.get_ref();
            if self.table.key(key).is_some() {
                continue;
            }
            let at = self.inside(key, name.span());
            if self.table.later.contains(&key) {
                let message = format!("`{}` is not supported by this version yet", at.key);
                problems.add(&at, message).help("remove it");
                continue;
            }
            let around = match self.at.key.as_str() {
                "" => String::new(),
                path => format!(" in [{path}]"),
            };
            let problem = problems.add(&at, format!("unknown key `{}`{around}", shown(key)));
            if let Some(help) = self.meant(key) {
                problem.help(help);
            }
        }
    }

    /// What the author may have meant by an unknown key: the same name in another table, a
    /// like name in this one, a like name in a table inside.
    fn meant(&self, key: &str) -> Option<String> {
        let homes: Vec<String> = self.tables_with(key);
        let names = || self.table.keys.iter().map(|key| key.name);
        if !homes.is_empty() {
            let elsewhere = format!("`{key}` belongs {}", homes.join(" or "));
            let is_plural = |one: &str, other: &str| one.strip_suffix('s') == Some(other);
            let meant = names().find(|name| is_plural(name, key) || is_plural(key, name));
            return Some(match meant {
                Some(name) => format!("did you mean `{name}`? ({elsewhere})"),
                None => elsewhere,
            });
        }
        if let Some(name) = closest(key, names()) {
            return Some(format!("did you mean `{name}`?"));
        }
        // A short table is told whole.
        let all: Vec<_> = names().take(LISTED + 1).collect();
        (1..=LISTED)
            .contains(&all.len())
            .then(|| format!("its keys are {}", all.join(", ")))
    }

    /// The tables that know a key, nearest first, at most two: "in [tls]".
    fn tables_with(&self, key: &str) -> Vec<String> {
        let mut tables: Vec<&'static Table> = keys::all()
            .into_iter()
            .filter(|table| table.key(key).is_some())
            .collect();
        // Those below this table first, then those that share most of the way.
        let here = self.table.path;
        tables.sort_by_key(|table| {
            let shared = common_segments(here, table.path);
            (std::cmp::Reverse(shared), table.path.split('.').count())
        });
        let mut homes: Vec<String> = tables
            .iter()
            .map(|table| match self.real_path(table.path).as_str() {
                "" if table
                    .key(key)
                    .is_some_and(|key| !key.kind.tables().is_empty()) =>
                {
                    "in the main file".to_owned()
                }
                "" => "at the top of the main file, before the first table".to_owned(),
                path => format!("in [{path}]"),
            })
            .collect();
        homes.dedup();
        homes.truncate(2);
        homes
    }

    /// A described path with the names of the place where we are: `plugins.todo.auth`.
    fn real_path(&self, described: &str) -> String {
        let here: Vec<&str> = self.at.key.split('.').collect();
        let mut path: Vec<&str> = described.split('.').collect();
        if path.get(1) == Some(&"NAME") && path.first() == here.first() {
            path[1] = here.get(1).copied().unwrap_or("NAME");
        }
        path.join(".")
    }
}

/// How many segments two paths have in common from the start.
fn common_segments(one: &str, other: &str) -> usize {
    one.split('.')
        .zip(other.split('.'))
        .take_while(|(one, other)| one == other && !one.is_empty())
        .count()
}

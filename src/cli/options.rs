//! Faults of a configuration that was made of options: told by the option, since there is no file to look
//! into.

use std::path::{Path, PathBuf};

use super::args::typed;
use crate::control::Source;
use crate::problems::{Place, Problems};

/// Parts of keys, and the option that is written there.
const OPTIONS: [(&str, &str); 8] = [
    ("listen.https", "--https"),
    ("listen.http", "--http"),
    ("limits.drain", "--drain"),
    (".upstream", "--upstream"),
    (".openapi", "--openapi"),
    (".public_url", "--public-url"),
    (".auth", "--require"),
    ("tokens.environment", "$PLUGWAY_TOKEN_SHA256"),
];

/// What a configuration was made of.
#[derive(Debug, Clone)]
pub(super) struct Made {
    /// What places in it have in the place of a file; `None`: it is a file.
    name: Option<PathBuf>,
    /// By `plugway dev`.
    dev: bool,
}

impl Made {
    pub(super) fn of(source: &Source) -> Self {
        match source {
            Source::File(_) => Self {
                name: None,
                dev: false,
            },
            Source::Text { name, dev, .. } => Self {
                name: Some(name.into()),
                dev: *dev,
            },
        }
    }

    /// Problems as they are told.
    pub(super) fn told(&self, problems: &Problems) -> Problems {
        self.told_by(problems, &given)
    }

    fn told_by(&self, problems: &Problems, is_given: &dyn Fn(&str) -> bool) -> Problems {
        let mut all = Problems::new();
        for problem in problems {
            let mut problem = problem.clone();
            if self.name.is_some() && problem.at.file() == self.name.as_deref().map(Path::new) {
                problem.at = Place::named(self.place(&problem.at.key, is_given));
            }
            all.push(problem);
        }
        all
    }

    /// The option of a key; the key too where it has what plugway chose.
    fn place(&self, key: &str, is_given: &dyn Fn(&str) -> bool) -> String {
        let option = OPTIONS.iter().find(|(part, _)| key.contains(part));
        match option.map(|(_, option)| *option) {
            None => key.to_owned(),
            Some("--require") if self.dev => said(key, "--auth", is_given),
            Some("--http") if !is_given("--http") && is_given("$PORT") && !self.dev => {
                "$PORT".to_owned()
            }
            Some(option) => said(key, option, is_given),
        }
    }
}

fn said(key: &str, option: &str, is_given: &dyn Fn(&str) -> bool) -> String {
    if is_given(option) {
        option.to_owned()
    } else {
        format!("{key} ({option} sets it)")
    }
}

/// Whether somebody wrote it: typed, or set it in the environment.
fn given(option: &str) -> bool {
    match option.strip_prefix('$') {
        Some(variable) => std::env::var_os(variable).is_some_and(|value| !value.is_empty()),
        None => typed(option),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::problems;

    #[track_caller]
    fn check(source: &Source, given: &[&str], key: &str, expected: &str) {
        let at = Place {
            source: Some(Arc::new(problems::Source {
                path: "plugway dev".into(),
                text: "a\nb = 1\n".to_owned(),
            })),
            span: 2..3,
            key: key.to_owned(),
        };
        let mut problems = Problems::new();
        problems.add(&at, "is wrong").help("mend it");
        let told = Made::of(source).told_by(&problems, &|option| given.contains(&option));
        let problem = told.iter().next().unwrap();
        assert_eq!(problem.at.to_string(), expected);
        assert_eq!(
            (&*problem.message, problem.help.as_deref()),
            ("is wrong", Some("mend it"))
        );
    }

    #[test]
    fn options_are_named_and_no_lines_of_what_is_no_file() {
        let made = |dev| Source::Text {
            name: "plugway dev".to_owned(),
            text: String::new(),
            dev,
        };
        let (dev, serve) = (&made(true), &made(false));
        check(
            dev,
            &["--upstream"],
            "plugins.api.upstream.url",
            "--upstream",
        );
        check(
            dev,
            &[],
            "plugins.api.openapi.source",
            "plugins.api.openapi.source (--openapi sets it)",
        );
        check(dev, &["--auth"], "plugins.api.auth.require", "--auth");
        check(
            serve,
            &["--require"],
            "plugins.api.auth.require",
            "--require",
        );
        check(serve, &["$PORT"], "listen.http", "$PORT");
        check(serve, &["--http", "$PORT"], "listen.http", "--http");
        check(dev, &["--https"], "listen.https", "--https");
        check(serve, &[], "tls.key", "tls.key");
        // Of a file, also of one that is called so, nothing is known.
        let file = Source::File("plugway dev".into());
        check(&file, &["--http"], "listen.http", "plugway dev:2:1");
    }
}

//! `plugway check`.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use serde_json::{Value, json};

use super::Exit;
use super::args::Check;
use super::linting::{self, Count};
use super::output::{Output, on_one_line};
use crate::app;
use crate::config::Test;
use crate::control::{Alone, Platform, Rehearsed, Source};
use crate::counted::counted;
use crate::openapi::lint::Profile;
use crate::openapi::{Action, Finding};
use crate::problems::{Problem, Problems, Severity};
use crate::snapshot::{Plugin, Snapshot};

/// What was found.
struct Findings<'a> {
    /// In the configuration.
    problems: &'a Problems,
    /// How many of them stop it.
    count: usize,
    /// The included files that they are in, if all are.
    alone: &'a [Alone],
    /// What follows from where it runs: what, and from which variable.
    platform: Vec<String>,
    /// Its plugins, if they could be made.
    plugins: Vec<&'a Plugin>,
    /// How many tests each has.
    tests: Vec<Tests>,
    /// Whose limits were asked for.
    profiles: Vec<Profile>,
    /// What goes beyond them, by plugin; empty when none was asked for.
    lint: Vec<linting::Found>,
}

/// `[[plugins.NAME.tests]]`
#[derive(Debug, Clone, Copy, Default)]
struct Tests {
    /// Answered as they expect.
    passed: usize,
    /// Those that ask the API, which a check does not do.
    upstream: usize,
    /// Those that nobody could ask, since the document is not there.
    left_out: usize,
}

pub(super) fn run(check: &Check, output: &mut Output) -> anyhow::Result<Exit> {
    let rehearsed = app::rehearse(Source::File(check.config.clone()))?;
    let findings = Findings::gather(check, &rehearsed);
    if output.as_json {
        output.json(&findings.to_json())?;
    } else {
        findings.print(check, output)?;
    }
    let strict = if check.strict {
        findings.strict()
    } else {
        Vec::new()
    };
    if !strict.is_empty() && findings.count == 0 && !output.as_json {
        output.remark(&format!(
            "plugway: --strict fails for {}",
            strict.join(", ")
        ));
    }
    Ok(if findings.count > 0 || !strict.is_empty() {
        Exit::Invalid
    } else {
        Exit::Done
    })
}

impl<'a> Findings<'a> {
    /// Looks at the documents too, if a profile was asked for.
    fn gather(check: &Check, rehearsed: &'a Rehearsed) -> Self {
        let (snapshot, problems) = (rehearsed.snapshot.as_deref(), &rehearsed.problems);
        let asked: Vec<_> = check
            .profile
            .iter()
            .flat_map(|profile| profile.profiles())
            .collect();
        let profiles: Vec<_> = Profile::ALL
            .into_iter()
            .filter(|profile| asked.contains(profile))
            .collect();
        let (mut plugins, mut tests, mut lint) = (Vec::new(), Vec::new(), Vec::new());
        for (snapshot, plugin) in snapshot.iter().flat_map(|snapshot| {
            snapshot
                .plugins
                .iter()
                .map(move |plugin| (snapshot, plugin))
        }) {
            plugins.push(&**plugin);
            tests.push(Tests::of(snapshot, plugin, problems));
            if !profiles.is_empty() {
                lint.push(linting::look(snapshot, plugin, &profiles));
            }
        }
        let stops = |problem: &&Problem| problem.severity == Severity::Problem;
        Self {
            count: problems.iter().filter(stops).count(),
            problems,
            alone: &rehearsed.alone,
            tests,
            platform: snapshot.map(from_platform).unwrap_or_default(),
            plugins,
            profiles,
            lint,
        }
    }

    /// What `--strict` fails for.
    fn strict(&self) -> Vec<String> {
        let mut all = Vec::new();
        if let count @ 1.. = self.warnings() {
            all.push(counted(count, "warning", "warnings"));
        }
        let breaches = Count::of_all(&self.lint);
        if breaches.is_any() {
            let count = breaches.errors + breaches.warnings;
            let breaches = counted(count, "breach", "breaches");
            all.push(format!("{breaches} of profiles"));
        }
        for plugin in &self.plugins {
            let skipped = plugin.report.iter();
            if let count @ 1.. = skipped
                .filter(|line| line.action == Action::Skipped)
                .count()
            {
                let what = counted(count, "skipped item", "skipped items");
                all.push(format!("{what} of the document of {}", plugin.name));
            }
        }
        all
    }

    /// Warnings of the configuration.
    fn warnings(&self) -> usize {
        self.problems.len() - self.count
    }

    /// One object.
    fn to_json(&self) -> Value {
        let plugins = self.plugins.iter().enumerate().map(|(index, plugin)| {
            let mut object = json!({
                "name": &*plugin.name,
                "operations": plugin.operations.len(),
                "unavailable": plugin.unavailable,
                "report": plugin.report_json(usize::MAX),
                "tests": self.tests[index].to_json(),
            });
            if let Some(found) = self.lint.get(index) {
                object["lint"] = linting::to_json(found);
                object["lint_error"] = linting::error(found);
            }
            object
        });
        json!({
            "valid": self.count == 0,
            "problems": self.problems.to_json(),
            "refused_alone": self.alone.iter().map(|alone| json!({
                "file": alone.file.display().to_string(), "plugins": alone.plugins,
            })).collect::<Vec<_>>(),
            "platform": self.platform,
            "plugins": plugins.collect::<Vec<_>>(),
        })
    }

    /// Text, the faults of the configuration on standard error.
    fn print(&self, check: &Check, output: &mut Output) -> anyhow::Result<()> {
        if !self.problems.is_empty() {
            output.remark(self.problems.render(Output::color()).trim_end());
        }
        for line in &self.platform {
            output.text(&format!("from the platform: {line}\n"))?;
        }
        for (index, plugin) in self.plugins.iter().enumerate() {
            let state = plugin.unavailable.as_ref().map_or(String::new(), |reason| {
                format!(" (document not available: {})", on_one_line(reason))
            });
            output.text(&format!(
                "plugin {}: {}{state}{}{}\n",
                plugin.name,
                counted(plugin.operations.len(), "operation", "operations"),
                plugin.counted(),
                self.tests[index]
            ))?;
            print_report(plugin, output)?;
            if let Some(found) = self.lint.get(index) {
                linting::print(found, &self.profiles, output)?;
            }
        }
        let lint = if self.profiles.is_empty() {
            String::new()
        } else {
            format!("; of its documents: {}", Count::of_all(&self.lint))
        };
        output.text(&format!(
            "{}: {}, {}{lint}{}\n",
            self.verdict(&check.config),
            counted(self.count, "problem", "problems"),
            counted(self.warnings(), "warning", "warnings"),
            self.fate(&check.config)
        ))
    }

    /// Whether it is taken, and what is not.
    fn verdict(&self, main: &Path) -> String {
        let main = main.display();
        if self.count == 0 {
            return format!("{main} is valid");
        }
        if self.alone.is_empty() {
            return format!("{main} is refused");
        }
        let files: Vec<String> = self.alone.iter().map(named).collect();
        let verb = if files.len() == 1 { "is" } else { "are" };
        format!("{} {verb} refused", on_one_line(&files.join(", ")))
    }

    /// What becomes of included files that fail alone.
    fn fate(&self, main: &Path) -> String {
        if self.alone.is_empty() {
            return String::new();
        }
        let it = if self.alone.len() == 1 { "it" } else { "them" };
        format!(
            "; a running gateway keeps what served of {it} last and takes the rest of {}, a start leaves {it} out",
            main.display()
        )
    }
}

/// A file with its plugins.
fn named(alone: &Alone) -> String {
    let file = alone.file.display();
    match alone.plugins.as_slice() {
        [] => file.to_string(),
        [plugin] => format!("{file} (plugin {plugin})"),
        plugins => format!("{file} (plugins {})", plugins.join(", ")),
    }
}

impl Tests {
    /// Those of a plugin of a configuration that is valid.
    fn of(snapshot: &Snapshot, plugin: &Plugin, problems: &Problems) -> Self {
        let mut written = snapshot.config.plugins.iter();
        let written = written.find(|written| *written.name == *plugin.name);
        let tests = written.map(|written| &*written.tests).unwrap_or_default();
        if plugin.unavailable.is_some() {
            return Self {
                left_out: tests.len(),
                ..Self::default()
            };
        }
        // What matches nothing in a document that was fetched is a warning.
        let missed = |test: &Test| {
            let at = |problem: &Problem| {
                problem.at.file() == test.shown.at.file() && problem.at.span == test.shown.at.span
            };
            problems.iter().any(at)
        };
        let tests: Vec<&Test> = tests.iter().filter(|test| !missed(test)).collect();
        let upstream = tests.iter().filter(|test| test.upstream).count();
        Self {
            passed: tests.len() - upstream,
            upstream,
            left_out: 0,
        }
    }

    fn to_json(self) -> Value {
        json!({ "passed": self.passed, "not_run": self.upstream + self.left_out })
    }
}

impl fmt::Display for Tests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            upstream,
            left_out,
        } = *self;
        if passed > 0 {
            write!(f, "; {} passed", counted(passed, "test", "tests"))?;
        }
        if upstream > 0 {
            let tests = counted(upstream, "test", "tests");
            write!(
                f,
                "; {tests} not run (upstream = true: `plugway reload` runs them)"
            )?;
        }
        if left_out > 0 {
            write!(f, "; {} not run", counted(left_out, "test", "tests"))?;
        }
        Ok(())
    }
}

/// What the configuration leaves to the platform.
fn from_platform(snapshot: &Snapshot) -> Vec<String> {
    let platform = Platform::read();
    let mut lines = Vec::new();
    if snapshot.config.behind_fly {
        lines.push(
            "trusted_proxies = \"fly\": a client's address is what Fly-Client-IP says, from private IPv4 addresses only"
                .to_owned(),
        );
    }
    let Some(app) = platform.app.as_ref() else {
        return lines;
    };
    for plugin in &snapshot.config.plugins {
        if plugin.public_url.is_none() && plugin.hosts.is_empty() {
            let name = &plugin.name;
            lines.push(format!(
                "plugin {name}: public_url = \"https://{app}.fly.dev\" (FLY_APP_NAME)"
            ));
        }
    }
    if !snapshot.config.behind_fly && !snapshot.config.listen.http.is_empty() {
        lines.push(
            "without trusted_proxies = \"fly\" every client has the address of Fly's proxy, and speaks plain HTTP"
                .to_owned(),
        );
    }
    let drain = platform.drain();
    lines.push(match snapshot.config.limits.drain {
        None => format!("limits.drain = \"{}s\": kill_timeout is 5s unless fly.toml says more", drain.as_secs()),
        Some(written) if written > drain => format!(
            "limits.drain is {} s: fly.toml has to give a longer kill_timeout, which is 5s by default",
            written.as_secs_f32()
        ),
        Some(_) => return lines,
    });
    lines
}

/// The load report. Of a kind that comes often only the first lines are shown.
fn print_report(plugin: &Plugin, output: &mut Output) -> anyhow::Result<()> {
    let reported = plugin.reported();
    let mut kinds: HashMap<(Action, String), usize> = HashMap::new();
    for (finding, _) in &reported {
        *kinds.entry(kind(finding)).or_default() += 1;
    }
    let mut shown: HashMap<(Action, String), usize> = HashMap::new();
    for (finding, written) in reported {
        let kind = kind(finding);
        let all = kinds.get(&kind).copied().unwrap_or_default();
        let before = shown.entry(kind).or_default();
        *before += 1;
        if *before > OF_A_KIND && all > OF_A_KIND + 1 {
            continue;
        }
        let file = written
            .file
            .map_or(String::new(), |file| format!("{file} "));
        let line = written
            .line
            .map_or(String::new(), |line| format!(", line {line}"));
        output.text(&format!(
            "  {} {}{}{line}: {}\n",
            finding.action.as_str(),
            on_one_line(&file),
            on_one_line(&written.pointer),
            on_one_line(&finding.message)
        ))?;
        if *before == OF_A_KIND && all > OF_A_KIND + 1 {
            let more = all - OF_A_KIND;
            output.text(&format!(
                "    and {more} more of this kind (--json has all)\n"
            ))?;
        }
    }
    Ok(())
}

/// Lines of one kind that are shown one by one.
const OF_A_KIND: usize = 3;

/// What a line says, but for the names and numbers in it. Each thing that is lost is a kind of
/// its own: all of them are shown.
fn kind(finding: &Finding) -> (Action, String) {
    let message = &finding.message;
    if finding.action == Action::Skipped {
        return (finding.action, format!("{} {message}", finding.pointer));
    }
    let unquoted = message.split('`').step_by(2).collect::<Vec<_>>().join("`");
    let words = unquoted.chars().filter(|c| !c.is_ascii_digit()).collect();
    (finding.action, words)
}

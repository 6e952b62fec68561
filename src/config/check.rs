//! What no table can know alone: names that must exist, hosts that tell plugins apart, doors
//! that stand open.

use super::expand::shown;
use super::section::Reading;
use super::{Config, TestCaller};
use crate::problems::{Place, closest};

/// Compares the parts of a configuration; `root` is the place of the main file.
pub(super) fn check(config: &Config, root: &Place, reading: &mut Reading<'_>) {
    if config.plugins.is_empty() && !reading.seen.incomplete {
        reading
            .problems
            .warn(
                root,
                "there is no plugin: every request is answered with 421",
            )
            .help("write [plugins.NAME], or `include` the files that do");
    }
    several_plugins(config, reading);
    plugins_of_tokens(config, reading);
    callers_of_tests(config, reading);
    open_doors(config, reading);
}

/// Several plugins are told apart by their hosts. Where one was meant, what is wrong with it is told
/// already.
fn several_plugins(config: &Config, reading: &mut Reading<'_>) {
    if config.plugins.len() < 2 {
        return;
    }
    for plugin in &config.plugins {
        let misnamed = || reading.seen.misnamed.contains(&plugin.name);
        if plugin.hosts.is_empty() && plugin.public_url.is_none() && !misnamed() {
            let message = format!(
                "the plugin `{}` has no host: several plugins are told apart by their hosts",
                shown(&plugin.name)
            );
            reading
                .problems
                .add(&plugin.at, message)
                .help("write `hosts` or `public_url`");
        }
    }
}

/// A token names plugins that exist.
fn plugins_of_tokens(config: &Config, reading: &mut Reading<'_>) {
    if reading.seen.incomplete {
        return; // it may be in a file that could not be read
    }
    for name in config.tokens.iter().flat_map(|token| &token.plugins) {
        let known = || config.plugins.iter().map(|plugin| plugin.name.as_str());
        if name.value == "*" || known().any(|known| known == name.value) {
            continue;
        }
        let message = "there is no such plugin";
        let problem = reading.problems.add(&name.at, message);
        if let Some(meant) = closest(&name.value, known()) {
            problem.help(format!("did you mean `{meant}`?"));
        }
    }
}

/// A test is asked by a token that exists.
fn callers_of_tests(config: &Config, reading: &mut Reading<'_>) {
    if reading.seen.incomplete {
        return; // it may be in a file that could not be read
    }
    let tokens = || config.tokens.iter().map(|token| token.id.as_str());
    for test in config.plugins.iter().flat_map(|plugin| &plugin.tests) {
        let TestCaller::Token(key) = &test.caller.value else {
            continue;
        };
        if tokens().any(|known| known == key) {
            continue;
        }
        let message = format!("there is no token `{}`", shown(key));
        let words = ["service", "user", "anonymous"];
        let help = match closest(key, words.into_iter().chain(tokens())) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "write `service`, `user`, `anonymous` or the key of a [tokens.KEY]".to_owned(),
        };
        reading.problems.add(&test.caller.at, message).help(help);
    }
}

/// Anyone may call, from anywhere: that is meant seldom.
fn open_doors(config: &Config, reading: &mut Reading<'_>) {
    let mut listeners = config.listen.https.iter().chain(&config.listen.http);
    let Some(public) = listeners.find(|address| !address.ip().is_loopback()) else {
        return;
    };
    for at in &reading.seen.unguarded {
        reading
            .problems
            .warn(
                at,
                format!("anyone who reaches {public} may call this plugin"),
            )
            .help("require a token, or listen on a loopback address");
    }
}

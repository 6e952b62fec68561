//! Every file of `tests/config` and of `config`.

use std::fmt::Write as _;
use std::fs;

use super::{Config, loaded};
use crate::config::{Limits, Plugin};

/// What differs from file to file, a line each.
fn brief(config: &Config) -> String {
    let mut text = String::new();
    let mut line = |what: &str, value: &dyn std::fmt::Debug| {
        writeln!(text, "{what}: {value:?}").expect("a string takes everything");
    };
    line("workers", &config.workers);
    line("trusted_proxies", &config.trusted_proxies);
    if config.behind_fly {
        line("behind_fly", &true);
    }
    line("token_files", &config.token_files);
    if !config.token_urls.is_empty() {
        line("token_urls", &config.token_urls);
    }
    line("listen", &config.listen);
    for certificate in &config.certificates {
        line("certificate", certificate);
    }
    line("state_directory", &config.state_directory);
    line("log", &config.log);
    for plugin in &config.plugins {
        plugin_lines(plugin, &mut line);
    }
    for token in &config.tokens {
        line("token", token);
    }
    if config.limits != Limits::default() {
        line("limits", &config.limits);
    }
    text
}

/// The lines of a plugin.
fn plugin_lines(plugin: &Plugin, line: &mut dyn FnMut(&str, &dyn std::fmt::Debug)) {
    line("plugin", &(&plugin.name, &plugin.at));
    let for_humans = (&plugin.display_name, &plugin.description, &plugin.contact);
    line("  identity", &(for_humans, &plugin.instructions));
    line("  pages", &(&plugin.legal, &plugin.logo));
    line("  hosts", &(&plugin.hosts, &plugin.public_url));
    line("  publish", &(plugin.publish, plugin.documents));
    line("  upstream", &plugin.upstream);
    line("  openapi", &plugin.openapi);
    for operation in &plugin.operations {
        line("  operation", operation);
    }
    line("  auth", &plugin.auth);
    line("  cors", &plugin.cors_origins);
    line("  headers", &plugin.headers);
    line("  files", &plugin.files);
    for test in &plugin.tests {
        line("  test", test);
    }
}

#[test]
fn valid_files_mean_this() {
    insta::glob!("../../../tests/config/valid", "*.toml", |path| {
        let text = fs::read_to_string(path).expect("a file of the repository");
        let (config, problems) = loaded("plugway.toml", &text);
        let config = config.unwrap_or_else(|| panic!("{}:\n{problems}", path.display()));
        insta::assert_snapshot!(format!("{}{problems}", brief(&config)));
    });
}

#[test]
fn invalid_files_are_told_this() {
    insta::glob!("../../../tests/config/invalid", "*.toml", |path| {
        let text = fs::read_to_string(path).expect("a file of the repository");
        let (config, problems) = loaded("plugway.toml", &text);
        assert!(config.is_none(), "{} is valid", path.display());
        insta::assert_snapshot!(problems);
    });
}

#[test]
fn the_files_of_config_are_valid_and_warn_of_nothing() {
    for path in ["config/plugway.toml", "config/full.toml"] {
        let text = fs::read_to_string(path).expect("a file of the repository");
        let (config, problems) = loaded(path, &text);
        assert!(problems.is_empty(), "{path}:\n{problems}");
        assert!(config.is_some());
    }
}

#[test]
fn full_shows_the_defaults() {
    let text = fs::read_to_string("config/full.toml").expect("a file of the repository");
    let (full, _) = loaded("config/full.toml", &text);
    let (least, _) = loaded("plugway.toml", super::GOOD);
    let (full, least) = (full.expect("valid"), least.expect("valid"));
    assert_eq!(full.limits, Limits::default());
    assert_eq!(least.limits, Limits::default());
    assert_eq!(full.log, least.log);
    assert_eq!(full.state_directory, least.state_directory);
    assert_eq!(full.listen.admin, least.listen.admin);
    let (full, least) = (&full.plugins[0], &least.plugins[0]);
    assert_eq!(full.publish, least.publish);
    assert_eq!(full.documents, least.documents);
    assert_eq!(full.cors_origins, least.cors_origins);
    assert_eq!(full.auth.header, least.auth.header);
    assert_eq!(
        format!("{:?}", full.upstream),
        format!("{:?}", least.upstream)
    );
    assert_eq!(full.openapi.refresh, least.openapi.refresh);
    assert_eq!(
        full.openapi.forward_unpublished,
        least.openapi.forward_unpublished
    );
}

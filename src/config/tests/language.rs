//! Single rules of the language, a line each. What a whole message looks like, the snapshots
//! of `tests/config` show.

use std::path::Path;

use super::{Fake, GOOD, faults, loaded, now};
use crate::config::{Credential, Parts, load};

/// A fault that is added behind [`GOOD`]: part of its one message.
#[track_caller]
fn check(added: &str, expected: &str) {
    let found = faults(&format!("{GOOD}{added}\n"));
    match found.as_slice() {
        [one] if expected.is_empty() => panic!("{one}"),
        [one] => assert!(one.contains(expected), "{one}"),
        [] => assert_eq!(expected, ""),
        several => panic!("{several:#?}"),
    }
}

#[test]
fn the_good_one_has_no_fault() {
    check("", "");
}

#[test]
fn a_place_is_a_line_a_column_and_a_key() {
    check(
        "upstream.retries = 11",
        "6:20 plugins.todo.upstream.retries: `11` is out of bounds",
    );
    check(
        "hosts = ['a.b', 'a:1']",
        "6:17 plugins.todo.hosts[1]: `a:1` has a port",
    );
    check(
        "auth.requires = 'x'",
        "6:6 plugins.todo.auth.requires: unknown key `requires` in [plugins.todo.auth]",
    );
}

#[test]
fn a_short_table_tells_its_keys() {
    let text =
        format!("{GOOD}tests = [{{ request = 'GET /', as = 'none', expect = 200, qqq = 1 }}]");
    let (_, problems) = loaded("f.toml", &text);
    let problem = problems
        .iter()
        .find(|one| one.message.contains("`qqq`"))
        .unwrap();
    let help = problem.help.as_deref().unwrap();
    assert!(
        help.starts_with("its keys are ") && help.contains("upstream"),
        "{help}"
    );
}

#[test]
fn one_of_a_list_is_told_the_list() {
    let text = format!("{GOOD}host = ['api.example.com']");
    let (_, problems) = loaded("f.toml", &text);
    let problem = problems.iter().find(|one| one.message.contains("`host`"));
    let help = problem.and_then(|one| one.help.as_deref()).unwrap();
    assert_eq!(
        help,
        "did you mean `hosts`? (`host` belongs in [plugins.todo.upstream])"
    );
}

#[test]
fn references() {
    check("name = '${env:PORT}'", "");
    check("name = '$${env:NOT_SET}'", "");
    check("name = '$5 and {}'", "");
    check("name = '${env:NOT_SET}'", "NOT_SET is not set");
    check("name = '${env:}'", "`${env:}` is not a reference");
    check("name = '${file:}'", "`${file:}` is not a reference");
    check("name = '${vault:x}'", "`${vault:x}` is not a reference");
    check("name = '${env:PORT'", "a reference has no end");
    check("name = '${file:none}'", "can not read the file `none`");
    let many = "${env:PORT}".repeat(17);
    check(&format!("name = '{many}'"), "more than 16 references");
}

#[test]
fn several_references_and_the_escape_are_replaced_in_place() {
    let name = "a ${env:PORT} b $${env:PORT} c ${file:/run/secrets/todo}${env:EMPTY}.";
    let (config, problems) = loaded("f.toml", &format!("{GOOD}name = '{name}'"));
    assert!(problems.is_empty(), "{problems}");
    let plugin = &config.expect("valid").plugins[0];
    assert_eq!(
        plugin.display_name.as_deref(),
        Some("a 8443 b ${env:PORT} c todo-secret-of-a-file.")
    );
}

#[test]
fn a_file_for_a_reference_is_text_of_a_sane_size() {
    let mut inputs = Fake::default();
    inputs
        .files
        .insert("large".into(), vec![b'x'; (64 << 10) + 1]);
    inputs.files.insert("binary".into(), vec![0xff, 0xfe]);
    for (path, expected) in [("large", "is too large"), ("binary", "is not UTF-8")] {
        let text = format!("{GOOD}name = '${{file:{path}}}'");
        let (_, problems) =
            super::load_text(Path::new("f"), &text, &mut inputs, &Parts::default(), now());
        assert!(problems.to_string().contains(expected), "{problems}");
    }
}

#[test]
fn a_credential_takes_its_value_without_the_newline_of_the_file() {
    let added = "upstream.credential.bearer = '${file:/run/secrets/todo}'";
    let (config, _) = loaded("f.toml", &format!("{GOOD}{added}"));
    let config = config.expect("valid");
    let Credential::Bearer(secret) = &config.plugins[0].upstream.credential else {
        panic!("{:?}", config.plugins[0].upstream.credential);
    };
    assert_eq!(secret.expose(), b"todo-secret-of-a-file");
}

#[test]
fn hosts_sent_upstream() {
    check("upstream.host = 'client'", "");
    check("upstream.host = 'a.example:8080'", "");
    check("upstream.host = '[::1]:8080'", "");
    check("upstream.host = '[::1]'", "");
    check("upstream.host = '::1'", "IPv6 address without brackets");
    check("upstream.host = 'a.example:0'", "a port that can not exist");
    check("upstream.host = 'a.example:x'", "a port that can not exist");
}

#[test]
fn several_upstreams_differ_in_their_place_only() {
    #[track_caller]
    fn check(urls: &str, expected: &str) {
        let text = GOOD.replace("\"http://127.0.0.1:8000\"", urls);
        assert_ne!(text, GOOD);
        let (config, problems) = loaded("f.toml", &text);
        assert_eq!(config.is_some(), expected.is_empty(), "{problems}");
        assert!(problems.to_string().contains(expected), "{problems}");
    }
    check("['http://a.example/v1', 'http://b.example/v1/']", "");
    check("[]", "the list has no URL");
    check("['http://a.example', 'https://b.example']", "same scheme");
    check("['http://a.example', 'http://b.example/v1']", "same path");
    check(
        "['http://a.example', 'http://A.example:80/']",
        "written twice",
    );
    check("['http://a.example', 7]", "upstream.url");
}

#[test]
fn health_checks() {
    check("upstream.health = { path = '/health?deep=1' }", "");
    check("upstream.health = { path = 'health' }", "is no path");
    check("upstream.health = { path = '//a/b' }", "is no path");
    check("upstream.health = { path = '/a b' }", "is no path");
    check(
        "upstream.health = { path = '/', healthy = 0 }",
        "out of bounds",
    );
    check(
        "upstream.health = { interval = '1s' }",
        "`plugins.todo.upstream.health.path` is missing",
    );
}

#[test]
fn a_main_file_that_can_not_be_read_is_a_problem() {
    let mut inputs = Fake::default();
    inputs
        .files
        .insert("binary".into(), b"a = 1\nb = '\xe9'".to_vec());
    for (path, expected) in [("none", "No such file"), ("binary", "not UTF-8: line 2")] {
        let (config, problems) = load(Path::new(path), &mut inputs, &Parts::default(), now());
        assert!(config.is_none());
        assert!(problems.to_string().contains(expected), "{problems}");
    }
}

#[test]
fn a_file_is_bounded() {
    let text = format!("# {}", "x".repeat(1 << 20));
    let (_, problems) = loaded("f.toml", &text);
    assert!(problems.to_string().contains("larger than 1024 KiB"));
    let deep = format!("x = {}", "[".repeat(100_000));
    assert!(loaded("f.toml", &deep).1.has_problems());
}

#[test]
fn plugins_stand_in_the_order_in_which_they_were_written() {
    let text = "listen.http = '127.0.0.1:0'\n".to_owned()
        + &["zebra", "apple", "mango"]
            .map(|name| {
                format!(
                    "[plugins.{name}]\nhosts = ['{name}.example']\nupstream.url = 'http://h'\n\
                 auth.require = 'any'\n"
                )
            })
            .concat();
    let names: Vec<String> = loaded("f.toml", &text)
        .0
        .expect("valid")
        .plugins
        .into_iter()
        .map(|plugin| plugin.name)
        .collect();
    assert_eq!(names, ["zebra", "apple", "mango"]);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever an editor leaves behind: an answer, whose places are in the text.
    #[test]
    fn a_damaged_file_is_read_to_its_end(
        cut in 0..6000_usize,
        length in 0..40_usize,
        put in "[\\[\\]{}=\"'#$*a-z. \n\r\u{e4}\u{0}]{0,8}",
    ) {
        let full = include_str!("../../../config/full.toml");
        let mut bytes: Vec<char> = full.chars().collect();
        let start = cut.min(bytes.len());
        let end = (start + length).min(bytes.len());
        bytes.splice(start..end, put.chars());
        let text: String = bytes.into_iter().collect();
        let (config, problems) = loaded("plugway.toml", &text);
        proptest::prop_assert_eq!(config.is_some(), !problems.has_problems());
        for problem in &problems {
            let source = problem.at.source.as_ref().expect("a text");
            proptest::prop_assert_eq!(source.text.len(), text.len());
            proptest::prop_assert!(problem.at.span.end <= text.len());
        }
        proptest::prop_assert_eq!(problems.is_empty(), problems.render(true).is_empty());
    }
}

/// What is said of `trusted_proxies`.
fn of_proxies(list: &str) -> Vec<String> {
    let text = format!("trusted_proxies = [{list}]\n{GOOD}");
    let (config, problems) = loaded("f.toml", &text);
    assert!(config.is_some(), "{problems}");
    let all = problems.iter().map(|problem| problem.message.clone());
    all.filter(|message| message.contains("any client may write"))
        .collect()
}

#[test]
fn proxies_that_are_everybody_are_told() {
    for (list, expected) in [
        ("'10.0.0.0/8', 'fd00::/8', '2001:db8::/32'", ""),
        ("'0.0.0.0/2', '192.0.0.0/2'", ""),
        ("'0.0.0.0/0'", "`0.0.0.0/0` is everybody"),
        ("'::/0'", "`::/0` is everybody"),
        ("'::ffff:0:0/96'", "`0.0.0.0/0` is everybody"),
        (
            "'0.0.0.0/1', '128.0.0.0/1'",
            "`0.0.0.0/1` and the others are everybody",
        ),
        (
            "'64.0.0.0/2', '10.0.0.0/8', '0.0.0.0/2', '128.0.0.0/1'",
            "`64.0.0.0/2` and the others are everybody",
        ),
        (
            "'128.0.0.0/1'",
            "`128.0.0.0/1` is half of all IPv4 addresses",
        ),
        (
            "'0.0.0.0/2', '64.0.0.0/2'",
            "`0.0.0.0/2` and the others are half of all IPv4 addresses",
        ),
        ("'2000::/3'", "`2000::/3` is everybody"),
        ("'2000::/4'", "`2000::/4` is half of all IPv6 addresses"),
    ] {
        let found = of_proxies(list);
        if expected.is_empty() {
            assert_eq!(found, [""; 0], "{list}");
        } else {
            assert_eq!(found.len(), 1, "{list}: {found:?}");
            assert!(found[0].starts_with(expected), "{list}: {found:?}");
        }
    }
    assert_eq!(of_proxies("'0.0.0.0/0', '::/0'").len(), 2);
}

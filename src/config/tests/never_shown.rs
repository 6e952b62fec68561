//! What a reference gives, and a secret that was written literally, appears in no problem and
//! in no Debug form.

use std::fs;

use super::{Fake, GOOD, loaded};
use crate::tokens::{Level, generate_from_system};

/// Values of [`Fake`] that are secrets.
fn secrets() -> Vec<String> {
    let fake = Fake::default();
    let variables = fake.variables.into_iter();
    let variables = variables.filter(|(name, value)| *name != "PORT" && !value.is_empty());
    let files = fake.files.into_iter();
    let files = files.filter(|(path, _)| path.starts_with("/run/secrets"));
    variables
        .map(|(_, value)| value)
        .chain(files.map(|(_, bytes)| String::from_utf8(bytes).expect("text").trim().to_owned()))
        .collect()
}

/// Neither form of a file's result shows one of them, nor anything marked as literal.
#[track_caller]
fn check(name: &str, text: &str) {
    let (config, problems) = loaded("plugway.toml", text);
    let shown = format!(
        "{}{}{}{problems:?}{config:?}{config:#?}",
        problems.render(false),
        problems.render(true),
        problems.to_json(),
    );
    for secret in secrets() {
        assert!(!shown.contains(&secret), "{name} shows {secret}:\n{shown}");
    }
    for marked in ["literal-secret", "literal-password", "secret of the"] {
        assert!(!shown.contains(marked), "{name} shows {marked}:\n{shown}");
    }
}

#[test]
fn no_file_of_the_tests_shows_a_secret() {
    for folder in ["tests/config/valid", "tests/config/invalid", "config"] {
        for file in fs::read_dir(folder).expect("a folder of the repository") {
            let path = file.expect("a file").path();
            let text = fs::read_to_string(&path).expect("a file of the repository");
            check(&path.display().to_string(), &text);
        }
    }
}

#[test]
fn literal_secrets_are_masked_wherever_they_were_put() {
    for added in [
        "upstream.credential = { bearer = 'literal-secret', unknown = 1 }",
        "upstream.credential = { baerer = 'literal-secret' }",
        "upstream.credential = { basic = { user = 'u', passwort = 'literal-secret' } }",
        "upstream.credential = { basic = 'u:literal-secret' }",
        "upstream.credential = { basic = ['u', 'literal-secret'] }",
        "upstream.credential = 'literal-secret'",
        "upstream.bearer = 'literal-secret'",
        "bearer = 'literal-secret'",
        "credential = { query = { name = 'x', value = 'literal-secret' } }",
        "upstream.credential = { query = { name = 'x', value = { a = 'literal-secret' } } }",
        "upstream.credential = { bearer = \"\"\"\nliteral-secret\n  \"\"\", x = 1 }",
        "upstream.url = 'http://me:literal-secret@host/'",
        "logo = 'https://literal-secret@host/logo.png'",
        "[tokens.x]\nsecret = 'literal-secret'",
        "[tokens.x]\nsecert = 'literal-secret'",
        "[tokens.x]\nsecrets = [{ secret = 'literal-secret' }]",
        "[tokens.x]\nsecrets = ['literal-secret']",
        "[tokens.x]\nsha256 = 'literal-secret'",
        "[token.x]\nsecret = 'literal-secret'",
        "[tokens]\nx = 'literal-secret'",
        "secret = 'literal-secret",
        "[tokens.x]\nsecret = literal-secret",
        "[tokens.x]\nsecret 'literal-secret'",
    ] {
        check(added, &format!("{GOOD}{added}"));
    }
}

#[test]
fn masking_keeps_every_place_where_it_was() {
    let added = "upstream.credential = { bearer = 'literäl-secret', unknown = 1 }";
    let (_, problems) = loaded("plugway.toml", &format!("{GOOD}{added}"));
    let unknown = problems
        .iter()
        .find(|problem| problem.message.contains("unknown"))
        .expect("a problem");
    let source = unknown.at.source.as_ref().expect("a text");
    assert_eq!(&source.text[unknown.at.span.clone()], "unknown");
    assert_eq!(source.text.len(), GOOD.len() + added.len());
}

#[test]
fn a_text_that_is_shown_as_a_whole_says_nothing_of_comments_and_of_what_may_be_a_secret() {
    let text = r#"# password: literal-secret
[plugins.todo]
name = "Todo # 1" # literal-secret
description = """one \""" # two"""
public_url = 'http://x/#y'
operations.list.fixed = { key = "literal-secret", other = "${env:KEY}", limit = 7001 }
[plugins.todo.headers]
request.set = { X-Key = "literal-secret" }
response = { set = { X-Robots-Tag = "noindex" } }"#;
    let shown = crate::config::masked(text);
    assert!(
        !shown.contains("literal-secret") && !shown.contains("7001"),
        "{shown}"
    );
    for kept in [
        "name = \"Todo # 1\" # *",
        "# two\"\"\"",
        "http://x/#y",
        "other = \"${env:KEY}\"",
        "X-Key = \"",
        "noindex",
    ] {
        assert!(shown.contains(kept), "{kept}:\n{shown}");
    }
    assert_eq!(shown.len(), text.len());
    // Also where it is no TOML: a string ends with its line.
    let shown = crate::config::masked("name = \"unclosed\n# literal-secret\n");
    assert!(!shown.contains("literal-secret"), "{shown}");
}

#[test]
fn what_anybody_may_read_holds_no_token() {
    let token = generate_from_system(Level::User).expect("random bytes");
    let (secret, id) = (token.expose(), token.id());
    for (key, added) in [
        ("name", "name = 'To do SECRET'"),
        ("description", "description = 'send SECRET, please'"),
        ("description", "description = \"\"\"\nLong.\nSECRET\n\"\"\""),
        (
            "instructions",
            "instructions = 'Authorization: Bearer SECRET'",
        ),
        ("contact", "contact = 'SECRET@example.com'"),
        ("legal", "legal = 'https://example.com/?token=SECRET'"),
        ("logo", "logo = 'https://example.com/SECRET.png'"),
        (
            "auth.verification_tokens",
            "auth.verification_tokens = { openai = 'SECRET' }",
        ),
        (
            "auth.verification_tokens",
            "auth.verification_tokens = { SECRET = 'openai' }",
        ),
        (
            "operations.list",
            "operations.list = { summary = 'SECRET' }",
        ),
        (
            "operations.list",
            "operations.list.description = 'with SECRET'",
        ),
        (
            "headers.response",
            "headers.response.set = { X-Note = 'SECRET' }",
        ),
    ] {
        let text = format!("{GOOD}{}\n", added.replace("SECRET", secret));
        let (config, problems) = loaded("plugway.toml", &text);
        assert!(config.is_none(), "{added}");
        let named = format!("plugins.todo.{key}");
        let told = |problem: &crate::problems::Problem| {
            problem.at.key.starts_with(&named)
                && problem
                    .message
                    .contains(&format!("the secret of token {id}"))
        };
        assert!(problems.iter().any(told), "{added}:\n{problems}");
        let shown = format!(
            "{}{}{}{problems:?}{}",
            problems.render(false),
            problems.render(true),
            problems.to_json(),
            crate::config::masked(&text),
        );
        assert!(!shown.contains(&secret[12..]), "{added}:\n{shown}");
        // An id is for everybody to see.
        let harmless = text.replace(secret, id);
        let (_, problems) = loaded("plugway.toml", &harmless);
        assert!(!problems.iter().any(told), "{added}:\n{problems}");
    }
}

/// A gateway may stand before a gateway.
#[test]
fn a_token_that_is_meant_for_the_api_stays() {
    let token = generate_from_system(Level::User).expect("random bytes");
    let secret = token.expose();
    let to_the_api = "headers.request.set = { X-Token = '${env:UPSTREAM}' }";
    let mut fake = Fake::default();
    fake.variables.insert("UPSTREAM", secret.to_owned());
    let text = format!("{GOOD}{to_the_api}");
    let parts = crate::config::Parts::default();
    let (config, problems) =
        crate::config::load_text("plugway.toml", &text, &mut fake, &parts, super::now());
    assert!(config.is_some(), "{problems}");
}

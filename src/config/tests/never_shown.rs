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
fn what_may_be_a_secret_is_masked_too() {
    let url = "upstream.url = \"http://127.0.0.1:8000\"\n";
    for added in [
        "upstream.url = 'http://h/?k=literal-secret'",
        "upstream.url = ['http://a', 'http://b/?k=literal-secret']",
        "upstream.url = 'http://a b/?k=literal-secret'",
        "upstream.url = \"http://h/\\u003Fk=literal-secret\"",
        "upstream.url = { x = 'http://h/?k=literal-secret' }",
        "openapi.source = 'https://x:literal-password@h/o.json?k=literal-secret'",
        "openapi = { source = 'https://h/?k=literal-secret', refresh = 'often' }",
        "openapi = { source = '/o.json?k=literal-secret', refresh = 'often' }",
        "openapi.source = ['https://h/?k=literal-secret']",
        "openapi.overlays = ['https://h/?k=literal-secret']",
        "openapi = 'literal-secret'",
        "public_url = 'https://h/?k=literal-secret'",
        "legal = 'ftp://h/?k=literal-secret'",
        "logo = 'ftp://h/?k=literal-secret'",
        "hosts = ['https://h/?k=literal-secret']",
        "auth.oauth = { client_url = 'https://h/?k=literal-secret', x = 1 }",
        "cors.origins = ['https://h/?k=literal-secret']",
        "upstream.ca = 'https://h/?k=literal-secret'",
        "files = { '/a' = 'https://h/?k=literal-secret' }",
        "headers.request.set = { Authorization = \"Bearer literal-secret\\n\" }",
        "headers.request.set = { Authorization = 'literal-secret', 'a b' = 'c' }",
        "headers.request = { set = { Authorization = 'literal-secret' }, remvoe = [] }",
        "headers.requset.set = { Authorization = 'literal-secret' }",
        "operations.x = { fixed = { key = 'literal-secret' }, sumary = '' }",
        "api_key = 'literal-secret'",
        "passwd = ['literal-secret']",
        "login = { a = [{ passwd = 'literal-secret' }] }",
        "upstream.token = 'literal-secret'",
        "auth.tokn = 'literal-secret'",
        "upstream.health = { path = '/h?key=literal-secret', interval = 'often' }",
        "upstream.health.path = 'h?key=literal-secret'",
        "tests = [{ request = 'GET /?k=literal-secret', as = 'user', expect = 1 }]",
        "tests = [{ request = 'GET x?k=literal-secret', as = 'user', expect = 200 }]",
        "tests = [{ request = 'POST /', body = 'literal-secret', as = 'user', expect = 1 }]",
        // What is no TOML.
        "upstream.url = 'http://h/?literal-secret",
        "headers.request.set = { name = 'literal-secret",
        "API_TOKEN=literal-secret",
        "{\"api_token\":\"literal-secret\"}",
        "api_token: literal-secret",
    ] {
        let text = if added.starts_with("upstream.url") {
            GOOD.replace(url, "")
        } else {
            GOOD.to_owned()
        };
        hidden(added, &format!("{text}{added}"));
    }
    for first in [
        "apikey = 'literal-secret'",
        "token_files = ['ftp://h/?k=literal-secret']",
        "token_files = [{ url = 'https://h/?k=literal-secret', evry = '1s' }]",
        "token_files = [{ url = 'https://h/', bearr = 'literal-secret' }]",
        "token_files = [{ url = 'https://h/', bearer = 'literal-secret' }]",
    ] {
        hidden(first, &format!("{first}{GOOD}"));
    }
}

/// A text with a fault in the line of what may be a secret.
#[track_caller]
fn hidden(name: &str, text: &str) {
    check(name, text);
    let (_, problems) = loaded("plugway.toml", text);
    assert!(problems.has_problems(), "{name} has no fault");
}

#[test]
fn an_included_file_that_is_no_configuration_shows_no_value() {
    let mut fake = Fake::default();
    let other = "API_TOKEN = \"literal-secret\"\n[database]\nurl = 'literal-secret'\n";
    fake.files.insert("other.toml".into(), other.into());
    let text = format!("include = ['other.toml']{GOOD}");
    let parts = crate::config::Parts::default();
    let (_, problems) =
        crate::config::load_text("plugway.toml", &text, &mut fake, &parts, super::now());
    let shown = problems.render(false);
    assert!(shown.contains("API_TOKEN = \"****"), "{shown}");
    assert!(!shown.contains("literal-secret"), "{shown}");
}

#[test]
fn what_a_message_is_about_stays_readable() {
    for (added, kept) in [
        ("auth.requrie = 'x'", "auth.requrie = '*'"),
        ("publish = ['manifst']", "publish = ['manifst']"),
        ("openapi.cut = 'limit'", "`limit` is not one of"),
        ("contact = 'nobody'", "contact = 'nobody'"),
        ("description = 5 # https://h/?page=1", "https://h/?page=1"),
        (
            "public_url = 'https://h/x?k=literal'",
            "`https://h/x?***` is more than an origin",
        ),
        (
            "public_url = 'https://h/x?k=literal'",
            "public_url = 'https://h/x?*********'",
        ),
        ("files = { 'a?b' = 'logo.png' }", "`a?b`"),
        ("api_key = '${env:KEY}'", "api_key = '${env:KEY}'"),
    ] {
        let (_, problems) = loaded("plugway.toml", &format!("{GOOD}{added}"));
        let shown = problems.render(false);
        assert!(shown.contains(kept), "{added}:\n{shown}");
    }
    // What stands behind what is masked is told where it is.
    let added = "openapi = { source = 'https://h/?k=a-secret', refresh = 'often' }";
    let faults = super::faults(&format!("{GOOD}{added}"));
    let column = added.find("'often'").expect("it is there") + 1;
    let place = format!("6:{column} plugins.todo.openapi.refresh: `often`");
    assert!(
        faults.iter().any(|fault| fault.starts_with(&place)),
        "{faults:?}"
    );
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
openapi.source = "https://h/o.json?key=literal-secret"
upstream.url = ["http://a", "http://b/x?literal-secret"]
instructions = "See https://h/?page=1, please"
[plugins.todo.headers]
request.set = { X-Key = "literal-secret" }
response = { set = { X-Robots-Tag = "noindex" } }
[[plugins.todo.tests]]
request = "POST /todos?key=literal-secret"
body = """
{ "key": "literal-secret" }
"""
expect = 401"#;
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
        "https://h/o.json?****",
        "[\"http://a\", \"http://b/x?****",
        "See https://h/?page=1, please",
        "POST /todos?****",
        "expect = 401",
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

//! Where the values of the manifest come from, and how long they may be.

use super::*;

/// What a well-kept API says of itself.
fn info() -> Info {
    Info {
        title: Some("Museum API".to_owned()),
        version: Some("1.0".to_owned()),
        summary: Some("Tickets and events.".to_owned()),
        description: Some("Lists events, sells tickets.".to_owned()),
        contact_email: Some("team@example.com".to_owned()),
        terms_of_service: Some("https://example.com/terms".to_owned()),
        logo_url: Some("https://cdn.example.com/logo.png".to_owned()),
    }
}

/// What an upstream that was a plugin already says.
fn upstream_manifest() -> Value {
    json!({
        "name_for_human": "Old Plugin",
        "description_for_human": "Old text.",
        "description_for_model": "Old instructions.",
        "contact_email": "old@example.com",
        "legal_info_url": "https://example.com/old",
        "logo_url": "https://example.com/old.png",
    })
}

/// The values of a manifest that can come from several places.
fn values(documents: &Documents) -> Vec<String> {
    let manifest = manifest_of(documents);
    let keys = [
        "name_for_human",
        "description_for_human",
        "description_for_model",
        "contact_email",
        "legal_info_url",
        "logo_url",
    ];
    keys.map(|key| manifest[key].as_str().unwrap().to_owned())
        .to_vec()
}

#[track_caller]
fn check(
    plugin: &Plugin,
    info: &Info,
    manifest: Option<&Value>,
    expected: [&str; 6],
    problems: &[&str],
) {
    let (documents, found) = compiled_with(plugin, Some(info), manifest);
    assert_eq!(values(&documents), expected);
    assert_eq!(lines(&found), problems);
}

#[test]
fn the_configuration_comes_first() {
    check(
        &plugin(),
        &info(),
        Some(&upstream_manifest()),
        [
            "Todo List",
            "Manage your to-dos.",
            "Use it to list, add and remove to-dos.",
            "dev@example.com",
            "https://example.com/legal",
            "https://todo.example.com/logo.svg",
        ],
        &[],
    );
}

#[test]
fn then_the_document() {
    check(
        &bare(),
        &info(),
        Some(&upstream_manifest()),
        [
            "Museum API",
            "Tickets and events.",
            "Lists events, sells tickets.",
            "team@example.com",
            "https://example.com/terms",
            "https://cdn.example.com/logo.png",
        ],
        &[],
    );
}

#[test]
fn a_summary_and_a_description_stand_in_for_each_other() {
    let of = |info: &Info| {
        let (documents, problems) = compiled_with(&bare(), Some(info), None);
        assert_eq!(lines(&problems), Vec::<String>::new());
        values(&documents)[1..3].to_vec()
    };
    assert_eq!(
        of(&Info {
            summary: None,
            ..info()
        }),
        ["Lists events, sells tickets."; 2]
    );
    assert_eq!(
        of(&Info {
            description: None,
            ..info()
        }),
        ["Tickets and events."; 2]
    );
}

#[test]
fn then_the_upstreams_own_manifest() {
    check(
        &bare(),
        &Info::default(),
        Some(&upstream_manifest()),
        [
            "Old Plugin",
            "Old text.",
            "Old instructions.",
            "old@example.com",
            "https://example.com/old",
            "https://example.com/old.png",
        ],
        &[],
    );
}

#[test]
fn then_what_is_built_in_with_a_warning_for_each() {
    let (documents, problems) = compiled(&bare());
    assert_eq!(
        values(&documents),
        [
            "todo",
            "todo, for AI assistants.",
            "todo, for AI assistants.",
            "contact@todo.example.com",
            "https://todo.example.com/legal",
            "https://todo.example.com/logo.png",
        ]
    );
    insta::assert_snapshot!(lines(&problems).join("\n"));
    assert!(
        problems.iter().all(|problem| problem.at.span == (3..7)),
        "the place of the plugin"
    );
}

#[test]
fn nothing_is_missing_from_a_manifest_that_is_not_published() {
    let publish = Publish {
        manifest: false,
        openapi: true,
    };
    let (documents, problems) = compiled(&Plugin { publish, ..bare() });
    assert_eq!(lines(&problems), Vec::<String>::new());
    assert!(documents.find(MANIFEST).is_none());
}

#[test]
fn an_upstreams_manifest_is_not_trusted() {
    let built_in = compiled(&bare());
    let junk = [
        json!(null),
        json!([1]),
        json!({ "name_for_human": 7, "contact_email": ["a@b"], "logo_url": {} }),
        json!({ "name_for_human": " ", "contact_email": "nobody", "legal_info_url": "hello@legal.com" }),
        json!({ "logo_url": "http://localhost:3333/logo.png", "legal_info_url": "javascript:x" }),
    ];
    for manifest in junk {
        let (documents, problems) = compiled_with(&bare(), Some(&Info::default()), Some(&manifest));
        assert_eq!(values(&documents), values(&built_in.0), "{manifest}");
        assert_eq!(problems.len(), built_in.1.len(), "{manifest}");
    }
    let long = json!({ "name_for_human": "word ".repeat(1_000) });
    let (documents, _) = compiled_with(&bare(), Some(&Info::default()), Some(&long));
    assert_eq!(values(&documents)[0], "word word word word");
}

#[test]
fn an_unreachable_url_is_named() {
    let info = Info {
        logo_url: Some("/static/logo.png".to_owned()),
        ..info()
    };
    let (documents, problems) = compiled_with(&bare(), Some(&info), None);
    assert_eq!(values(&documents)[5], "https://todo.example.com/logo.png");
    assert_eq!(
        lines(&problems),
        [
            "? plugins.todo.logo: \"/static/logo.png\" is no URL that everyone can reach, so a \
          built-in logo is served (write a URL or a file as `logo` in [plugins.todo], or as \
          `info.x-logo.url` in the OpenAPI document)"
        ]
    );
}

/// The values of a plugin with one of its texts written so long, and what is said about it.
#[track_caller]
fn check_written(key: &str, length: usize, expected: &[&str]) {
    // Two bytes each: characters are counted.
    let text = Some("ü".repeat(length));
    let mut plugin = plugin();
    let index = match key {
        "name" => {
            plugin.display_name.clone_from(&text);
            0
        }
        "description" => {
            plugin.description.clone_from(&text);
            1
        }
        _ => {
            plugin.instructions.clone_from(&text);
            2
        }
    };
    let (documents, problems) = compiled(&plugin);
    assert_eq!(
        Some(&values(&documents)[index]),
        text.as_ref(),
        "it is kept as it is"
    );
    assert_eq!(lines(&problems), expected);
}

#[test]
fn a_written_text_is_kept_and_its_length_reported() {
    check_written("name", 20, &[]);
    check_written(
        "name",
        21,
        &[
            "? plugins.todo.name: the name for humans has 21 characters, and a v1 manifest allows \
           20 (some readers cut it or refuse the manifest; none takes more than 50)",
        ],
    );
    check_written(
        "name",
        51,
        &[
            "! plugins.todo.name: the name for humans has 51 characters, and no reader takes more \
           than 50 (a v1 manifest allows 20)",
        ],
    );
    check_written("description", 100, &[]);
    check_written(
        "description",
        200,
        &[
            "? plugins.todo.description: the description for humans has 200 characters, and a v1 \
           manifest allows 100 (some readers cut it or refuse the manifest; none takes more than \
           200)",
        ],
    );
    check_written(
        "description",
        201,
        &[
            "! plugins.todo.description: the description for humans has 201 characters, and no \
           reader takes more than 200 (a v1 manifest allows 100)",
        ],
    );
    check_written("instructions", 8_000, &[]);
    check_written(
        "instructions",
        16_000,
        &[
            "? plugins.todo.instructions: the description for the model has 16000 characters, and a \
           v1 manifest allows 8000 (some readers cut it or refuse the manifest; none takes more \
           than 16000)",
        ],
    );
    check_written(
        "instructions",
        16_001,
        &[
            "! plugins.todo.instructions: the description for the model has 16001 characters, and \
           no reader takes more than 16000 (a v1 manifest allows 8000)",
        ],
    );
}

#[test]
fn a_text_of_the_document_is_cut_and_that_is_reported() {
    let long = Info {
        title: Some("Museum Ticketing and Events API".to_owned()),
        summary: Some(format!(
            "Tickets. {}",
            "Many events and more of them. ".repeat(5)
        )),
        description: Some("Sells tickets. ".repeat(600)),
        ..info()
    };
    let (documents, problems) = compiled_with(&bare(), Some(&long), None);
    let values = values(&documents);
    assert_eq!(values[0], "Museum Ticketing and");
    assert_eq!(
        values[1],
        format!(
            "Tickets. {}",
            ["Many events and more of them."; 3].join(" ")
        )
    );
    assert_eq!(
        values[2].len(),
        7_994,
        "533 sentences of 15 characters, without the last space"
    );
    insta::assert_snapshot!(lines(&problems).join("\n"));
}

#[track_caller]
fn check_domains(contact: &str, legal: &str, hosts: &[&str], url: Option<&str>, expected: &[&str]) {
    let plugin = Plugin {
        contact: Some(contact.to_owned()),
        legal: Some(Reference::Url(legal.to_owned())),
        hosts: hosts.iter().map(ToString::to_string).collect(),
        public_url: url.map(str::to_owned),
        ..plugin()
    };
    assert_eq!(lines(&compiled(&plugin).1), expected);
}

#[test]
fn contact_and_legal_page_belong_to_the_public_host() {
    let hosts = ["todo.example.com"];
    check_domains(
        "a@example.com",
        "https://www.example.com/x",
        &hosts,
        None,
        &[],
    );
    check_domains(
        "a@mail.example.com",
        "https://example.com/x",
        &[],
        Some(TODO),
        &[],
    );
    check_domains("a@other.org", "https://other.org/x", &[], None, &[]);
    check_domains(
        "a@other.org",
        "https://other.org/x",
        &["localhost"],
        None,
        &[],
    );
    let of = |what: &str| {
        format!(
            "? plugins.todo.{what} is not under the domain of todo.example.com (some installers \
             of v1 manifests want both under one domain)"
        )
    };
    let contact = of("contact: the contact a@other.org");
    let legal = of("legal: the legal page https://other.org/x");
    check_domains(
        "a@other.org",
        "https://other.org/x",
        &hosts,
        None,
        &[&contact, &legal],
    );
    check_domains(
        "a@other.org",
        "https://other.org/x",
        &["x"],
        Some(TODO),
        &[&contact, &legal],
    );
}

#[test]
fn a_contact_is_made_up_for_the_public_host() {
    let contact = |hosts: &[&str], url: Option<&str>| {
        let hosts = hosts.iter().map(ToString::to_string).collect();
        let plugin = Plugin {
            hosts,
            public_url: url.map(str::to_owned),
            ..bare()
        };
        values(&compiled(&plugin).0)[3].clone()
    };
    assert_eq!(
        contact(&["a.example", "b.example"], None),
        "contact@a.example"
    );
    assert_eq!(
        contact(&["a.example"], Some("https://c.example:8443")),
        "contact@c.example"
    );
    assert_eq!(contact(&[], None), "contact@localhost");
    assert_eq!(contact(&["127.0.0.1"], None), "contact@[127.0.0.1]");
}

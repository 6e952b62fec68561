use super::super::{Level, Plugins, Selector, State, generate_from_system};
use super::*;

/// 64 hexadecimal digits, the same one 64 times.
fn hash(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// Reads a file called `t`; `#a` to `#f` in the text stand for hashes.
pub(super) fn read(text: &str) -> (Vec<TokenRecord>, Vec<LineProblem>) {
    let text = ('a'..='f').fold(text.to_owned(), |text, d| {
        text.replace(&format!("#{d}"), &hash(d))
    });
    parse_file(&"t".into(), &text, &mut Seen::default())
}

/// The problems of a file as `line:column message`.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let (_, problems) = read(text);
    let shown: Vec<_> = problems
        .iter()
        .map(|problem| match problem.column {
            Some(column) => format!("{}:{column} {}", problem.line, problem.message),
            None => format!("{} {}", problem.line, problem.message),
        })
        .collect();
    assert_eq!(shown, expected);
}

/// A good line with these fields in front.
fn good(fields: &str) -> String {
    format!(r##"{{{fields}"level":"user","plugins":["todo"],"scopes":["a"],"sha256":"#a"}}"##)
}

/// Problems of a good line with these fields in front.
#[track_caller]
fn check_fields(fields: &str, expected: &[&str]) {
    check(&good(fields), expected);
}

#[test]
fn a_line_with_everything() {
    let line = [
        r#"{"id":"pls_ab12cd34","name":"Chat \"GPT\"","level":"service","plugins":["todo","shop"],"#,
        r##""scopes":["tag:public","GET /x","a","a"],"secrets":[{"sha256":"#b","##,
        r##""until":"2026-12-02T14:00:00Z","slot":"previous"},{"sha256":"#a","slot":"current"}],"##,
        r#""not_before":"2026-01-01T00:00:00Z","expires":"2027-01-01T00:00:00+01:00","#,
        r#""state":"revoked","revoked_at":"2026-11-20T00:00:00Z","note":"né"}"#,
    ];
    let (records, problems) = read(&format!("\n# comment\n\n  {}\n", line.concat()));
    assert_eq!(problems, []);
    let record = &records[0];
    assert_eq!(
        (&*record.id, &*record.name),
        ("pls_ab12cd34", "Chat \"GPT\"")
    );
    assert_eq!(record.level, Level::Service);
    assert_eq!(record.plugins, Plugins::new(["shop", "todo"]));
    assert_eq!(record.scopes.selectors().len(), 3);
    assert_eq!(record.current.fingerprint.to_hex(), hash('a'));
    assert_eq!(record.current.until, None);
    assert_eq!(record.previous.unwrap().fingerprint.to_hex(), hash('b'));
    assert_eq!(
        record.previous.unwrap().until,
        Some("2026-12-02T14:00:00Z".parse().unwrap())
    );
    assert_eq!(
        record.expires,
        Some("2026-12-31T23:00:00Z".parse().unwrap())
    );
    assert_eq!(
        record.state,
        State::Revoked {
            at: Some("2026-11-20T00:00:00Z".parse().unwrap())
        }
    );
    assert_eq!(record.note.as_deref(), Some("né"));
}

#[test]
fn the_shortest_line() {
    let text = r##"{"level":"service","name":"bench","plugins":["bench"],"scopes":["*"],"sha256":"#a"}
{"level":"admin","plugins":["*"],"sha256":"#b"}"##;
    let (records, problems) = read(text);
    assert_eq!(problems, []);
    assert_eq!(records[0].id, foreign_id(&records[0].current.fingerprint));
    assert!(records[0].id.starts_with("plf_") && records[0].id.len() == 15);
    assert_eq!(&*records[0].name, "bench");
    assert_eq!(records[0].scopes.selectors(), [Selector::All]);
    assert_eq!(records[1].name, records[1].id);
    assert_eq!(records[1].scopes.selectors(), []);
}

#[test]
fn what_is_skipped() {
    check("", &[]);
    check("\u{feff}# comment\r\n\r\n  \t\r\n  # {\r\n", &[]);
    let crlf = format!("\u{feff}{}\r\n", good(""));
    assert_eq!(read(&crlf).0.len(), 1);
}

#[test]
fn what_is_no_record() {
    check("x", &["1:1 is not JSON: expected value"]);
    check("# one\n  {\"id\":}", &["2:9 is not JSON: expected value"]);
    check("{", &["1:1 is not JSON: EOF while parsing an object"]);
    check("{} {}", &["1:4 is not JSON: trailing characters"]);
    check("[1]", &["1:1 is not a JSON object"]);
    check("\"pls_x\"", &["1:1 is not a JSON object"]);
    check(
        "{}",
        &[
            "1 `level` must be written",
            "1 `plugins` must be written",
            "1 `scopes` must be written",
            "1 `sha256` must be written",
        ],
    );
    check(
        &format!("{{\"note\":\"{}\"}}", "x".repeat(MAX_LINE)),
        &["1 has more than 64 KiB"],
    );
    check(&"[".repeat(60_000), &["1:1 is not a JSON object"]);
    check(
        &format!("{{\"note\":{}", "[".repeat(60_000)),
        &["1:60008 is not JSON: EOF while parsing a list"],
    );
}

#[test]
fn what_a_field_must_be() {
    check_fields(r#""id":7,"#, &["1:7 `id` must be text"]);
    check_fields(
        r#""id":"a b","#,
        &["1:7 `id` may have letters, digits, `_`, `.` and `-` only"],
    );
    check_fields(r#""id":"","#, &["1:7 `id` must have 1 to 64 bytes"]);
    check_fields(
        r#""name":"\u0007","#,
        &["1:9 `name` holds a control character"],
    );
    check_fields(r#""name":"\ud800","#, &["1:9 `name` must be text"]);
    check_fields(
        &format!("\"note\":\"{}\",", "n".repeat(1025)),
        &["1:9 `note` must have 1 to 1024 bytes"],
    );
    check_fields(
        r#""expires":"tomorrow","#,
        &["1:12 `expires` must be a time such as 2026-12-02T14:00:00Z"],
    );
    check_fields(
        r#""not_before":"2026-02-30T00:00:00Z","#,
        &["1:15 `not_before` must be a time such as 2026-12-02T14:00:00Z"],
    );
    check_fields(
        r#""not_before":"2026-02-02T00:00:00Z","expires":"2026-02-02T00:00:00Z","#,
        &["1:48 `expires` is not after `not_before`"],
    );
    check_fields(
        r#""state":"paused","#,
        &["1:10 `state` must be active, suspended or revoked"],
    );
    check_fields(
        r#""revoked_at":"2026-02-02T00:00:00Z","#,
        &["1:15 `revoked_at` needs `state` to be revoked"],
    );
    check_fields(r#""expires":null,"id":null,"name":null,"note":null,"#, &[]);
    check_fields(r#""id":"x","id":"y","#, &["1:11 `id` is written twice"]);
    check_fields(
        r##""secrets":[{"sha256":"#b"}],"##,
        &["1:150 has both `sha256` and `secrets`"],
    );
}

#[test]
fn what_level_plugins_and_scopes_must_be() {
    let line = |level, plugins, scopes| {
        format!(r##"{{"level":{level},"plugins":{plugins},"scopes":{scopes},"sha256":"#a"}}"##)
    };
    check(
        &line("\"root\"", "[\"a\"]", "[\"a\"]"),
        &["1:10 `level` must be service, user or admin"],
    );
    check(
        &line("1", "[\"a\"]", "[\"a\"]"),
        &["1:10 `level` must be text"],
    );
    check(
        &line("\"user\"", "[]", "[\"a\"]"),
        &["1:27 `plugins` is empty; [\"*\"] is all"],
    );
    check(
        &line("\"user\"", "\"a\"", "[1]"),
        &[
            "1:27 `plugins` must be a list of texts",
            "1:40 `scopes` must be a list of texts",
        ],
    );
    check(
        &line("\"user\"", "[\"a-b\"]", "[]"),
        &[
            "1:27 `plugins` has an entry that is no plugin's name",
            "1:44 `scopes` is empty; [\"*\"] is all",
        ],
    );
    check(
        &line("\"user\"", "[\"a\"]", "[\"a\",\"b*\"]"),
        &[
            "1:42 entry 2 of `scopes` uses `*` as a pattern, but it only stands alone, for everything",
        ],
    );
    let many = format!("[{}\"a\"]", "\"a\",".repeat(1000));
    check(
        &line("\"user\"", &many, "[\"a\"]"),
        &["1:27 `plugins` has more than 1000 entries"],
    );
}

#[test]
fn what_secrets_must_be() {
    let line = |secrets| {
        format!(r#"{{"level":"user","plugins":["a"],"scopes":["a"],"secrets":{secrets}}}"#)
    };
    let one_or_two = "1:58 `secrets` must be a list of one or two";
    check(&line(r##"[{"sha256":"#a"},{"sha256":"#b"}]"##), &[]);
    check(
        &line(r##"[{"sha256":"#a","slot":"previous"},{"sha256":"#b","slot":"current"}]"##),
        &[],
    );
    check(&line("[]"), &[one_or_two]);
    check(&line(r##"{"sha256":"#a"}"##), &[one_or_two]);
    check(
        &line(r##"[{"sha256":"#a"},{"sha256":"#b"},{"sha256":"#c"}]"##),
        &[one_or_two],
    );
    check(&line("[7]"), &["1:59 is not a JSON object"]);
    check(&line("[{}]"), &["1 `sha256` must be written"]);
    check(
        &line(r#"[{"sha256":"abc"},{"sha256":true}]"#),
        &[
            "1:69 `sha256` must be 64 hexadecimal digits",
            "1:86 `sha256` must be text",
        ],
    );
    check(
        &line(r##"[{"sha256":"#a","slot":"old"}]"##),
        &["1:143 `slot` must be current or previous"],
    );
    check(
        &line(r##"[{"sha256":"#a","grace":"1h"}]"##),
        &[
            "1:136 `grace` is not known; there are sha256, until, slot, since, elsewhere, finish_when_idle_s, until_before",
        ],
    );
    check(
        &line(r##"[{"sha256":"#a","slot":"previous"}]"##),
        &["1:58 `secrets` has no current one"],
    );
    check(
        &line(r##"[{"sha256":"#a","slot":"previous"},{"sha256":"#b"}]"##),
        &["1:58 `secrets` has the same slot twice"],
    );
    check(
        &line(r##"[{"sha256":"#a"},{"sha256":"#a"}]"##),
        &["1:58 `secrets` has the same hash twice"],
    );
}

#[test]
fn what_is_unknown_is_named() {
    let known = "there are id, name, level, plugins, scopes, sha256, secrets, not_before, \
                 expires, state, revoked_at, note, created_at, created_by, revoked_by, \
                 revoked_reason, rate, quota, concurrency, networks";
    check_fields(
        r#""expire":"x","#,
        &[&format!("1:2 `expire` is not known; {known}")],
    );
    check_fields(
        r#""a b":1,"pace":{"x":[1]},"#,
        &[
            &format!("1 a field with an unusual name is not known; {known}"),
            &format!("1:10 `pace` is not known; {known}"),
        ],
    );
    // `until` is a field of a secret only.
    check_fields(
        r#""until":"x","#,
        &[&format!("1:2 `until` is not known; {known}")],
    );
}

#[test]
fn no_message_holds_a_secret() {
    let plain = generate_from_system(Level::Service).unwrap();
    let secret = plain.expose();
    let lines = [
        good(&format!("\"token\":\"{secret}\",")),
        good(&format!("\"secret\":\"{secret}\",")),
        good(&format!("\"SECRET\":{{\"x\":\"{secret}\"}},")),
        good(&format!("\"{secret}\":1,")),
        good(&format!("\"id\":\"{secret}\",")),
        good(&format!("\"name\":\"for {secret}\",")),
        good(&format!("\"note\":\"{secret}\",")),
        good(&format!("\"state\":\"{secret}\",")),
        good(&format!("\"expires\":\"{secret}\",")),
        good(&format!("\"secrets\":\"{secret}\",")),
        good("").replace("[\"a\"]", &format!("\"{secret}\"")),
        good("").replace("[\"todo\"]", &format!("[\"{secret}-\"]")),
        good("").replace("\"a\"", &format!("\"{secret}*\"")),
        good("").replace("user", secret),
        good("").replace("#a", secret),
        format!("\"{secret}\""),
        secret.to_owned(),
        format!("{{\"id\":\"{secret}"),
    ];
    for line in lines {
        let (records, problems) = read(&line);
        assert!(records.is_empty() && !problems.is_empty());
        let shown = format!("{problems:?}");
        assert!(!shown.contains(&secret[12..44]), "{shown}");
    }
    check_fields(
        "\"secret\":\"x\",",
        &[
            "1:2 `secret` would be a secret, and a token file holds none: write its hash as \
           `sha256`, and replace the secret if it was in this file",
        ],
    );
}

#[test]
fn one_id_is_one_token_and_one_secret_opens_one() {
    let line = |id: &str, hash: char| {
        good(&format!("\"id\":\"{id}\",")).replace("#a", &format!("#{hash}"))
    };
    let text = [
        line("x", 'a'),
        line("y", 'b'),
        line("x", 'c'),
        line("z", 'b'),
    ]
    .join("\n");
    check(
        &text,
        &[
            "3 the id `x` is also in t, line 1",
            "4 its current secret is also that of a token in t, line 2",
        ],
    );
    assert_eq!(read(&text).0.len(), 2);

    // Across files, and with the configuration.
    let mut seen = Seen::default();
    let (records, _) = read(&line("x", 'a'));
    seen.claim(&records[0], &Origin::Configuration).unwrap();
    assert_eq!(
        seen.claim(&records[0], &Origin::Configuration).unwrap_err(),
        "its current secret is also that of a token in the configuration",
    );
    let other = line("x", 'b').replace("#b", &hash('b'));
    let (records, problems) = parse_file(&"u".into(), &other, &mut seen);
    assert!(records.is_empty());
    assert_eq!(
        problems[0].message,
        "the id `x` is also in the configuration"
    );
}

#[test]
fn problems_are_bounded() {
    let text = format!("{}{}", "x\n".repeat(250), good(""));
    let (records, problems) = read(&text);
    assert_eq!(records.len(), 1);
    assert_eq!(problems.len(), 101);
    assert_eq!(problems[100].line, 101);
    assert_eq!(problems[100].message, "and 150 more from this line on");
}

/// Many lines, none lost. (How long a million takes is measured by `tests/long start`.)
#[test]
fn many_lines() {
    let line = |number: u32| {
        let hash = Fingerprint::of(&number.to_le_bytes()).to_hex();
        format!(
            r#"{{"level":"service","name":"bench","plugins":["bench"],"scopes":["*"],"sha256":"{hash}"}}"#
        )
    };
    let text = (0..20_000).map(line).collect::<Vec<_>>().join("\n");
    let (records, problems) = parse_file(&"t".into(), &text, &mut Seen::default());
    assert_eq!((records.len(), problems), (20_000, vec![]));
}

#[test]
fn a_network_of_ipv4_in_the_form_of_ipv6_is_that_of_ipv4() {
    let line = r#"{"id":"a","level":"service","plugins":["todo"],"scopes":["*"],"networks":["::ffff:10.0.0.0/104"],"sha256":"HASH"}"#;
    let line = line.replace("HASH", &"ab".repeat(32));
    let (records, problems) = parse_file(&"t".into(), &line, &mut Seen::default());
    assert_eq!(problems, []);
    let limits = records[0].limits.as_ref().unwrap();
    assert!(crate::network::covers(
        &limits.networks,
        "10.1.2.3".parse().unwrap()
    ));
}

//! The way by blocks gives what reading from scratch gives, whatever is done to the files.

use std::fs;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// A line, not always a good one. Few ids and secrets, so that some are there twice.
fn line() -> impl Strategy<Value = String> {
    let token = (0..4000_u32, 0..60_u32, 0..5_u8).prop_map(|(id, other, kind)| {
        // Nearly always a secret of its own.
        let secret = if other == 0 { 1 } else { id * 2 + other % 2 };
        let hash = Fingerprint::of(&secret.to_le_bytes()).to_hex();
        let more = [
            "",
            r#","name":"some","plugins":["p","q"]"#,
            r#","expires":"2030-01-01T00:00:00Z""#,
            r#","rate":"5/s""#,
            r#","state":"suspended""#,
        ];
        let plugins = if kind == 1 { "" } else { r#","plugins":["*"]"# };
        let named = if id % 7 == 0 {
            String::new()
        } else {
            format!(r#""id":"t{id}","#)
        };
        format!(
            r#"{{{named}"level":"service"{plugins},"scopes":["s{}"],"sha256":"{hash}"{}}}"#,
            id % 3,
            more[usize::from(kind)],
        )
    });
    prop_oneof![
        60 => token,
        2 => Just("# a comment".to_owned()),
        1 => Just(String::new()),
        1 => Just("{\"id\":\"broken\"}".to_owned()),
    ]
}

#[derive(Debug, Clone)]
enum Edit {
    Insert(Index, String),
    Remove(Index),
    Change(Index, String),
    Swap(Index, Index),
    Twice(Index, Index),
    /// Whatever is wrong goes: lines that are no records, and all that is there for a second time.
    Mend,
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        1 => (any::<Index>(), line()).prop_map(|(at, line)| Edit::Insert(at, line)),
        1 => any::<Index>().prop_map(Edit::Remove),
        1 => (any::<Index>(), line()).prop_map(|(at, line)| Edit::Change(at, line)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(one, two)| Edit::Swap(one, two)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Edit::Twice(from, to)),
        4 => Just(Edit::Mend),
    ]
}

fn apply(edit: Edit, lines: &mut Vec<String>) {
    let place = |at: Index, lines: &Vec<String>| at.index(lines.len().max(1));
    match edit {
        Edit::Insert(at, line) => lines.insert(place(at, lines).min(lines.len()), line),
        _ if lines.is_empty() => {}
        Edit::Remove(at) => drop(lines.remove(place(at, lines))),
        Edit::Change(at, line) => {
            let at = place(at, lines);
            lines[at] = line;
        }
        Edit::Swap(one, two) => {
            let (one, two) = (place(one, lines), place(two, lines));
            lines.swap(one, two);
        }
        Edit::Twice(from, to) => {
            let line = lines[place(from, lines)].clone();
            lines.insert(place(to, lines), line);
        }
        Edit::Mend => {
            let mut seen = tokens::Seen::default();
            lines.retain(|line| {
                let (_, problems) = tokens::parse_file(&"t".into(), line, &mut seen);
                problems.is_empty()
            });
        }
    }
}

/// Two files and a configuration in a folder.
struct Scene {
    folder: tempfile::TempDir,
    now: Timestamp,
}

impl Scene {
    /// Reads all anew; gives the problems as they are shown if there are some.
    fn read(&self, tokens: &Tokens, lists: &ScopeLists, scratch: bool) -> Result<Next, String> {
        let main = self.folder.path().join("p.toml");
        let mut inputs = Inputs::default();
        let (config, problems) = crate::config::load(
            &main,
            &mut inputs,
            &crate::config::Parts::default(),
            self.now,
        );
        assert!(!problems.has_problems(), "{}", problems.render(false));
        let (config, mut problems) = (config.unwrap(), Problems::new());
        let next = if scratch {
            let records =
                scratch::read_files(&config, &Rules::default(), &mut inputs, &mut problems);
            (!problems.has_problems())
                .then(|| tokens.by_records(&config, &records, lists, self.now))
        } else {
            tokens.next(
                (&config, &Rules::default()),
                &mut inputs,
                lists,
                self.now,
                &mut problems,
            )
        };
        next.ok_or_else(|| problems.render(false))
    }
}

fn all(tokens: &Tokens) -> Vec<Entry> {
    let declared = tokens.declared.values().flat_map(|known| &known.entries);
    let of_files = tokens.blocks.values().flat_map(|block| block.iter());
    let mut all: Vec<Entry> = declared.chain(of_files).cloned().collect();
    all.sort_by_key(|(fingerprint, _)| *fingerprint);
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn blocks_give_what_reading_from_scratch_gives(
        start in proptest::collection::vec(line(), 0..500),
        steps in proptest::collection::vec((
            any::<bool>(), proptest::collection::vec(edit(), 1..4), any::<(bool, bool)>(),
        ), 1..12),
    ) {
        let scene = Scene { folder: tempfile::tempdir().unwrap(), now: Timestamp::now() };
        fs::write(scene.folder.path().join("openapi.json"), "{}").unwrap();
        fs::write(scene.folder.path().join("p.toml"), format!(
            "token_files = [\"a.jsonl\", \"b.jsonl\"]\n[listen]\nhttp = \"127.0.0.1:1001\"\n\
             [plugins.p]\nhosts = [\"p.example\"]\nupstream.url = \"http://127.0.0.1:9\"\n\
             openapi.source = \"file:{}/openapi.json\"\nauth.require = \"service\"\n\
             [tokens.t5]\nlevel = \"service\"\nplugins = [\"p\"]\nscopes = [\"*\"]\nsha256 = \"{}\"\n",
            scene.folder.path().display(),
            Fingerprint::of(b"declared").to_hex(),
        )).unwrap();
        let mut files = [start, Vec::new()];
        apply(Edit::Mend, &mut files[0]);
        let (lists, table) = (ScopeLists::default(), TokenTable::with_capacity(0));
        let mut tokens = Tokens::default();
        let mut shared: HashMap<Arc<str>, Arc<TokenShared>> = HashMap::new();
        for (second, edits, (ends, marked)) in steps {
            for edit in edits {
                apply(edit, &mut files[usize::from(second)]);
            }
            for (name, lines) in ["a.jsonl", "b.jsonl"].iter().zip(&files) {
                let text = lines.join("\n") + if ends { "\n" } else { "" };
                let mark = if marked { "\u{feff}" } else { "" };
                fs::write(scene.folder.path().join(name), format!("{mark}{text}")).unwrap();
            }
            let fresh = scene.read(&Tokens::default(), &lists, true);
            let next = match (scene.read(&tokens, &lists, false), fresh) {
                (Err(problems), Err(expected)) => {
                    prop_assert_eq!(problems, expected);
                    continue;
                }
                (Ok(next), Ok(expected)) => {
                    let (found, expected) = (all(&next.tokens), all(&expected.tokens));
                    prop_assert!(same_entries(&found, &expected));
                    next
                }
                (next, fresh) => {
                    prop_assert!(false, "{:?} {:?}", next.is_ok(), fresh.is_ok());
                    unreachable!()
                }
            };
            tokens.enter(next, &table).leave(&table);
            let all = all(&tokens);
            prop_assert_eq!(table.len(), all.len());
            for (fingerprint, token) in &all {
                let held = table.get(fingerprint).unwrap();
                prop_assert!(Arc::ptr_eq(&held, token));
                if let Some(known) = shared.get(&token.id) {
                    prop_assert!(Arc::ptr_eq(known, &token.shared));
                }
            }
            shared = all.iter().map(|(_, token)| (Arc::clone(&token.id), Arc::clone(&token.shared))).collect();
        }
    }
}

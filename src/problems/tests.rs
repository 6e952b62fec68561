//! Order, counting and both renderings.

use super::*;

/// A place in `text`: the first occurrence of `part`.
#[track_caller]
fn at(path: &str, text: &str, part: &str) -> Place {
    let start = text.find(part).expect("the part is in the text");
    Place {
        source: Some(Arc::new(Source {
            path: path.into(),
            text: text.into(),
        })),
        span: start..start + part.len(),
        key: "some.key".into(),
    }
}

#[test]
fn problems_are_sorted_by_file_and_offset_and_keep_the_order_at_one_place() {
    let text = "one = 1\ntwo = 2\n";
    let mut problems = Problems::new();
    problems.add(&at("b.toml", text, "two"), "5");
    problems.add(&at("b.toml", text, "one"), "3");
    problems.warn(&at("b.toml", text, "one"), "4");
    problems.add(&at("a.toml", text, "two"), "2");
    problems.warn(&Place::named("--listen"), "1");
    let messages: String = problems.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(messages, "12345");
}

#[test]
fn a_warning_alone_stops_nothing() {
    let mut problems = Problems::new();
    assert!(problems.is_empty());
    problems.warn(&Place::named("x"), "only worth knowing");
    assert!(!problems.has_problems());
    let mut problems = problems.into_result().expect("a warning is no problem");
    problems.add(&Place::named("x"), "wrong");
    assert_eq!(problems.into_result().expect_err("a problem").len(), 2);
}

#[track_caller]
fn position(text: &str, start: usize, expected: (usize, usize)) {
    let mut place = at("f", text, "");
    place.span = start..start;
    assert_eq!(place.position(), Some(expected), "{text:?} at {start}");
}

#[test]
fn positions_count_lines_and_characters_from_one() {
    position("", 0, (1, 1));
    position("a\nb", 2, (2, 1));
    position("a\n", 2, (2, 1));
    position("ä = 1", 3, (1, 3)); // the second byte of ä is not a column
    position("ä = 1", 1, (1, 1)); // nor a place
    position("a", 99, (1, 2)); // beyond the end is the end
}

#[test]
fn renders_source_line_caret_and_help() {
    let text = "[listen]\r\nhtttp = \"0.0.0.0:80\" # äöü\r\n";
    let mut problems = Problems::new();
    problems
        .add(&at("plugway.toml", text, "htttp"), "unknown key `htttp`")
        .help("did you mean `http`?");
    problems.warn(&Place::named("--http"), "is not used");
    let mut end = at("plugway.toml", text, "");
    end.span = text.len()..text.len() + 7;
    problems.add(&end, "the file ends here");
    insta::assert_snapshot!(problems.render(false));
    insta::assert_snapshot!(problems.to_json());
    assert!(problems.render(true).contains("\u{1b}["));
    assert_eq!(problems.to_string(), problems.render(false));
}

#[test]
fn a_line_as_long_as_its_file_is_cut() {
    let text = format!("{}here{}", "ä".repeat(100_000), "ö".repeat(100_000));
    let mut problems = Problems::new();
    problems.add(&at("long.toml", &text, "here"), "wrong");
    let rendered = problems.render(false);
    assert!(rendered.len() < 2000, "{} bytes", rendered.len());
    assert!(rendered.contains("here") && rendered.contains("^^^^"));
}

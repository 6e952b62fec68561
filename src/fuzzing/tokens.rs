//! Token files, what clients present, and texts that may hold a token: any bytes as each.

use http::{HeaderMap, HeaderValue, header};

use super::Made;
use crate::auth::presented;
use crate::tokens::{
    Blocks, Hit, Scanner, Seen, TokenRecord, contains_token, cut, parse, parse_file, public_id,
    without_tokens,
};

/// Any bytes as a token file, as an `Authorization` and as what is scanned.
///
/// # Panics
/// What is written of what was read is read as something else, ways to read the same differ, or a
/// message holds a token.
pub fn tokens(made: &[u8]) {
    let Made { bytes, pieces, .. } = Made::read(made);
    file(bytes);
    credential(bytes);
    scanned(bytes, &pieces);
}

fn file(bytes: &[u8]) {
    let cuts = cut(bytes);
    let mark = bytes.len()
        - bytes
            .strip_prefix("\u{feff}".as_bytes())
            .unwrap_or(bytes)
            .len();
    let end = cuts.iter().fold(mark, |end, block| {
        assert_eq!(
            block.range.start, end,
            "a block begins where the last one ended"
        );
        block.range.end
    });
    assert_eq!(end, bytes.len());
    let mut blocks = Blocks::default();
    let mut records = Vec::new();
    let is_good = cuts
        .iter()
        .all(|block| blocks.read(&bytes[block.range.clone()], |record| records.push(record)));
    let Ok(text) = std::str::from_utf8(bytes) else {
        assert!(!is_good, "no text");
        return;
    };
    let (whole, problems) = parse_file(&"t".into(), text, &mut Seen::default());
    let lines = text.lines().count();
    for problem in &problems {
        assert!((1..=lines).contains(&problem.line), "{problem:?}");
        let line = text.lines().nth(problem.line - 1).unwrap_or_default();
        // Behind a byte order mark, which is no column, and as far as right behind the end.
        assert!(
            problem
                .column
                .is_none_or(|column| (1..=line.len() + 1).contains(&column)),
            "{problem:?}"
        );
        assert!(!contains_token(&problem.message), "{problem:?}");
    }
    if problems.is_empty() {
        assert!(is_good && records == whole, "{records:?} and {whole:?}");
    } else if is_good {
        // What is twice only all of the lines together show.
        assert!(
            problems.iter().all(|one| one.message.contains("also")),
            "{problems:?}"
        );
    }
    comes_back(&whole);
}

/// What is written of records is read as the same.
fn comes_back(records: &[TokenRecord]) {
    let lines: Vec<_> = records.iter().map(TokenRecord::to_line).collect();
    let (again, problems) = parse_file(&"t".into(), &lines.join("\n"), &mut Seen::default());
    assert!(
        problems.is_empty() && again == records,
        "{problems:?}: {again:?} of {records:?}"
    );
    let lines_again: Vec<_> = again.iter().map(TokenRecord::to_line).collect();
    assert_eq!(lines, lines_again);
}

fn credential(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let headers: HeaderMap = [(header::AUTHORIZATION, value)].into_iter().collect();
    let Ok(Some(credential)) = presented(&headers, &header::AUTHORIZATION) else {
        return;
    };
    let token = credential.expose();
    assert!(!token.is_empty() && token.iter().all(u8::is_ascii_graphic));
    let scheme = bytes.strip_suffix(token).expect("it stands at the end");
    assert!(scheme.trim_ascii().eq_ignore_ascii_case(b"bearer") && scheme.ends_with(b" "));
    let text = std::str::from_utf8(token).expect("it is ASCII");
    match parse(text) {
        Ok(parsed) => {
            assert!(text.starts_with(parsed.id) && contains_token(text));
            assert_eq!(public_id(text), Some(parsed.id));
        }
        Err(_) => assert_eq!(public_id(text), None),
    }
}

fn scanned(bytes: &[u8], pieces: &[&[u8]]) {
    let found = |pieces: &[&[u8]]| {
        let (mut scanner, mut hits) = (Scanner::default(), Vec::new());
        for piece in pieces {
            scanner.feed(piece, |hit| hits.push(hit));
        }
        hits
    };
    let there = there(bytes);
    assert_eq!(found(&[bytes]), there);
    assert_eq!(found(pieces), there, "in pieces");
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(contains_token(text), !there.is_empty());
        let safe = without_tokens(text);
        assert!(!contains_token(&safe), "{safe}");
        assert!(there.iter().all(|hit| safe.contains(&hit.id)), "{safe}");
    }
}

/// Every token, looked for at every byte.
fn there(bytes: &[u8]) -> Vec<Hit> {
    let mut hits = Vec::new();
    let (mut line, mut begin) = (1, 0);
    for (at, byte) in bytes.iter().enumerate() {
        let text = bytes
            .get(at..at + 50)
            .and_then(|text| std::str::from_utf8(text).ok());
        if let Some(parsed) = text.and_then(|text| parse(text).ok()) {
            hits.push(Hit {
                id: parsed.id.to_owned(),
                level: parsed.level,
                line,
                column: (at - begin) as u64 + 1,
            });
        }
        if *byte == b'\n' {
            (line, begin) = (line + 1, at + 1);
        }
    }
    hits
}

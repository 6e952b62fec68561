//! Texts made short enough for their readers, at a place where a reader can bear it.
//! Lengths are in characters (Unicode scalar values), as the limits are.

use std::borrow::Cow;

/// The text if it fits, else as many whole words of it as do. Words longer than half of the
/// limit, and languages that write without spaces, are cut between two characters.
pub(crate) fn at_word(text: &str, limit: usize) -> &str {
    let text = text.trim();
    let Some((head, rest)) = split_at_char(text, limit) else {
        return text;
    };
    let end = if rest.starts_with(char::is_whitespace) {
        Some(head.len())
    } else {
        head.rfind(char::is_whitespace)
    };
    match end.map(|end| without_tail(&head[..end])) {
        Some(words) if fills_half(words, limit) => words,
        _ => head.trim_end(),
    }
}

/// The text if it fits, else as many whole sentences as do, if they fill half of the limit,
/// else as many words and an ellipsis.
pub(crate) fn at_sentence(text: &str, limit: usize) -> Cow<'_, str> {
    let text = text.trim();
    let Some((head, _)) = split_at_char(text, limit) else {
        return Cow::Borrowed(text);
    };
    let sentences = last_sentence_end(text, head.len()).map(|end| &text[..end]);
    match sentences.filter(|sentences| fills_half(sentences, limit)) {
        Some(sentences) => Cow::Borrowed(sentences),
        None if limit == 0 => Cow::Borrowed(""),
        None => Cow::Owned(format!("{}…", at_word(head, limit - 1))),
    }
}

/// One line for humans: the text if it fits, else its first paragraph of prose (a Markdown
/// description tends to begin with a heading or a picture), cut if need be.
pub(crate) fn to_line(text: &str, limit: usize) -> String {
    let whole = on_one_line(text);
    if whole.chars().nth(limit).is_none() {
        return whole;
    }
    let prose = text
        .replace("\r\n", "\n")
        .split("\n\n")
        .map(str::trim)
        .find(|paragraph| paragraph.starts_with(char::is_alphanumeric))
        .map_or(whole, on_one_line);
    at_sentence(&prose, limit).into_owned()
}

/// Runs of white space become one space.
pub(crate) fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first `limit` characters and what follows them; `None`: nothing follows.
fn split_at_char(text: &str, limit: usize) -> Option<(&str, &str)> {
    text.char_indices()
        .nth(limit)
        .map(|(end, _)| text.split_at(end))
}

/// Where the last sentence ends that ends within the first `most` bytes. A sentence ends with
/// a full stop (and what closes it) before white space, with an ideographic one anywhere, or
/// with its paragraph.
fn last_sentence_end(text: &str, most: usize) -> Option<usize> {
    let mut last = None;
    let mut stopped = false;
    for (at, c) in text.char_indices() {
        if at > most {
            break;
        }
        if (stopped && c.is_whitespace()) || text[at..].starts_with("\n\n") {
            last = Some(text[..at].trim_end().len());
        }
        stopped = match c {
            '.' | '!' | '?' => true,
            '。' | '！' | '？' => {
                let end = at + c.len_utf8();
                if end <= most {
                    last = Some(end);
                }
                false
            }
            '"' | '\'' | ')' | ']' | '”' | '’' | '»' | '*' | '_' | '`' => stopped,
            _ => false,
        };
    }
    last.filter(|end| *end > 0)
}

/// Drops what must not end a text that was cut: white space, and marks that announce more.
fn without_tail(text: &str) -> &str {
    text.trim_end_matches(|c: char| {
        c.is_whitespace() || matches!(c, ',' | ';' | ':' | '-' | '–' | '—' | '(' | '[' | '&' | '/')
    })
}

/// Whether little enough is lost by ending here.
fn fills_half(text: &str, limit: usize) -> bool {
    text.chars().count() * 2 >= limit && !text.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_words(text: &str, limit: usize, expected: &str) {
        assert_eq!(at_word(text, limit), expected);
    }

    #[track_caller]
    fn check_sentences(text: &str, limit: usize, expected: &str) {
        assert_eq!(at_sentence(text, limit), expected);
    }

    #[test]
    fn words() {
        check_words("Todo List", 20, "Todo List");
        check_words("  Todo List \n", 9, "Todo List");
        check_words("Museum Ticketing and Events", 20, "Museum Ticketing and");
        check_words("Museum Ticketing and Events", 19, "Museum Ticketing");
        check_words("Tickets - for everyone", 12, "Tickets");
        check_words(
            "A Donaudampfschifffahrtsgesellschaft",
            20,
            "A Donaudampfschifffa",
        );
        check_words("", 5, "");
        check_words("abc", 0, "");
    }

    #[test]
    fn characters_are_counted_and_never_split() {
        check_words("ÄÖÜäöüß", 3, "ÄÖÜ");
        check_words("博物馆门票预订系统", 4, "博物馆门");
        check_words("🦀🦀🦀🦀", 2, "🦀🦀");
        check_sentences("🦀🦀🦀🦀", 3, "🦀🦀…");
    }

    #[test]
    fn sentences() {
        check_sentences("One two. Three four.", 20, "One two. Three four.");
        check_sentences("One two. Three four.", 19, "One two. Three…");
        check_sentences("One two. Three four.", 16, "One two.");
        check_sentences("One two three. Four five.", 20, "One two three.");
        check_sentences("Is it (really?) Four five six.", 20, "Is it (really?)");
        check_sentences("Version 2.0 lists todos for you", 20, "Version 2.0 lists…");
        check_sentences("門票。開放時間與活動", 6, "門票。");
        check_sentences("A heading\n\nand more text", 16, "A heading");
        check_sentences("abc", 0, "");
    }

    #[test]
    fn the_full_stop_may_be_the_last_character_that_fits() {
        check_sentences("One two. Three", 8, "One two.");
        check_sentences("One two. Three", 7, "One…");
    }

    #[test]
    fn a_line_skips_the_heading_only_when_it_must() {
        assert_eq!(
            to_line("# Todo\n\nManage  your\nto-dos.", 40),
            "# Todo Manage your to-dos."
        );
        assert_eq!(
            to_line("# Todo\n\nManage  your\nto-dos.", 20),
            "Manage your to-dos."
        );
        assert_eq!(to_line("# A heading of its own", 12), "# A heading…");
    }

    proptest! {
        #[test]
        fn words_are_a_prefix_that_fits(text in "[\\PC \n\t.,]{0,60}", limit in 0_usize..40) {
            let cut = at_word(&text, limit);
            prop_assert!(text.trim().starts_with(cut));
            prop_assert!(cut.chars().count() <= limit);
            prop_assert_eq!(at_word(cut, limit), cut);
            prop_assert_eq!(cut, cut.trim_end());
            prop_assert!(limit == 0 || cut.is_empty() == text.trim().is_empty());
        }

        #[test]
        fn sentences_fit_and_are_left_alone_when_they_do(
            text in "[\\PC \n.!。]{0,60}",
            limit in 0_usize..40,
        ) {
            let cut = at_sentence(&text, limit);
            prop_assert!(cut.chars().count() <= limit);
            prop_assert!(text.trim().starts_with(cut.strip_suffix('…').unwrap_or(&cut)));
            prop_assert!(text.trim().chars().count() > limit || cut == text.trim());
            prop_assert!(to_line(&text, limit).chars().count() <= limit);
            prop_assert!(!to_line(&text, limit).contains('\n'));
        }
    }
}

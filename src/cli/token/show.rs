//! Tokens for people.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::output::on_one_line;

/// A member as text; `-` for none.
fn word(token: &Value, name: &str) -> String {
    match &token[name] {
        Value::Null => "-".to_owned(),
        Value::String(text) => on_one_line(text).into_owned(),
        Value::Array(list) if list.is_empty() => "-".to_owned(),
        Value::Array(list) => {
            let texts = list.iter().map(|item| {
                item.as_str()
                    .map_or_else(|| item.to_string(), str::to_owned)
            });
            on_one_line(&texts.collect::<Vec<_>>().join(", ")).into_owned()
        }
        other => other.to_string(),
    }
}

/// `2026-11-20T12:00:00Z` as `2026-11-20 12:00`.
fn minute(token: &Value, name: &str) -> String {
    let text = word(token, name);
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time}"),
        _ => text,
    }
}

/// What is said of a new token, beside its secret.
pub(super) fn created(token: &Value) -> String {
    let id = word(token, "id");
    if token["changed"] == false {
        return format!("{id} has this secret already, with the same settings: nothing changed");
    }
    let mut text = format!(
        "created {id}, {} token \"{}\" for plugins {}",
        word(token, "level"),
        word(token, "name"),
        word(token, "plugins")
    );
    if token["level"] != "admin" {
        let _ = write!(text, ", scopes {}", word(token, "scopes"));
    }
    let _ = match &token["expires"] {
        Value::Null => write!(text, "; it does not expire"),
        _ => write!(text, "; it expires {} UTC", minute(token, "expires")),
    };
    if token["secret"].is_string() {
        text.push_str("\nthe secret is shown this once: only its hash is kept");
    }
    if let Some(remark) = token["remark"].as_str() {
        let _ = write!(text, "\n{remark}");
    }
    text
}

/// What is said of a rotation, beside the new secret.
pub(super) fn rotated(token: &Value) -> String {
    let id = word(token, "id");
    if token["changed"] == false {
        return format!("{id} has this secret already: nothing changed");
    }
    let previous = &token["secrets"][1];
    if token["secret"].is_null() && token["secrets"][0]["elsewhere"] == false {
        let idle = previous["finish_when_idle"].as_u64().unwrap_or_default();
        return format!(
            "{id}: the old secret ends when nobody used it for {}, at the latest {} UTC",
            length(idle),
            minute(previous, "until")
        );
    }
    if token["state"] == "suspended" {
        let old = if is_past(previous) {
            "the old one has ended".to_owned()
        } else {
            format!("the old one too, until {} UTC", minute(previous, "until"))
        };
        return format!(
            "{id} has another secret and stays suspended: `plugway token resume {id}` lets it in; {old}"
        );
    }
    let mut text = if previous.is_null() {
        format!("{id}: nothing is under way")
    } else if previous["live"] == true {
        format!(
            "{id}: the new secret works now, the old one until {} UTC\n\
             `plugway token rotate {id} --status` shows who still uses the old one, `--finish` ends it, `--undo` takes it back",
            minute(previous, "until")
        )
    } else {
        format!("{id}: the new secret works now, the old one has ended")
    };
    if let Some(idle) = previous["finish_when_idle"].as_u64() {
        let _ = write!(
            text,
            "\nthe old one ends earlier when nobody used it for {}",
            length(idle)
        );
    }
    if let Some(remark) = token["remark"].as_str() {
        let _ = write!(text, "\n{remark}");
    }
    text
}

/// Whether a secret's own end is over.
fn is_past(secret: &Value) -> bool {
    let end: Option<jiff::Timestamp> = secret["until"].as_str().and_then(|end| end.parse().ok());
    end.is_some_and(|end| end <= jiff::Timestamp::now())
}

/// Seconds as people say them.
fn length(seconds: u64) -> String {
    match seconds {
        whole if whole % 86_400 == 0 => format!("{}d", whole / 86_400),
        whole if whole % 3600 == 0 => format!("{}h", whole / 3600),
        whole if whole % 60 == 0 => format!("{}m", whole / 60),
        other => format!("{other}s"),
    }
}

/// What is said of any other change.
pub(super) fn changed(token: &Value, what: &str) -> String {
    let id = word(token, "id");
    if token["changed"] == false {
        format!(
            "{id}: nothing changed, it is {} already",
            word(token, "state")
        )
    } else {
        format!("{id} is {what}")
    }
}

/// A list as a table.
pub(super) fn table(tokens: &Value) -> String {
    let tokens = tokens.as_array().map_or(&[][..], Vec::as_slice);
    if tokens.is_empty() {
        return "no tokens\n".to_owned();
    }
    let head = [
        "ID",
        "NAME",
        "LEVEL",
        "PLUGINS",
        "STATE",
        "ENDS",
        "LAST USED",
        "FROM",
        "SLOT",
    ];
    let rows: Vec<[String; 9]> = tokens
        .iter()
        .map(|token| {
            [
                word(token, "id"),
                word(token, "name"),
                word(token, "level"),
                word(token, "plugins"),
                word(token, "state"),
                minute(token, "ends"),
                minute(token, "last_used"),
                word(token, "last_network"),
                word(token, "last_slot"),
            ]
        })
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    let mut line = |cells: &[&str]| {
        let mut row = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(row, "{cell:<width$}  ");
        }
        text.push_str(row.trim_end());
        text.push('\n');
    };
    line(&head);
    for row in &rows {
        line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    text
}

/// All of one.
pub(super) fn whole(token: &Value) -> String {
    let mut text = String::new();
    let fields = [
        "id",
        "name",
        "level",
        "source",
        "state",
        "plugins",
        "scopes",
        "not_before",
        "expires",
        "rate",
        "quota",
        "concurrency",
        "networks",
        "note",
        "created_at",
        "created_by",
        "revoked_at",
        "revoked_by",
        "revoked_reason",
    ];
    for field in fields {
        if !token[field].is_null() && token[field] != serde_json::json!([]) {
            let _ = writeln!(
                text,
                "{:<15} {}",
                field.replace('_', " "),
                word(token, field)
            );
        }
    }
    let asked = match token["slot"].as_str() {
        Some("ended") => Some("was one before, and opens nothing any more".to_owned()),
        Some(slot) => Some(format!("is the {slot} one")),
        None => None,
    };
    if let Some(asked) = asked {
        let _ = writeln!(text, "{:<15} {asked}", "this secret");
    }
    text + &secrets(token)
}

/// How far a rotation is.
pub(super) fn rotation(token: &Value) -> String {
    let (id, state) = (word(token, "id"), word(token, "state"));
    let mut text = format!(
        "{id} \"{}\": {state}\n{}",
        word(token, "name"),
        secrets(token)
    );
    let previous = &token["secrets"][1];
    if previous["live"] == true {
        let used = &previous["last_used"];
        let verdict = if used.is_null() {
            "nobody used the old secret since this is recorded: `--finish` ends it"
        } else if token["secrets"][0]["last_used"].is_null() {
            "only the old secret is used so far"
        } else if token["source"] == "declared" {
            "compare when each was used last: the old one ends by itself, or when it is taken from where the token is declared"
        } else {
            "compare when each was used last: `--finish` ends the old one"
        };
        let _ = writeln!(text, "{verdict}");
    }
    text
}

/// The secrets, a line each.
fn secrets(token: &Value) -> String {
    let mut text = String::new();
    for secret in token["secrets"].as_array().into_iter().flatten() {
        let name = format!("{} secret", word(secret, "slot"));
        let word_for = if secret["live"] == true {
            "works"
        } else if token["state"] == "suspended" && !is_past(secret) {
            "suspended"
        } else {
            "ended"
        };
        let mut said = vec![word_for.to_owned()];
        if !secret["since"].is_null() {
            said.push(format!("since {} UTC", minute(secret, "since")));
        }
        if !secret["until"].is_null() {
            said.push(format!("until {} UTC", minute(secret, "until")));
        }
        if let Some(idle) = secret["finish_when_idle"].as_u64() {
            said.push(format!("or when nobody used it for {}", length(idle)));
        }
        if secret["elsewhere"] == true {
            said.push("made elsewhere".to_owned());
        }
        said.push(match &secret["last_used"] {
            Value::Null => "not used yet".to_owned(),
            _ => last_used(secret),
        });
        let _ = writeln!(text, "{name:<15} {}", said.join(", "));
    }
    if token["last_slot"] == "ended" {
        let _ = writeln!(text, "{:<15} {}", "ended secrets", last_used(token));
    }
    text
}

/// When a secret, or any of a token, was used last, and from where.
fn last_used(of: &Value) -> String {
    format!(
        "last used {} UTC from {}",
        minute(of, "last_used"),
        word(of, "last_network")
    )
}

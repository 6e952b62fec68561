//! `plugway explain`: which operation a request is, who may call it, and why a token may not.

use std::fmt::Write as _;

use clap::Args;
use serde_json::Value;

use super::Exit;
use super::args::Gateway;
use super::output::{Output, on_one_line};
use super::token::answer;
use super::token::reach::Reach;
use crate::counted::counted;
use crate::tokens::{Look, Question};

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Method and path, such as `POST /todos`.
    request: String,
    /// With this token: its id, or its name where only one has it.
    #[arg(long, value_name = "ID")]
    token: Option<String>,
    /// To this plugin; may be left out when there is one.
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    #[command(flatten)]
    gateway: Gateway,
}

/// Exit 1 when it would be refused.
pub(super) fn run(explain: &Explain, output: &mut Output) -> anyhow::Result<Exit> {
    let question = Question {
        request: explain.request.clone(),
        token: explain.token.clone(),
        plugin: explain.plugin.clone(),
    };
    let reach = Reach::of_gateway(&explain.gateway)?;
    let result = reach.look(&Look::Explain(question))?;
    let refused = result
        .as_ref()
        .is_ok_and(|answer| answer["allowed"] == false);
    let exit = answer(result, output, |answer, output| {
        output.text(&describe(answer))
    })?;
    Ok(if exit == Exit::Done && refused {
        Exit::Failed
    } else {
        exit
    })
}

fn word(value: &Value, name: &str) -> String {
    on_one_line(value[name].as_str().unwrap_or("-")).into_owned()
}

fn describe(answer: &Value) -> String {
    let mut text = String::new();
    let (request, plugin) = (word(answer, "request"), word(answer, "plugin"));
    if answer["published"] == false {
        return format!(
            "{request} is no operation of plugin {plugin}: {} ({})\n",
            word(answer, "reason"),
            word(answer, "code")
        );
    }
    let operation = &answer["operation"];
    let _ = if operation.is_null() {
        writeln!(
            text,
            "{request} is not published in plugin {plugin}, which forwards such paths to holders of the scope `*`"
        )
    } else {
        let (id, method, path) = (
            word(operation, "id"),
            word(operation, "method"),
            word(operation, "path"),
        );
        writeln!(
            text,
            "{request} is operation {id} of plugin {plugin} ({method} {path})"
        )
    };
    for other in answer["similar"].as_array().into_iter().flatten() {
        let other = on_one_line(other.as_str().unwrap_or("-"));
        let _ = writeln!(text, "{other}; who may not call both is refused");
    }
    let _ = writeln!(text, "it requires: {}", word(answer, "require"));
    if let Some(token) = answer["token"].as_str() {
        let token = on_one_line(token);
        let _ = if answer["allowed"] == true {
            let networks = answer["networks"].as_array().into_iter().flatten();
            let networks: Vec<&str> = networks.filter_map(Value::as_str).collect();
            let only = if networks.is_empty() {
                String::new()
            } else {
                format!(", from {} only", networks.join(", "))
            };
            writeln!(text, "token {token} may call it{only}")
        } else {
            writeln!(
                text,
                "token {token} may not: {} ({})",
                word(answer, "reason"),
                word(answer, "code")
            )
        };
    }
    describe_callers(answer, &mut text);
    text
}

/// Who may.
fn describe_callers(answer: &Value, text: &mut String) {
    let callers: Vec<String> = answer["callers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|caller| format!("{} \"{}\"", word(caller, "id"), word(caller, "name")))
        .collect();
    let total = answer["callers_total"].as_u64().unwrap_or(0);
    let _ = match answer["require"].as_str() {
        Some("none") => writeln!(text, "anybody may, without a token"),
        Some("upstream") => writeln!(text, "the API itself decides who may"),
        _ if total == 0 => writeln!(text, "no token may"),
        _ => writeln!(
            text,
            "{} may: {}{}",
            counted(total, "token", "tokens"),
            callers.join(", "),
            if total > callers.len() as u64 {
                ", …"
            } else {
                ""
            }
        ),
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_token_is_no_tokens() {
        let told = |total: u64| {
            let callers = json!([{ "id": "alice", "name": "Alice" }]);
            let mut text = String::new();
            describe_callers(
                &json!({ "callers": callers, "callers_total": total }),
                &mut text,
            );
            text
        };
        assert_eq!(told(1), "1 token may: alice \"Alice\"\n");
        assert_eq!(told(2), "2 tokens may: alice \"Alice\", …\n");
    }
}

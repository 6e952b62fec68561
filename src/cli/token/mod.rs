//! `plugway token`: makes, rotates, ends and finds tokens.
//!
//! A secret goes to standard output, alone, once; everything else that is said beside it goes to
//! standard error.

pub(super) mod args;
pub(super) mod reach;
mod scan;
mod show;
mod strength;

use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Exit;
use super::output::Output;
use crate::tokens::{
    Fault, FieldFault, Filter, Fingerprint, Flow, Order, generate_from_system,
    regenerate_from_system,
};
use crate::unwritable::unread;
pub(super) use args::TokenCommand;
use reach::Reach;

/// Runs one of them.
pub(super) fn run(command: TokenCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        TokenCommand::Generate(generate) => self::generate(&generate, output),
        TokenCommand::Scan(scan) => scan::run(&scan.paths, output),
        TokenCommand::Create(create) => {
            let request = create
                .purpose
                .request(create.sha256.clone(), create.id.clone());
            order(
                &create.gateway,
                &Order::Create(request),
                output,
                show::created,
            )
        }
        TokenCommand::Set(set) => {
            let order = Order::Set(set.token.clone(), set.request());
            self::order(&set.gateway, &order, output, |value| {
                show::changed(value, "changed")
            })
        }
        TokenCommand::List(list) => self::list(&list, output),
        TokenCommand::Show(one) if one.token == "-" => holder(&one.gateway, output),
        TokenCommand::Show(one) => {
            let order = Order::Show(one.token.clone());
            let reach = Reach::new(&one.gateway)?;
            answer(reach.order(&order)?, output, |token, output| {
                output.text(&show::whole(token))
            })
        }
        TokenCommand::Rotate(rotate) => self::rotate(&rotate, output),
        TokenCommand::Suspend(one) => {
            let order = Order::Suspend(one.token.clone());
            in_state(&one.gateway, &order, "suspended", output)
        }
        TokenCommand::Resume(one) => {
            let order = Order::Resume(one.token.clone());
            in_state(&one.gateway, &order, "active again", output)
        }
        TokenCommand::Revoke(revoke) => {
            let order = Order::Revoke(revoke.token.clone(), revoke.reason.clone());
            in_state(&revoke.gateway, &order, "revoked, for ever", output)
        }
        TokenCommand::Import(import) => self::import(&import, output),
        TokenCommand::Export(export) => self::export(&export, output),
    }
}

/// All that are wanted: as they come, or as a table.
fn list(list: &args::List, output: &mut Output) -> anyhow::Result<Exit> {
    let reach = Reach::new(&list.gateway)?;
    let mut text = String::new();
    let taken = reach.flow(Flow::List(list.filter()), &mut |piece| {
        text.push_str(piece);
        Ok(())
    })?;
    if let Err(fault) = taken {
        return refused(&fault, output);
    }
    if output.as_json {
        output.text(&(text + "\n"))?;
    } else {
        output.text(&show::table(&serde_json::from_str(&text)?))?;
    }
    Ok(Exit::Done)
}

/// Whose the secret on standard input is.
fn holder(gateway: &super::args::Gateway, output: &mut Output) -> anyhow::Result<Exit> {
    let sha256 = match hash_of_input(true)? {
        Ok(sha256) => Some(sha256),
        Err(fault) => return refused(&fault, output),
    };
    let filter = Filter {
        sha256,
        ..Filter::default()
    };
    let mut text = String::new();
    let taken = Reach::new(gateway)?.flow(Flow::List(filter), &mut |piece| {
        text.push_str(piece);
        Ok(())
    })?;
    if let Err(fault) = taken {
        return refused(&fault, output);
    }
    let found: Vec<Value> = serde_json::from_str(&text)?;
    let holder = found.into_iter().next().ok_or(Fault::UnknownSecret);
    answer(holder, output, |token, output| {
        output.text(&show::whole(token))
    })
}

/// All lines of the state database.
fn export(export: &args::Export, output: &mut Output) -> anyhow::Result<Exit> {
    let reach = Reach::new(&export.gateway)?;
    match reach.flow(Flow::Export, &mut |line| output.text(line))? {
        Ok(()) => Ok(Exit::Done),
        Err(fault) => refused(&fault, output),
    }
}

/// Brings a token into another state.
fn in_state(
    gateway: &super::args::Gateway,
    order: &Order,
    state: &str,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    self::order(gateway, order, output, |value| show::changed(value, state))
}

/// Prints a secret and its hash, and touches nothing.
fn generate(generate: &args::Generate, output: &mut Output) -> anyhow::Result<Exit> {
    let level = generate.level.level();
    let secret = match &generate.id {
        None => generate_from_system(level)?,
        Some(id) => {
            let secret = regenerate_from_system(id, level)?;
            if secret.id() != id {
                let message = "must be such as pls_ab12cd34, of the same level".to_owned();
                let fault = FieldFault {
                    field: "id",
                    message,
                };
                return refused(&Fault::Invalid(vec![fault]), output);
            }
            secret
        }
    };
    let sha256 = Fingerprint::of(secret.expose().as_bytes()).to_hex();
    if output.as_json {
        output.json(&json!({ "id": secret.id(), "secret": secret.expose(), "sha256": sha256 }))?;
    } else {
        output.secret(secret.expose())?;
        output.remark(&format!("id      {}\nsha256  {sha256}", secret.id()));
    }
    Ok(Exit::Done)
}

fn rotate(rotate: &args::Rotate, output: &mut Output) -> anyhow::Result<Exit> {
    let token = rotate.token.clone();
    if rotate.status {
        let reach = Reach::new(&rotate.gateway)?;
        return answer(
            reach.order(&Order::Show(token))?,
            output,
            |token, output| output.text(&show::rotation(token)),
        );
    }
    let order = if rotate.finish {
        Order::Finish(token)
    } else if rotate.undo {
        Order::Undo(token)
    } else {
        Order::Rotate(token, rotate.request())
    };
    let told = match order {
        Order::Finish(_) => |value: &Value| show::changed(value, "rotated: the old secret ended"),
        Order::Undo(_) => |value: &Value| {
            show::changed(
                value,
                "back: the old secret is the current one again, the new one ended",
            )
        },
        _ => show::rotated,
    };
    self::order(&rotate.gateway, &order, output, told)
}

fn import(import: &args::Import, output: &mut Output) -> anyhow::Result<Exit> {
    let reach = Reach::new(&import.gateway)?;
    if let Some(path) = &import.jsonl {
        let order = Order::Import(text_of(path)?, import.replace);
        return answer(reach.order(&order)?, output, |done, output| {
            output.text(&format!(
                "{} added, {} replaced, {} as they were\n",
                done["added"], done["replaced"], done["unchanged"]
            ))
        });
    }
    let sha256 = match (&import.sha256, &import.value) {
        (Some(hash), _) => hash.clone(),
        (None, Some(value)) if value != "-" => {
            output.remark("plugway: a secret is no argument, which others can read: say `-`, and give it on standard input");
            return Ok(Exit::Usage);
        }
        (None, Some(_)) => match hash_of_input(import.weak)? {
            Ok(sha256) => sha256,
            Err(fault) => return refused(&fault, output),
        },
        (None, None) => {
            output.remark("plugway: say what to import: `-` for a secret on standard input, --sha256 HEX, or --jsonl FILE");
            return Ok(Exit::Usage);
        }
    };
    let order = Order::Create(import.request(sha256));
    answer(reach.order(&order)?, output, |value, output| {
        output.remark(&show::created(value));
        Ok(())
    })
}

/// The hash of the secret on standard input, if it can be one and, unless `weak`, can not be guessed.
fn hash_of_input(weak: bool) -> anyhow::Result<Result<String, Fault>> {
    let mut secret = Zeroizing::new(String::new());
    std::io::stdin()
        .lock()
        .take(1 << 16)
        .read_to_string(&mut secret)?;
    let secret = secret.trim_end_matches(['\r', '\n']);
    let hash = |()| Fingerprint::of(secret.as_bytes()).to_hex();
    Ok(strength::check(secret, weak).map(hash).map_err(|message| {
        let field = "secret";
        Fault::Invalid(vec![FieldFault { field, message }])
    }))
}

/// What a file holds, or standard input.
fn text_of(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path)
        .map_err(|error| anyhow::anyhow!("{}: {}", path.display(), unread(path, &error)))
}

/// Gives an order, prints the secret if there is one, and says what became of it.
fn order(
    gateway: &super::args::Gateway,
    order: &Order,
    output: &mut Output,
    told: impl FnOnce(&Value) -> String,
) -> anyhow::Result<Exit> {
    let reach = Reach::new(gateway)?;
    answer(reach.order(order)?, output, |value, output| {
        if let Some(secret) = value["secret"].as_str() {
            output.secret(secret)?;
        }
        output.remark(&told(value));
        Ok(())
    })
}

/// Prints what became of it: as JSON, as `told`, or why not.
pub(super) fn answer(
    result: Result<Value, Fault>,
    output: &mut Output,
    told: impl FnOnce(&Value, &mut Output) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    let value = match result {
        Ok(value) => value,
        Err(fault) => return refused(&fault, output),
    };
    if output.as_json {
        output.json(&value)?;
    } else {
        told(&value, output)?;
    }
    for warning in value["warnings"].as_array().into_iter().flatten() {
        output.remark(&format!(
            "warning: {}",
            warning.as_str().unwrap_or_default()
        ));
    }
    Ok(Exit::Done)
}

/// Says why not, and with which exit code.
pub(super) fn refused(fault: &Fault, output: &mut Output) -> anyhow::Result<Exit> {
    if output.as_json {
        output.json(&fault.problem().1)?;
    } else {
        output.remark(&format!("plugway: {}", fault.detail()));
    }
    Ok(match fault {
        Fault::Invalid(_) => Exit::Usage,
        Fault::Ambiguous(_) | Fault::Conflict(_) | Fault::Changed { .. } => Exit::Conflict,
        Fault::Unknown
        | Fault::UnknownSecret
        | Fault::NoGeneration(_)
        | Fault::Forbidden(_)
        | Fault::Store(_)
        | Fault::Remote(_) => Exit::Failed,
    })
}

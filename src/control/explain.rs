//! What becomes of a request: which operation it is, who may call it, and why a token may not.

use std::sync::Arc;

use http::{Method, Uri};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Shared;
use super::state::Reader;
use crate::auth::Denied;
use crate::route::Miss;
use crate::snapshot::{Other, Plugin, Snapshot};
use crate::tokens::{
    Call, Fault, FieldFault, Plugins, Question, Status, TokenRecord, TokenShared, Who, entries,
};

/// Tokens that are named; the rest is counted.
const NAMED: usize = 50;

/// Answers.
///
/// # Errors
/// It is no request, or it is not clear to which plugin.
pub(super) fn explain(
    question: &Question,
    snapshot: &Snapshot,
    token: Option<&TokenRecord>,
    reader: &Reader,
    (who, shared, now): (&Who, &Shared, Timestamp),
) -> Result<Value, Fault> {
    let (method, target) = request(&question.request)?;
    let plugin = plugin(question, snapshot, who)?;
    let Asked {
        call,
        place,
        others,
    } = match asked(plugin, &method, &target) {
        Ok(asked) => asked,
        Err((code, reason)) => {
            return Ok(json!({
                "request": question.request, "plugin": &*plugin.name,
                "published": false, "allowed": false, "code": code, "reason": reason,
            }));
        }
    };
    let mut answer = json!({
        "request": question.request,
        "plugin": &*plugin.name,
        "published": true,
        "operation": place,
        "require": plugin.require.word(),
    });
    let similar = others.iter().map(|other| told(plugin, other));
    answer["similar"] = similar.collect();
    let call = (call, &*others);
    if let Some(record) = token {
        let verdict = verdict(plugin, record, call, shared, now);
        answer["token"] = (&*record.id).into();
        answer["allowed"] = verdict.is_ok().into();
        let limits = record.limits.as_ref();
        let networks = limits.map(|limits| limits.networks.iter().map(ToString::to_string));
        answer["networks"] = networks.into_iter().flatten().collect();
        if let Err((code, reason)) = verdict {
            answer["code"] = code.into();
            answer["reason"] = reason.into();
        }
    }
    let (mut callers, mut count) = (Vec::new(), 0_usize);
    reader.each_visible((who, &shared.scopes), |record| {
        if verdict(plugin, record, call, shared, now).is_ok() {
            count += 1;
            if callers.len() < NAMED {
                callers.push(json!({ "id": &*record.id, "name": &*record.name, "level": record.level.as_str() }));
            }
        }
    })?;
    answer["callers"] = callers.into();
    answer["callers_total"] = count.into();
    Ok(answer)
}

/// Whether the current secret of a token may make a call, or the code and the reason.
fn verdict(
    plugin: &Plugin,
    record: &TokenRecord,
    (call, others): (Call, &[Other]),
    shared: &Shared,
    now: Timestamp,
) -> Result<(), (&'static str, String)> {
    let current = TokenRecord {
        previous: None,
        ..record.clone()
    };
    let mut made = entries(&current, &shared.scopes, &Arc::new(TokenShared::default()));
    let Some((_, token)) = made.pop() else {
        return Err(("invalid_token", "it has no secret".to_owned()));
    };
    if let Status::Ended(reason) = token.status(now) {
        return Err(("invalid_token", format!("the token is not valid: {reason}")));
    }
    let permits = |call| plugin.policy.permits(&token, &plugin.scopes, call);
    permits(call).map_err(|denied| match denied {
        Denied::Scope => (
            "insufficient_scope",
            format!(
                "the token's scopes do not cover it: {}",
                record.scopes.texts().join(", ")
            ),
        ),
        other => (
            crate::auth::AuthFailure::Denied(other).code(),
            lower(&other.to_string()),
        ),
    })?;
    let doubt = match call {
        Call::Operation(found) => plugin.doubt(found, others, |call| permits(call).is_ok()),
        Call::Unpublished => None,
    };
    match doubt {
        Some(other) => {
            let covered = permits(Call::Operation(other.operation)).is_ok();
            let why = if covered {
                UNLIKE
            } else {
                "which its scopes do not cover"
            };
            Err(("ambiguous_path", format!("{}, {why}", told(plugin, other))))
        }
        None => Ok(()),
    }
}

/// Why one may not be called as the other.
const UNLIKE: &str = "for which other parameters are fixed, or bodies may have another size";

/// What a lenient upstream may take a request for.
fn told(plugin: &Plugin, other: &Other) -> String {
    let (reason, name) = (other.how.reason(), plugin.described(other));
    format!("{reason} at the upstream: {name}")
}

/// A sentence as a part of one.
fn lower(sentence: &str) -> String {
    let mut text = sentence.trim_end_matches('.').to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    text
}

/// `POST /todos`
fn request(text: &str) -> Result<(Method, Uri), Fault> {
    let fault = || {
        Fault::Invalid(vec![FieldFault {
            field: "request",
            message: "must be a method and a path, such as `POST /todos`".to_owned(),
        }])
    };
    let (method, path) = text.trim().split_once(' ').ok_or_else(fault)?;
    let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).map_err(|_| fault())?;
    let path = path.trim();
    if !path.starts_with('/') {
        return Err(fault());
    }
    Ok((method, path.parse().map_err(|_| fault())?))
}

/// The plugin that is meant, among those that are theirs.
fn plugin<'a>(question: &Question, snapshot: &'a Snapshot, who: &Who) -> Result<&'a Plugin, Fault> {
    let theirs: Vec<&Plugin> = snapshot
        .plugins
        .iter()
        .map(AsRef::as_ref)
        .filter(|plugin| who.has(&Plugins::new([&*plugin.name])))
        .collect();
    let names: Vec<&str> = theirs.iter().map(|plugin| &*plugin.name).collect();
    let fault = |message: String| {
        let field = "plugin";
        Fault::Invalid(vec![FieldFault { field, message }])
    };
    match (&question.plugin, theirs.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => Err(fault(format!(
            "must be said, there are several: {}",
            names.join(", ")
        ))),
        (Some(name), plugins) => {
            let mut named = plugins.iter().filter(|plugin| *plugin.name == **name);
            named.next().copied().ok_or_else(|| {
                fault(format!(
                    "there is none with this name; there are: {}",
                    names.join(", ")
                ))
            })
        }
    }
}

/// What a request asks for.
struct Asked {
    call: Call,
    /// What that is for people.
    place: Value,
    /// What it may be as well at the upstream.
    others: Box<[Other]>,
}

/// What a request asks for; else the code and the reason of the refusal.
fn asked(plugin: &Plugin, method: &Method, target: &Uri) -> Result<Asked, (&'static str, String)> {
    if let Some(reason) = &plugin.unavailable {
        return Err(("document_unavailable", reason.clone()));
    }
    if plugin.documents.find(target.path()).is_some() {
        let reason = "plugway answers this itself: it is a document, or a file, of the plugin";
        return Err(("served_here", reason.to_owned()));
    }
    match plugin.router.find(method, target.path(), target.query()) {
        Ok(found) => {
            let operation = &plugin.operations[found.operation];
            let fixed = &operation.fixed;
            if !fixed.admits_target(target.path(), target.query()) {
                let reason = "its query (to some servers one begins at a semicolon) gives another value for a parameter that the configuration fixes, or names another method";
                return Err(("no_route", reason.to_owned()));
            }
            // What nobody may be let in for.
            if let Some(other) = plugin.doubt(found.operation, &found.others, |_| true) {
                let (code, reason) = refused(plugin, other);
                let published = other.operation < plugin.operations.len();
                let unlike = published.then(|| format!(", {UNLIKE}"));
                return Err((code, reason + &unlike.unwrap_or_default()));
            }
            let meaning = &operation.meaning;
            let place = json!({ "id": meaning.id, "method": meaning.method.as_str(), "path": meaning.path, "tags": meaning.tags });
            Ok(Asked {
                call: Call::Operation(found.operation),
                place,
                others: found.others,
            })
        }
        Err(Miss::Ambiguous(reason)) => {
            Err(("ambiguous_path", format!("the path is refused: {reason}")))
        }
        Err(Miss::Another(other)) => Err(refused(plugin, &other)),
        Err(_) if plugin.forward_unpublished => Ok(Asked {
            call: Call::Unpublished,
            place: Value::Null,
            others: Box::default(),
        }),
        Err(Miss::NotFound) => Err(("no_route", "nothing is published at this path".to_owned())),
        Err(Miss::MethodNotAllowed { allow }) => Err((
            "method_not_allowed",
            format!("this method is not published at this path; published: {allow}"),
        )),
    }
}

/// A path that is refused whoever asks.
fn refused(plugin: &Plugin, other: &Other) -> (&'static str, String) {
    let reason = format!("the path is refused: {}", told(plugin, other));
    ("ambiguous_path", reason)
}

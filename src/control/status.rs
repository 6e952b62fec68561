//! What `plugway status` and `plugway reload` tell.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::parts::{Aside, Held};
use super::{Control, Edges, Outcome, Source};
use crate::problems::Problems;
use crate::snapshot::{Plugin, Target};

/// Findings of a load report that are listed; the rest is counted.
const FINDINGS: usize = 200;
/// Since a generation serves, for which its warnings are told once more.
const RECENTLY: SignedDuration = SignedDuration::from_secs(60);

pub(super) fn status<E: Edges>(control: &Control<E>) -> Value {
    let snapshot = control
        .published
        .as_ref()
        .map(|published| published.current());
    let connections = snapshot
        .as_ref()
        .map(|snapshot| control.edges.connections(&snapshot.limits));
    let (files, _) = control.watched();
    let plugins: Vec<Value> = snapshot
        .iter()
        .flat_map(|snapshot| &snapshot.plugins)
        .map(|plugin| self::plugin(control, plugin))
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "platform": super::Platform::read().to_json(),
        "started": moment(control.started),
        "ready": control.ready(),
        "ready_since": moment(control.ready_since(Timestamp::now())),
        "config": config(&control.source),
        "generation": {
            "number": control.generation,
            "hash": snapshot.as_ref().map(|snapshot| snapshot.hash.clone()),
            "since": moment(control.since),
            "alive": control.generations_alive(),
        },
        "pending_rejected": pending(control),
        "secrets_held": control.holds_secrets(),
        "held": held(control),
        "token_files": control.remote_json(),
        "waiting": control.waits.to_json(),
        "rolled_back_to": control.rolled.as_ref().map(|rolled| rolled.to),
        "warnings": control.warnings.to_json(),
        "listeners": control.edges.listening().iter().map(|listening| json!({
            "kind": listening.kind.name(),
            "address": listening.address.to_string(),
            "configured": listening.asked.to_string(),
            "connections": listening.connections,
        })).collect::<Vec<_>>(),
        "connections_limit": connections.map(|connections| connections.most),
        "connections_per_network_limit": connections.map(|connections| connections.per_network),
        "upstream_connections": connections.map(|connections| connections.upstream.0),
        "upstream_connections_limit": connections.map(|connections| connections.upstream.1),
        "plugins": plugins,
        "tokens": control.shared.tokens.len(),
        "state_error": control.state_error(),
        "clock_error": control.clock_error(),
        "certificates": snapshot.iter().flat_map(|snapshot| &snapshot.certificates).map(|facts| json!({
            "file": absolute(&facts.path),
            "names": facts.names,
            "not_after": Timestamp::from_second(facts.not_after).ok().map(moment),
        })).collect::<Vec<_>>(),
        "state_directory": snapshot.as_ref().map(|snapshot| absolute(&snapshot.config.state_directory)),
        "files": files.iter().map(|path| absolute(path)).collect::<Vec<_>>(),
        "reloads": control.reloads.iter().map(|((result, stage), count)| json!({
            "result": result, "stage": stage, "count": count,
        })).collect::<Vec<_>>(),
    })
}

fn config(source: &Source) -> String {
    match source {
        Source::File(path) => absolute(path),
        Source::Text { name, .. } => name.clone(),
    }
}

fn plugin<E: Edges>(control: &Control<E>, plugin: &Plugin) -> Value {
    let standing = control.documents.standing(&plugin.name);
    let now = std::time::Instant::now();
    json!({
        "name": &*plugin.name,
        "require": plugin.require.word(),
        "operations": plugin.operations.len(),
        "forwards_unpublished": plugin.forward_unpublished,
        "public_url": plugin.public.as_ref().map(|public| &public.origin),
        "upstream": upstreams(plugin).next(),
        "upstreams": plugin.targets.all().iter().zip(upstreams(plugin)).map(|(target, url)| json!({
            "url": url,
            "healthy": target.checked.as_ref().map(|checked| !checked.condition.is_ill()),
            "failures": target.origin.failures(),
            "ejected": target.origin.left_out(now).is_some(),
            "ejected_for": target.origin.left_out(now).map(|left| left.as_secs_f64()),
        })).collect::<Vec<_>>(),
        "document": standing.map(|standing| json!({
            "source": standing.source,
            "state": standing.state,
            "since": standing.since.map(moment),
            "error": standing.error,
        })),
        "report": plugin.report_json(FINDINGS),
        "report_total": plugin.report.len(),
    })
}

/// The URLs of its upstream.
fn upstreams(plugin: &Plugin) -> impl Iterator<Item = String> {
    let url = |target: &Target| target.url(&plugin.base_path);
    plugin.targets.all().iter().map(url)
}

/// What lies on disk and does not serve: all of it, or included files that fail alone.
fn pending<E: Edges>(control: &Control<E>) -> Option<Value> {
    if let Some(refused) = &control.refused {
        return Some(json!({
            "stage": refused.stage.word(),
            "since": moment(refused.since),
            "problems": refused.problems.stopping().to_json(),
            "text": refused.problems.stopping().render(false),
        }));
    }
    let broken = || control.held.values().filter(|held| !held.waits);
    let first = broken().min_by_key(|held| held.since)?;
    let mut problems = Problems::new();
    for held in broken() {
        problems.append(held.problems.clone());
    }
    Some(json!({
        "stage": first.stage.word(),
        "since": moment(first.since),
        "problems": problems.to_json(),
        "text": problems.render(false),
    }))
}

/// What is refused, and what serves in its place, for who starts the process.
pub(super) fn standing_in<E: Edges>(control: &Control<E>) -> Value {
    let waiting = control.waits.to_json();
    let mut told = match pending(control) {
        Some(told) => told,
        None if waiting.is_empty() => return Value::Null,
        None => json!({}),
    };
    told["held"] = held(control).into();
    told["waiting"] = waiting.into();
    told["rolled_back_to"] = control.rolled.as_ref().map(|rolled| rolled.to).into();
    told
}

/// The included files that are broken, and what serves instead.
fn held<E: Edges>(control: &Control<E>) -> Vec<Value> {
    held_of(&control.held)
}

/// The same of those that would be.
pub(super) fn held_of(aside: &Aside) -> Vec<Value> {
    let held = |(path, held): (&PathBuf, &Held)| {
        json!({
            "file": absolute(path),
            "stage": held.stage.word(),
            "since": moment(held.since),
            "serves": if held.serves { "the last good part" } else { "nothing" },
            "problems": held.problems.to_json(),
            "text": held.problems.render(false),
        })
    };
    let broken = aside.iter().filter(|(_, held)| !held.waits);
    broken.map(held).collect()
}

pub(super) fn outcome<E: Edges>(control: &Control<E>, outcome: &Outcome) -> Value {
    let warnings = |problems: &Problems| (!problems.is_empty()).then(|| problems.render(false));
    let mut told = json!({ "generation": control.generation });
    match outcome {
        Outcome::Published(problems) => {
            told["result"] = "published".into();
            told["warnings"] = warnings(problems).into();
            told["warnings_as_before"] = control.warned_before.into();
            told["tokens_ended"] = control.ended.count.into();
            told["tokens_ended_ids"] = control.ended.first.iter().map(|id| &**id).collect();
        }
        Outcome::Unchanged | Outcome::Waiting => {
            told["result"] = "unchanged".into();
            // Most likely a change of files was taken a moment ago: what it was warned of nobody was told.
            if Timestamp::now().duration_since(control.since) < RECENTLY {
                told["warnings"] = warnings(&control.warnings).into();
            } else {
                told["warnings_as_before"] = control.warnings.len().into();
            }
        }
        Outcome::Refused(refused) => {
            told["result"] = "refused".into();
            told["stage"] = refused.stage.word().into();
            told["problems"] = refused.problems.stopping().to_json();
            told["text"] = refused.problems.stopping().render(false).into();
            told["secrets_held"] = control.holds_secrets().into();
            if let Some(rolled) = &control.rolled {
                told["rolled_back_to"] = rolled.to.into();
            }
            return told;
        }
    }
    let stale = control.documents.stale();
    if !stale.is_empty() {
        told["last_good_copies"] = stale.into_iter().collect();
    }
    let lacking = control.documents.lacking();
    if !lacking.is_empty() {
        told["documents_missing"] = lacking.into_iter().collect();
    }
    // What a start refused lies on disk as it did: the generation of before still stands in for it.
    if matches!(outcome, Outcome::Unchanged) && control.refused.is_some() {
        told["pending_rejected"] = pending(control).into();
    }
    if control.is_broken() {
        told["held"] = held(control).into();
    }
    if let Some(rolled) = &control.rolled {
        told["rolled_back_to"] = rolled.to.into();
    }
    told
}

/// RFC 3339, UTC, to the second.
pub(super) fn moment(at: Timestamp) -> String {
    format!("{at:.0}")
}

pub(super) fn absolute(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}

//! `plugway check`.

use serde_json::json;

use super::Exit;
use super::args::Check;
use super::output::Output;
use crate::app;
use crate::control::Source;
use crate::problems::Severity;

pub(super) fn run(check: &Check, output: &mut Output) -> anyhow::Result<Exit> {
    let (snapshot, problems) = app::rehearse(Source::File(check.config.clone()))?;
    let count = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Problem)
        .count();
    let warnings = problems.len() - count;
    if output.as_json {
        let plugins = snapshot.iter().flat_map(|snapshot| &snapshot.plugins).map(|plugin| {
            json!({
                "name": &*plugin.name,
                "operations": plugin.operations.len(),
                "unavailable": plugin.unavailable,
                "report": plugin.report.iter().map(|finding| json!({
                    "action": finding.action.as_str(), "pointer": finding.pointer, "message": finding.message,
                })).collect::<Vec<_>>(),
            })
        });
        output.json(&json!({
            "valid": count == 0,
            "problems": problems.to_json(),
            "plugins": plugins.collect::<Vec<_>>(),
        }))?;
    } else {
        if !problems.is_empty() {
            output.remark(problems.render(Output::color()).trim_end());
        }
        for plugin in snapshot.iter().flat_map(|snapshot| &snapshot.plugins) {
            let state = plugin.unavailable.as_ref().map_or(String::new(), |reason| {
                format!(" (document not available: {reason})")
            });
            output.text(&format!(
                "plugin {}: {} operations{state}\n",
                plugin.name,
                plugin.operations.len()
            ))?;
            for finding in &plugin.report {
                output.text(&format!(
                    "  {} {}: {}\n",
                    finding.action.as_str(),
                    finding.pointer,
                    finding.message
                ))?;
            }
        }
        let verdict = if count == 0 { "is valid" } else { "is refused" };
        output.text(&format!(
            "{} {verdict}: {count} problems, {warnings} warnings\n",
            check.config.display()
        ))?;
    }
    Ok(if count > 0 || (check.strict && warnings > 0) {
        Exit::Invalid
    } else {
        Exit::Done
    })
}

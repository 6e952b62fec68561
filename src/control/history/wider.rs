//! What a rollback may not give back by itself: what a declared token may do was narrowed since.

use ipnet::IpNet;

use crate::config::{Config, DeclaredToken};
use crate::control::{Control, Edges};
use crate::problems::{Place, Problems};
use crate::tokens::Selector;

impl<E: Edges> Control<E> {
    /// A token that would be worth more than now is a problem where it is written.
    pub(in crate::control) fn check_not_wider(&self, next: &Config, problems: &mut Problems) {
        let rolled = self.rolled.as_ref().filter(|_| self.rolling);
        let Some((rolled, published)) = rolled.zip(self.published.as_ref()) else {
            return;
        };
        let running = published.current();
        for token in &next.tokens {
            let mut known = running.config.tokens.iter();
            let Some(known) = known.find(|known| known.id == token.id) else {
                continue;
            };
            for (key, what) in wider(known, token) {
                let message = format!("the rollback would widen token {}: {what}", token.id);
                let place = Place {
                    key: format!("tokens.{}.{key}", token.id),
                    ..token.at.clone()
                };
                problems.add(&place, message).help(format!(
                    "if that is meant: plugway rollback {} --weaker",
                    rolled.to
                ));
            }
        }
    }
}

/// The keys by which a token may do more than before, and what they would allow.
fn wider(before: &DeclaredToken, after: &DeclaredToken) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    if before.level != after.level {
        let what = format!("its level would be {} again", after.level.as_str());
        found.push(("level", what));
    }
    let had = |name: &str| before.plugins.iter().any(|plugin| plugin.value == name);
    let plugins = after.plugins.iter().map(|plugin| plugin.value.as_str());
    let more: Vec<&str> = plugins.filter(|name| !had("*") && !had(name)).collect();
    if !more.is_empty() {
        let what = format!("plugins would have {} again", more.join(", "));
        found.push(("plugins", what));
    }
    let had = |scope: &Selector| before.scopes.iter().any(|known| known.value == *scope);
    let scopes = after.scopes.iter().map(|scope| &scope.value);
    let more = scopes.filter(|scope| !had(&Selector::All) && !had(scope));
    let more: Vec<String> = more.map(ToString::to_string).collect();
    if !more.is_empty() {
        let what = format!("scopes would have {} again", more.join(", "));
        found.push(("scopes", what));
    }
    if let Some(what) = more_networks(networks(before), networks(after)) {
        found.push(("networks", what));
    }
    match (before.expires, after.expires) {
        (Some(_), None) => found.push((
            "expires",
            "expires would not be written any more".to_owned(),
        )),
        (Some(then), Some(later)) if then < later => {
            found.push(("expires", format!("expires would be {later} again")));
        }
        _ => {}
    }
    found
}

/// Where it may be used; none: anywhere.
fn networks(token: &DeclaredToken) -> &[IpNet] {
    let limits = token.limits.as_ref();
    limits.map_or(&[], |limits| &limits.networks)
}

/// From where it could be used beside.
fn more_networks(before: &[IpNet], after: &[IpNet]) -> Option<String> {
    if before.is_empty() {
        return None;
    }
    if after.is_empty() {
        return Some("networks would allow every address again".to_owned());
    }
    let covered = |network: &&IpNet| before.iter().any(|known| known.contains(*network));
    let more = after.iter().filter(|network| !covered(network));
    let more: Vec<String> = more.map(ToString::to_string).collect();
    (!more.is_empty()).then(|| format!("networks would have {} again", more.join(", ")))
}

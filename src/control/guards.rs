//! How plugins are guarded, as it is kept of a generation and told to a successor: what a reload
//! refuses, a start and a take-over refuse too.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::config::{self, DocumentAccess, Require};
use crate::snapshot;

/// Who gets through to the API of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// The name of the plugin.
    name: String,
    /// `auth.require`
    require: String,
    /// Whether paths that are not published are forwarded.
    forwards_unpublished: bool,
    /// The keys of [`WITHHELD`] by which it keeps something back. What an earlier plugway noted has none:
    /// then nothing is known to have been kept back.
    #[serde(default)]
    withholds: Vec<String>,
    /// Its hosts and that of its `public_url`; none: what no other plugin has of the names that are
    /// every gateway's own ([`is_own`]).
    hosts: Vec<String>,
    /// Without hosts: the names of the certificates, at which it answers too. What an earlier plugway
    /// noted answered at none of them.
    #[serde(default)]
    certified: Vec<String>,
}

/// Something that a plugin keeps back beside its operations: the key, whether it does, and what it
/// would do without.
type Withheld = (&'static str, fn(&config::Plugin) -> bool, &'static str);

/// All that there is.
const WITHHELD: [Withheld; 3] = [
    (
        "documents",
        |plugin| plugin.documents == DocumentAccess::Token,
        "would show its documents to anyone, which it shows to holders of a token now",
    ),
    (
        "openapi.similar_paths",
        |plugin| !plugin.openapi.passes_similar,
        "would forward paths that many servers take for another operation, which it refuses now",
    ),
    (
        "headers.underscores",
        |plugin| !plugin.headers.passes_underscores,
        "would forward headers whose names have underscores, which it drops now",
    ),
];

/// A plugin that lets in more than one of before.
#[derive(Debug, PartialEq, Eq)]
pub struct Weaker {
    /// The plugin.
    pub plugin: String,
    /// The key that makes it so.
    pub key: &'static str,
    /// What it would do.
    pub what: String,
}

impl Guard {
    /// That of a plugin.
    pub(super) fn of(plugin: &config::Plugin) -> Self {
        let mut hosts = plugin.hosts.clone();
        hosts.extend(config::host_of(plugin).filter(|host| !plugin.hosts.contains(host)));
        let withheld = WITHHELD
            .iter()
            .filter(|(_, withholds, _)| withholds(plugin));
        Self {
            name: plugin.name.clone(),
            require: plugin.auth.require.word().to_owned(),
            forwards_unpublished: plugin.openapi.forward_unpublished,
            withholds: withheld.map(|(key, ..)| (*key).to_owned()).collect(),
            hosts,
            certified: Vec::new(),
        }
    }

    /// Those of all plugins.
    pub(super) fn of_all(config: &config::Config) -> Vec<Self> {
        let mut all: Vec<_> = config.plugins.iter().map(Self::of).collect();
        for guard in all.iter_mut().filter(|guard| guard.hosts.is_empty()) {
            guard.certified = snapshot::names_of(&config.certificates);
        }
        all
    }

    /// What is left of it when these serve: the hosts that none of them answers at. `None`: nothing,
    /// since they were compared with it, and there is a plugin of its name.
    pub(super) fn beside(&self, others: &[Self]) -> Option<Self> {
        let taken: HashSet<&String> = others.iter().flat_map(|other| &other.hosts).collect();
        let mut left = self.hosts.clone();
        left.retain(|host| !taken.contains(host));
        let named = others.iter().any(|other| other.name == self.name);
        let unnamed = others.iter().any(|other| other.hosts.is_empty());
        let covered = if self.hosts.is_empty() {
            unnamed
        } else {
            left.is_empty()
        };
        if named && covered {
            return None;
        }
        Some(Self {
            // Without a host it would be one that answers everywhere.
            hosts: if left.is_empty() {
                self.hosts.clone()
            } else {
                left
            },
            ..self.clone()
        })
    }

    /// Whether it keeps back what a key of [`WITHHELD`] is about.
    fn withholds(&self, key: &str) -> bool {
        self.withholds.iter().any(|known| known == key)
    }

    /// Names the plugin that it is compared with where it has another name: "it" is then said of that
    /// one. Nothing for its own.
    fn of_another(&self, was: &Self, before: &str, behind: &str) -> String {
        if was.name == self.name {
            return String::new();
        }
        format!(
            "{before} plugin {}, in whose place it answers{behind}",
            was.name
        )
    }

    /// A word that nobody knows asks for as much as there is.
    fn require(&self) -> Require {
        let known = [
            Require::None,
            Require::Service,
            Require::User,
            Require::Any,
            Require::Upstream,
        ];
        let mut known = known.into_iter();
        let found = known.find(|require| require.word() == self.require);
        found.unwrap_or(Require::Service)
    }
}

/// Whether a plugin without hosts, and with certificates of these names, answers at a host that no
/// other one has: the snapshot's rule, but for which app of Fly.io and which address it is.
fn is_own(host: &str, certified: &[String]) -> bool {
    let bare = host.trim_matches(['[', ']']);
    host == "localhost"
        || host.ends_with(".fly.dev")
        || bare.parse::<IpAddr>().is_ok()
        || snapshot::covers(certified, host)
}

/// The hosts that plugins had, and those that they have.
struct Hosts<'a> {
    had: HashSet<&'a str>,
    have: HashSet<&'a str>,
}

impl<'a> Hosts<'a> {
    fn of(before: &'a [Guard], after: &'a [Guard]) -> Self {
        let hosts = |guards: &'a [Guard]| {
            let hosts = guards.iter().flat_map(|guard| &guard.hosts);
            hosts.map(String::as_str).collect()
        };
        Self {
            had: hosts(before),
            have: hosts(after),
        }
    }

    /// Whether somebody who asked `then` at a host asks `now` there.
    fn are_shared(&self, now: &Guard, then: &Guard) -> bool {
        let own = |hosts: &[String], anywhere: &Guard, taken: &HashSet<&str>| {
            let mut hosts = hosts.iter();
            hosts.any(|host| is_own(host, &anywhere.certified) && !taken.contains(&**host))
        };
        match (now.hosts.is_empty(), then.hosts.is_empty()) {
            (true, true) => true,
            (false, true) => own(&now.hosts, then, &self.had),
            (true, false) => own(&then.hosts, now, &self.have),
            (false, false) => now.hosts.iter().any(|host| then.hosts.contains(host)),
        }
    }
}

/// The plugins of `after` that would answer in the place of one of `before` with another name, and of
/// which.
pub(super) fn taken(before: &[Guard], after: &[Guard]) -> HashMap<String, String> {
    let hosts = Hosts::of(before, after);
    // By host, since plugins may be many; those without are few.
    let mut at: HashMap<&str, &Guard> = HashMap::new();
    for guard in before {
        at.extend(guard.hosts.iter().map(|host| (host.as_str(), guard)));
    }
    let without = || before.iter().filter(|guard| guard.hosts.is_empty());
    let giver = |taker: &Guard| {
        let named = taker
            .hosts
            .iter()
            .filter_map(|host| at.get(&**host).copied());
        // One without hosts may answer at those of any.
        let all = before.iter().filter(|_| taker.hosts.is_empty());
        let mut perhaps = named.chain(without()).chain(all);
        perhaps.find(|guard| guard.name != taker.name && hosts.are_shared(taker, guard))
    };
    let taken = |taker: &Guard| Some((taker.name.clone(), giver(taker)?.name.clone()));
    after.iter().filter_map(taken).collect()
}

/// What lets in more than what it stands for, each key of a plugin once.
pub fn weaker(before: &[Guard], after: &[Guard]) -> Vec<Weaker> {
    let mut all = Vec::new();
    let hosts = Hosts::of(before, after);
    // Whether somebody who asked the one may ask the other now: by its name, or at a host.
    let stands_for =
        |now: &Guard, then: &Guard| now.name == then.name || hosts.are_shared(now, then);
    for guard in after {
        let mut found = |key, what| {
            all.push(Weaker {
                plugin: guard.name.clone(),
                key,
                what,
            });
        };
        // The one that is stricter: that of its own name, if there are several.
        let stricter = |is_it: &dyn Fn(&Guard) -> bool| {
            let known = before.iter().filter(|known| stands_for(guard, known));
            let all = known.filter(|known| is_it(known));
            all.min_by_key(|known| known.name != guard.name)
        };
        let require = guard.require();
        if let Some(was) = stricter(&|was| lets_in_more(was.require(), require)) {
            found(
                "auth.require",
                format!(
                    "would let in requests that it refuses now: `require` was \"{}\"{} and is \"{}\"",
                    was.require().word(),
                    guard.of_another(was, " of", ","),
                    require.word()
                ),
            );
        }
        if guard.forwards_unpublished
            && let Some(was) = stricter(&|was| !was.forwards_unpublished)
        {
            found(
                "openapi.unpublished",
                format!(
                    "would forward paths that it refuses now: `unpublished` is \"forward\"{}",
                    guard.of_another(was, "; it is compared with", "")
                ),
            );
        }
        for (key, _, what) in WITHHELD {
            if !guard.withholds(key)
                && let Some(was) = stricter(&|was| was.withholds(key))
            {
                let other = guard.of_another(was, "; it is compared with", "");
                found(key, format!("{what}{other}"));
            }
        }
    }
    all
}

/// Whether a plugin that asked for `before` would let in requests that it refused.
fn lets_in_more(before: Require, after: Require) -> bool {
    use Require::{Any, None, Service, Upstream, User};
    match (before, after) {
        (None | Upstream, None) => before == Upstream,
        // With `upstream` the gateway would no longer look at the credential itself.
        (Any | Service | User, None | Upstream) | (Service | User, Any) => true,
        (None | Upstream, _) | (Any, Any | Service | User) | (Service | User, Service | User) => {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(name: &str, require: &str, hosts: &[&str]) -> Guard {
        Guard {
            name: name.to_owned(),
            require: require.to_owned(),
            forwards_unpublished: false,
            withholds: Vec::new(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            certified: Vec::new(),
        }
    }

    #[test]
    fn what_answers_everywhere_stands_for_the_names_of_its_certificates() {
        let certified = ["todo.example.com".to_owned(), "*.example.org".to_owned()];
        let anywhere = |require| Guard {
            certified: certified.to_vec(),
            ..guard("p", require, &[])
        };
        for (host, answers) in [
            ("todo.example.com", 1),
            ("a.example.org", 1),
            ("a.b.example.org", 0),
            ("example.org", 0),
        ] {
            let was = [anywhere("service")];
            let open = [guard("q", "none", &[host])];
            assert_eq!(weaker(&was, &open).len(), answers, "{host}");
            let was = [guard("q", "service", &[host])];
            assert_eq!(weaker(&was, &[anywhere("none")]).len(), answers, "{host}");
        }
    }

    #[test]
    fn another_plugin_that_it_is_compared_with_is_named() {
        let todo = Guard {
            withholds: vec!["documents".to_owned()],
            ..guard("todo", "service", &["a.example"])
        };
        let open = |name| Guard {
            forwards_unpublished: true,
            ..guard(name, "none", &["a.example"])
        };
        let told = |before: &[Guard], name| {
            let weaker = weaker(before, &[open(name)]);
            let told: Vec<String> = weaker.into_iter().map(|one| one.what).collect();
            told
        };
        let (require, unpublished) = (
            "would let in requests that it refuses now: `require` was \"service\"",
            "would forward paths that it refuses now: `unpublished` is \"forward\"",
        );
        let documents =
            "would show its documents to anyone, which it shows to holders of a token now";
        let other = "plugin todo, in whose place it answers";
        let own = [
            format!("{require} and is \"none\""),
            unpublished.to_owned(),
            documents.to_owned(),
        ];
        assert_eq!(told(std::slice::from_ref(&todo), "todo"), own);
        assert_eq!(
            told(std::slice::from_ref(&todo), "notes"),
            [
                format!("{require} of {other}, and is \"none\""),
                format!("{unpublished}; it is compared with {other}"),
                format!("{documents}; it is compared with {other}"),
            ]
        );
        // Its own comes first.
        let both = [todo, guard("notes", "service", &["b.example"])];
        assert_eq!(told(&both, "notes")[..2], own[..2]);
    }

    #[test]
    fn what_answers_everywhere_stands_for_the_names_that_are_everybodys() {
        let anywhere = guard("p", "service", &[]);
        for host in ["127.0.0.1", "[::1]", "localhost", "app.fly.dev"] {
            let open = guard("q", "none", &[host]);
            let was = std::slice::from_ref(&anywhere);
            assert_eq!(weaker(was, std::slice::from_ref(&open)).len(), 1, "{host}");
            // Also the other way, unless another one still has that name.
            let was = [guard("q", "service", &[host])];
            let is = guard("p", "none", &[]);
            assert_eq!(weaker(&was, std::slice::from_ref(&is)).len(), 1, "{host}");
            assert_eq!(weaker(&was, &[is, guard("q", "user", &[host])]), []);
            // What was open there before stays so.
            let both = [anywhere.clone(), open];
            assert_eq!(weaker(&both, &both), [], "{host}");
        }
        let elsewhere = guard("q", "none", &["q.example"]);
        assert_eq!(weaker(&[anywhere], &[elsewhere]), []);
    }

    #[test]
    fn who_answers_in_the_place_of_another_takes_it() {
        let of_whom = |before: &[Guard], after: &[Guard]| {
            let mut taken: Vec<_> = taken(before, after).into_iter().collect();
            taken.sort();
            taken
        };
        let of = |taker: &str, giver: &str| vec![(taker.to_owned(), giver.to_owned())];
        let (p, q) = (["p.example"], ["q.example"]);
        let before = [guard("p", "any", &p), guard("q", "any", &q)];
        assert_eq!(of_whom(&before, &before), []);
        assert_eq!(of_whom(&before, &[guard("r", "any", &p)]), of("r", "p"));
        assert_eq!(of_whom(&before, &[guard("r", "any", &["r.example"])]), []);
        let moved = [guard("p", "any", &["new.example"]), guard("q", "any", &p)];
        assert_eq!(of_whom(&before, &moved), of("q", "p"));
        // Without hosts it answers where nobody else does.
        let anywhere = [guard("p", "any", &[])];
        let (other, local) = (
            [guard("r", "any", &[])],
            [guard("r", "any", &["localhost"])],
        );
        assert_eq!(of_whom(&anywhere, &other), of("r", "p"));
        assert_eq!(of_whom(&anywhere, &local), of("r", "p"));
        assert_eq!(of_whom(&local, &anywhere), of("p", "r"));
    }

    #[test]
    fn what_is_left_of_a_guard_is_what_nobody_stands_for() {
        let known = guard("p", "service", &["a.example", "b.example"]);
        let left = |now: &[Guard]| known.beside(now).map(|left| left.hosts);
        let of = |hosts: &[&str]| Some(guard("p", "any", hosts).hosts);
        assert_eq!(left(&[]), of(&["a.example", "b.example"]));
        assert_eq!(
            left(&[guard("p", "user", &["a.example", "b.example"])]),
            None
        );
        assert_eq!(
            left(&[guard("p", "user", &["a.example"])]),
            of(&["b.example"])
        );
        assert_eq!(
            left(&[guard("q", "user", &["a.example"])]),
            of(&["b.example"])
        );
        // Its name is not there any more, and must not come back weaker.
        let other = guard("q", "user", &["a.example", "b.example"]);
        assert_eq!(left(&[other]), of(&["a.example", "b.example"]));
        let anywhere = guard("p", "service", &[]);
        assert_eq!(anywhere.beside(&[guard("p", "user", &[])]), None);
        let named = guard("p", "user", &["a.example"]);
        assert_eq!(anywhere.beside(&[named]), Some(anywhere));
    }
}

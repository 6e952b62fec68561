//! What can be proven of a compiled plugin without a request.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use serde::de::IgnoredAny;
use url::form_urlencoded::byte_serialize;

use super::Plugin;
use crate::auth::{AuthError, Principal};
use crate::config::Require;
use crate::documents::{Document, Found, MANIFEST, ORIGIN};
use crate::openapi;
use crate::tokens::{Call, Level, ScopeList, ScopeListId, Selector, TokenTable};

/// Generated documents in JSON. The YAML beside them comes from the same values; to parse it again
/// would take longer than all the rest of a swap.
const JSON: [&str; 4] = [
    MANIFEST,
    "/openapi.json",
    "/openapi-3.0.json",
    "/.well-known/api-catalog",
];
/// Generated documents in YAML.
const YAML: [&str; 2] = ["/openapi.yaml", "/openapi-3.0.yaml"];

/// Secrets that a proof presents, made for it alone.
pub struct Presentable {
    /// Opens nothing.
    pub unknown: String,
    /// Of each level: one that may call everything, one that may call nothing.
    pub known: Vec<(Level, String, String)>,
}

/// Constant, as for any secret.
impl fmt::Debug for Presentable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presentable(..)")
    }
}

impl Plugin {
    /// A generated document that can not be read: its path, and why.
    pub fn unreadable_document(&self) -> Option<(&'static str, String)> {
        let origin = self.public.as_ref().map_or(ORIGIN, |p| &p.origin);
        let generated = |path: &str| {
            // What the operator put in its place is theirs.
            let own = self.open_paths.contains(path);
            match self.documents.find(path).filter(|_| !own)? {
                Found::Document(document) => Some(document),
                Found::Unavailable => None,
            }
        };
        let empty = YAML
            .into_iter()
            .find(|path| generated(path).is_some_and(Document::is_empty));
        if let Some(path) = empty {
            return Some((path, "it is empty".to_owned()));
        }
        JSON.into_iter().find_map(|path| {
            let error =
                serde_json::from_slice::<IgnoredAny>(&generated(path)?.content(origin)).err()?;
            Some((path, error.to_string()))
        })
    }

    /// Whether the policy lets in who is not to be let in, or keeps out who is: a sentence if so.
    /// `table` holds the tokens of `secrets`; `require` is what is written.
    pub fn breach(
        &self,
        require: Require,
        table: &TokenTable,
        secrets: &Presentable,
        now: Timestamp,
    ) -> Option<String> {
        if self.require != require {
            let (is, written) = (self.require.word(), require.word());
            return Some(format!("it requires {is}, not {written}"));
        }
        let admit = |secret: Option<&str>| {
            let headers = secret.map_or_else(HeaderMap::new, |secret| self.presenting(secret));
            self.policy.admit(&headers, table, now)
        };
        match (require, admit(None)) {
            (Require::None, Err(_)) => {
                return Some("a request without a token is kept out".to_owned());
            }
            (Require::None, Ok(_)) | (_, Err(AuthError::Missing)) => {}
            _ => return Some("a request without a token is let in".to_owned()),
        }
        if require == Require::Upstream {
            let passes = admit(Some(&secrets.unknown)).is_ok();
            return (!passes).then(|| "a credential of the API is kept out".to_owned());
        }
        if !matches!(admit(Some(&secrets.unknown)), Err(AuthError::Unknown)) {
            return Some("a token that nobody has is let in".to_owned());
        }
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let may = |principal: &Principal, call| {
            let authorized = self.policy.authorize(principal, &self.scopes, call, here);
            authorized.is_ok()
        };
        let calls = || (0..self.operations.len()).map(Call::Operation);
        let calls = || calls().chain([Call::Unpublished]);
        for (level, all, nothing) in &secrets.known {
            let (Ok(all), Ok(nothing)) = (admit(Some(all)), admit(Some(nothing))) else {
                return Some(format!("a {} token is not known", level.as_str()));
            };
            let right = match (require, level) {
                (_, Level::Admin) => false,
                (Require::Service, level) => *level == Level::Service,
                (Require::User, level) => *level == Level::User,
                (Require::None | Require::Any | Require::Upstream, _) => true,
            };
            if calls().any(|call| may(&all, call) != right) {
                let what = if right { "kept out" } else { "let in" };
                return Some(format!("a {} token is {what}", level.as_str()));
            }
            if calls().any(|call| may(&nothing, call)) {
                return Some("a token whose scopes match nothing is let in".to_owned());
            }
        }
        None
    }

    /// Whether a scope list that means none of the operations allows one all the same.
    pub fn grants_nothing_for_something(&self, id: ScopeListId, list: &ScopeList) -> bool {
        let calls = || (0..self.operations.len()).map(Call::Operation);
        let calls = || calls().chain([Call::Unpublished]);
        let means = |selector: &Selector| {
            *selector == Selector::All
                || self
                    .operations
                    .iter()
                    .any(|operation| openapi::matches(selector, &operation.meaning))
        };
        calls().any(|call| self.scopes.allows(id, call)) && !list.selectors().iter().any(means)
    }

    /// The head in which a secret is presented to the plugin.
    pub fn presenting(&self, secret: &str) -> HeaderMap {
        let name = self.policy.header();
        let value = if *name == header::AUTHORIZATION {
            HeaderValue::try_from(format!("Bearer {secret}"))
        } else {
            HeaderValue::try_from(secret)
        };
        let mut headers = HeaderMap::new();
        if let Ok(mut value) = value {
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        headers
    }

    /// A path of the first operation that a plain request can ask for, with its method: parameters
    /// in the path are filled in. And a path that is not published, where such are forwarded.
    pub fn examples(&self) -> Vec<(http::Method, String)> {
        let found = self.operations.iter().enumerate().find_map(|(index, one)| {
            let target = filled(&one.meaning);
            target.parse::<http::uri::PathAndQuery>().ok()?;
            let (path, query) = target
                .split_once('?')
                .map_or((&*target, None), |(path, query)| (path, Some(query)));
            let found = self.router.find(&one.meaning.method, path, query).ok()?;
            // Who may ask for it, and not for what it may be as well, is refused.
            let reached = found.operation == index
                && found.others.is_empty()
                && one.fixed.admits(&HeaderMap::new(), path, query)
                && self.documents.find(path).is_none();
            let method = one.meaning.method.clone();
            reached.then_some((method, target))
        });
        let unpublished = "/plugway-self-test";
        let free = self.forward_unpublished
            && self.unavailable.is_none()
            && self.documents.find(unpublished).is_none()
            && self
                .router
                .find(&http::Method::GET, unpublished, None)
                .is_err();
        let unpublished = free.then(|| (http::Method::GET, unpublished.to_owned()));
        found.into_iter().chain(unpublished).collect()
    }
}

/// The path of an operation with a value in place of each parameter, and its fixed query.
fn filled(operation: &openapi::Operation) -> String {
    let mut path = String::new();
    let mut rest = operation.path.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(before);
        path.push('1');
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    path.push_str(rest);
    let pairs = operation.fixed_query.iter();
    for (index, (name, value)) in pairs.enumerate() {
        path.push(if index == 0 { '?' } else { '&' });
        path.extend(byte_serialize(name.as_bytes()));
        path.push('=');
        path.extend(byte_serialize(value.as_bytes()));
    }
    path
}

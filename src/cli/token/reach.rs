//! How a command reaches the tokens: through the running gateway, or the state database itself
//! where none runs.

use std::cell::{Cell, RefCell};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use http::StatusCode;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::Unsettled;
use super::super::args::Gateway;
use super::super::client::{self, Address, NoReply, Reply, Sent};
use super::super::output::Output;
use crate::control::{self, Offline};
use crate::tokens::{Fault, FieldFault, Flow, Look, Order, Plugins, Who};

/// See the module.
pub(in crate::cli) struct Reach {
    address: Address,
    /// Where the state is, if no gateway answers; `None` where a certain gateway was named.
    directory: Option<PathBuf>,
    /// Why it is not known.
    unsettled: Option<Unsettled>,
    /// There is no database yet.
    fresh: Cell<bool>,
    offline: RefCell<Option<Offline>>,
}

/// A result of its own kind, inside of what may fail on the way.
type Answered<T> = anyhow::Result<Result<T, Fault>>;

/// What a path segment does not hold as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

impl Reach {
    /// Nothing is asked yet.
    pub(in crate::cli) fn new(gateway: &Gateway) -> anyhow::Result<Self> {
        let mut found = Self::of_gateway(gateway)?;
        if gateway.admin().is_some() {
            return Ok(found);
        }
        match super::super::state_of(gateway) {
            // Without a configuration there may be a state all the same.
            Ok(directory) if gateway.config.exists() || directory.exists() => {
                found.fresh.set(!control::exists(&directory));
                found.directory = Some(directory);
            }
            Ok(_) => {}
            Err(unsettled) => found.unsettled = Some(unsettled),
        }
        Ok(found)
    }

    /// A running gateway and nothing else.
    pub(in crate::cli) fn of_gateway(gateway: &Gateway) -> anyhow::Result<Self> {
        Ok(Self {
            address: client::address(gateway)?,
            directory: None,
            unsettled: None,
            fresh: Cell::new(false),
            offline: RefCell::new(None),
        })
    }

    /// Gives an order.
    pub(in crate::cli) fn order(&self, order: &Order) -> Answered<Value> {
        let (method, path, body) = request(order)?;
        match self.send(method, &path, body)? {
            Some(reply) => Ok(understood(&reply)),
            None => self.offline(|offline, who, now| {
                if !matches!(order, Order::Show(_)) {
                    self.say_offline();
                }
                let done = offline.order(order, &who, now)?;
                self.say_fresh();
                let mut value = done.value;
                value["changed"] = done.changed.into();
                Ok(value)
            }),
        }
    }

    /// Looks at something.
    pub(in crate::cli) fn look(&self, look: &Look) -> Answered<Value> {
        let path = match look {
            Look::Audit(token, most) => query("/audit", &json!({ "token": token, "most": most }))?,
            Look::Verify(head) => query("/audit/verify", &json!({ "head": head }))?,
            Look::Explain(question) => query("/explain", question)?,
        };
        match self.send("GET", &path, None)? {
            Some(reply) => Ok(understood(&reply)),
            None => self.offline(|offline, who, now| offline.view(who, now)?.look(look)),
        }
    }

    /// Takes lines, each with its end.
    pub(in crate::cli) fn flow(
        &self,
        flow: Flow,
        take: &mut dyn FnMut(&str) -> anyhow::Result<()>,
    ) -> Answered<()> {
        let path = match &flow {
            Flow::List(filter) => query("/tokens", filter)?,
            Flow::Export => "/tokens/export".to_owned(),
            Flow::Audit => "/audit/export".to_owned(),
            Flow::Backup => "/state/backup".to_owned(),
        };
        let mut outcome = Ok(());
        let mut line = |text: String| {
            if outcome.is_ok() {
                outcome = take(&text);
            }
        };
        let result = match self.send("GET", &path, None)? {
            Some(reply) if reply.status == StatusCode::OK => {
                line(String::from_utf8_lossy(&reply.body).into_owned());
                Ok(())
            }
            Some(reply) => Err(problem(&reply)),
            None => {
                if matches!(&flow, Flow::List(_)) {
                    self.say_offline();
                }
                self.offline(|offline, who, now| offline.view(who, now)?.flow(flow, line))?
            }
        };
        outcome?;
        Ok(result)
    }

    /// Asks the gateway; `None`: there is none, and the database is there to be asked.
    fn send(&self, method: &str, path: &str, body: Option<Sent>) -> anyhow::Result<Option<Reply>> {
        match client::send(&self.address, method, path, body) {
            Ok(reply) => Ok(Some(reply)),
            Err(NoReply::NoGateway(_)) if self.directory.is_some() => Ok(None),
            Err(reason @ NoReply::NoGateway(_)) => Err(match self.unsettled.clone() {
                Some(unsettled) => unsettled.into(),
                None => reason.into(),
            }),
            Err(reason) => Err(reason.into()),
        }
    }

    /// That it is not a gateway which does it.
    fn say_offline(&self) {
        let directory = self.directory.clone().unwrap_or_default();
        Output::new(false).remark(&format!(
            "no gateway answers: working on the state database in {}; what the configuration declares, tokens too, is not known",
            std::path::absolute(&directory).unwrap_or(directory).display()
        ));
    }

    /// That there was no database before.
    fn say_fresh(&self) {
        let directory = self.directory.clone().unwrap_or_default();
        if self.fresh.get() && control::exists(&directory) {
            self.fresh.set(false);
            let directory = std::path::absolute(&directory).unwrap_or(directory);
            Output::new(false).remark(&format!(
                "there was no state database: a new one was made in {}",
                directory.display()
            ));
        }
    }

    fn offline<T>(
        &self,
        work: impl FnOnce(&mut Offline, Who, Timestamp) -> Result<T, Fault>,
    ) -> Answered<T> {
        let now = Timestamp::now();
        let mut held = self.offline.borrow_mut();
        if held.is_none() {
            if let Some(hint) = client::beside() {
                Output::new(false).remark(hint);
            }
            let directory = self.directory.clone().unwrap_or_default();
            match Offline::open(&directory, now) {
                Ok(offline) => *held = Some(offline),
                Err(error) => return Ok(Err(error.into())),
            }
        }
        let Some(offline) = held.as_mut() else {
            anyhow::bail!("the state database is not open");
        };
        Ok(work(offline, me(), now))
    }
}

/// Who runs this.
pub(in crate::cli) fn me() -> Who {
    let user = std::fs::metadata("/proc/self")
        .ok()
        .map(|facts| facts.uid());
    let name = user.map(|id| crate::admin::user_name(id).unwrap_or_else(|| id.to_string()));
    Who {
        by: Arc::from(format!("unix:{}", name.as_deref().unwrap_or("?"))),
        plugins: Plugins::All,
    }
}

/// An order as a request.
fn request(order: &Order) -> anyhow::Result<(&'static str, String, Option<Sent>)> {
    let token = |token: &str, what: &str| {
        match token {
            // They are paths of their own; so written, they are names.
            "import" => format!("/tokens/%69mport{what}"),
            "export" => format!("/tokens/%65xport{what}"),
            _ => format!("/tokens/{}{what}", utf8_percent_encode(token, SEGMENT)),
        }
    };
    Ok(match order {
        Order::Create(request) => ("POST", "/tokens".to_owned(), json_of(request)?),
        Order::Set(key, request) => ("PATCH", token(key, ""), json_of(request)?),
        Order::Show(key) => ("GET", token(key, ""), None),
        Order::Rotate(key, request) => ("POST", token(key, "/rotate"), json_of(request)?),
        Order::Finish(key) => ("POST", token(key, "/finish"), None),
        Order::Undo(key) => ("POST", token(key, "/undo"), None),
        Order::Suspend(key) => ("POST", token(key, "/suspend"), None),
        Order::Resume(key) => ("POST", token(key, "/resume"), None),
        Order::Revoke(key, reason) => {
            let reason = json!({ "reason": reason });
            ("POST", token(key, "/revoke"), json_of(&reason)?)
        }
        Order::Import(lines, replace) => {
            let path = format!("/tokens/import?replace={replace}");
            let lines = lines.clone().into_bytes();
            ("POST", path, Some(("application/jsonl", lines)))
        }
    })
}

/// A body.
fn json_of(value: &impl Serialize) -> anyhow::Result<Option<Sent>> {
    Ok(Some(("application/json", serde_json::to_vec(value)?)))
}

/// A path with what is not null of an object as its query.
fn query(path: &str, fields: &impl Serialize) -> anyhow::Result<String> {
    let fields = serde_json::to_value(fields)?;
    let mut text = path.to_owned();
    for (name, value) in fields.as_object().into_iter().flatten() {
        let value = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        text.push(if text.contains('?') { '&' } else { '?' });
        text.push_str(name);
        text.push('=');
        text.extend(utf8_percent_encode(&value, SEGMENT));
    }
    Ok(text)
}

/// What a gateway answered.
fn understood(reply: &Reply) -> Result<Value, Fault> {
    if reply.status.is_success() {
        return serde_json::from_slice(&reply.body).map_err(|_| {
            Fault::Remote("the gateway answered with something that is no JSON".to_owned())
        });
    }
    Err(problem(reply))
}

/// Why it did not do it.
fn problem(reply: &Reply) -> Fault {
    let problem: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let detail = problem["detail"]
        .as_str()
        .unwrap_or("no reason is given")
        .to_owned();
    match reply.status {
        StatusCode::BAD_REQUEST => {
            let errors = problem["errors"].as_array().into_iter().flatten();
            let faults: Vec<FieldFault> = errors
                .map(|error| FieldFault {
                    field: known(error["field"].as_str().unwrap_or_default()),
                    message: error["message"].as_str().unwrap_or_default().to_owned(),
                })
                .collect();
            if faults.is_empty() {
                let field = "request";
                return Fault::Invalid(vec![FieldFault {
                    field,
                    message: detail,
                }]);
            }
            Fault::Invalid(faults)
        }
        StatusCode::NOT_FOUND if problem["code"] == "unknown_token" => Fault::Unknown,
        StatusCode::CONFLICT => Fault::Conflict(detail),
        StatusCode::SERVICE_UNAVAILABLE => Fault::Store(detail),
        status => Fault::Remote(format!("the gateway answered {status}: {detail}")),
    }
}

/// Names of fields live as long as the program.
fn known(field: &str) -> &'static str {
    const FIELDS: [&str; 26] = [
        "name",
        "level",
        "plugins",
        "scopes",
        "expires",
        "not_before",
        "rate",
        "quota",
        "concurrency",
        "networks",
        "note",
        "sha256",
        "id",
        "grace",
        "finish_when_idle",
        "reason",
        "lines",
        "plugin",
        "request",
        "state",
        "idle",
        "ends_within",
        "sort",
        "text",
        "token",
        "head",
    ];
    FIELDS
        .into_iter()
        .find(|known| *known == field)
        .unwrap_or("request")
}

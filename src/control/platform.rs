//! What the platform tells by the environment: Fly.io so far.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

/// `limits.drain` where nobody wrote it.
const DRAIN: Duration = Duration::from_secs(25);
/// The same on Fly.io, which kills after five seconds unless its `kill_timeout` says more.
const DRAIN_ON_FLY: Duration = Duration::from_secs(4);

/// The Machine that this process runs on; nothing where it is none.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Platform {
    /// `FLY_APP_NAME`
    pub app: Option<String>,
    /// `FLY_REGION`
    pub region: Option<String>,
    /// `FLY_MACHINE_ID`
    pub machine: Option<String>,
    /// `FLY_PROCESS_GROUP`
    pub process_group: Option<String>,
    /// `FLY_IMAGE_REF`
    pub image: Option<String>,
}

impl Platform {
    /// As the environment has it.
    pub fn read() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        Self {
            app: variable("FLY_APP_NAME"),
            region: variable("FLY_REGION"),
            machine: variable("FLY_MACHINE_ID"),
            process_group: variable("FLY_PROCESS_GROUP"),
            image: variable("FLY_IMAGE_REF"),
        }
    }

    /// `limits.drain` where it is not written.
    pub fn drain(&self) -> Duration {
        if self.app.is_some() {
            DRAIN_ON_FLY
        } else {
            DRAIN
        }
    }

    /// For `status`; null where there is none.
    pub(super) fn to_json(&self) -> Value {
        if *self == Self::default() {
            return Value::Null;
        }
        json!({
            "app": self.app,
            "region": self.region,
            "machine": self.machine,
            "process_group": self.process_group,
            "image": self.image,
        })
    }

    /// Labels of the metric. None is named as one that the platform overwrites when it scrapes:
    /// `app`, `region`, `host`, `instance`.
    pub(super) fn labels(&self) -> Vec<(&'static str, Arc<str>)> {
        let labels = [
            ("fly_region", &self.region),
            ("machine", &self.machine),
            ("process_group", &self.process_group),
        ];
        let told = |(name, value): (_, &Option<String>)| Some((name, value.as_deref()?.into()));
        labels.into_iter().filter_map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_of_fly() {
        let platform = Platform::of(|name| match name {
            "FLY_APP_NAME" => Some("todo".to_owned()),
            "FLY_REGION" => Some("fra".to_owned()),
            "FLY_MACHINE_ID" => Some(String::new()),
            _ => None,
        });
        assert_eq!(platform.labels(), [("fly_region", Arc::from("fra"))]);
        assert_eq!(platform.to_json()["app"], "todo");
        assert_eq!(platform.drain(), DRAIN_ON_FLY);
    }

    #[test]
    fn any_other_machine() {
        let platform = Platform::of(|_| None);
        assert!(platform.labels().is_empty() && platform.to_json().is_null());
        assert_eq!(platform.drain(), DRAIN);
    }
}

//! The fields of a line that bound the use of its token.

use std::num::NonZeroU32;
use std::sync::Arc;

use ipnet::IpNet;
use serde::Deserialize;

use super::super::{Rate, TokenLimits};
use super::fields::{Field, Fields};
use super::line::Line;
use crate::network::unmapped;

impl<'a> Line<'a> {
    /// `rate`, `quota`, `concurrency` and `networks`
    pub(super) fn limits(&mut self, fields: &Fields<'a>) -> Option<Arc<TokenLimits>> {
        let limits = TokenLimits {
            rate: self.rate(fields, Field::Rate),
            quota: self.rate(fields, Field::Quota),
            concurrency: self.value::<NonZeroU32>(
                fields,
                Field::Concurrency,
                "a whole number above 0",
            ),
            networks: self.networks(fields),
        };
        (!limits.is_empty()).then(|| Arc::new(limits))
    }

    /// Such as `10/s`.
    fn rate(&mut self, fields: &Fields<'a>, field: Field) -> Option<Rate> {
        let raw = fields.get(field)?;
        let rate = Rate::parse(&self.text(raw, field)?);
        if rate.is_err() {
            let name = field.name();
            let most = Rate::MOST;
            self.fault(
                Some(raw),
                format!("`{name}` must be such as 10/s, 600/min, 1000/h or 1000/day, 1 to {most}"),
            );
        }
        rate.ok()
    }

    /// `networks`
    fn networks(&mut self, fields: &Fields<'a>) -> Vec<IpNet> {
        let Some(raw) = fields.get(Field::Networks) else {
            return Vec::new();
        };
        let Some(texts) = self.list(raw, Field::Networks) else {
            return Vec::new();
        };
        let most = TokenLimits::MOST_NETWORKS;
        if texts.len() > most {
            self.fault(
                Some(raw),
                format!("`networks` has more than {most} entries"),
            );
        }
        let read = |text: &String| text.parse().ok().map(unmapped);
        let networks: Option<Vec<IpNet>> = texts.iter().map(read).collect();
        if networks.is_none() {
            self.fault(
                Some(raw),
                "`networks` has an entry that is no network such as 10.0.0.0/8",
            );
        }
        networks.unwrap_or_default()
    }

    /// A value that JSON has a type for.
    pub(super) fn value<T: Deserialize<'a>>(
        &mut self,
        fields: &Fields<'a>,
        field: Field,
        what: &str,
    ) -> Option<T> {
        let raw = fields.get(field)?;
        let value = serde_json::from_str(raw.get()).ok();
        if value.is_none() {
            self.fault(Some(raw), format!("`{}` must be {what}", field.name()));
        }
        value
    }
}

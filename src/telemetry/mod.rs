//! What plugway tells about itself: one line for each request, and counters. Pure.
//!
//! - [`Record`] holds the facts of one request. It has no field for a raw path, a query, a
//!   credential or a body, so that none of them can reach a log.
//! - [`Labels`] gives small numbers to the names that configuration and documents bring;
//!   [`Counters`] counts under those numbers, one value per worker, without an atomic.
//! - [`encode`] writes the merged counters and what control knows ([`Gauges`]) as an
//!   `OpenMetrics` page.

mod counters;
mod escape;
mod exposition;
mod labels;
mod record;

pub use counters::Counters;
pub use exposition::{Gauges, MEDIA_TYPE, encode};
pub use labels::{Labels, ListenerId, PluginId, SeriesId, TokenId};
pub use record::{Caller, Named, Outcome, Record, Target};

//! What bounds the use of one token: how often, how much at once, from where.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use ipnet::IpNet;

use crate::network;

/// So many in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many; all of them may come at once.
    pub count: NonZeroU32,
    /// In which time: a second, a minute, an hour or a day.
    pub period: Duration,
}

/// The times that a rate can name, in seconds.
const PERIODS: [(&str, u64); 4] = [("s", 1), ("min", 60), ("h", 3600), ("day", 86_400)];

impl Rate {
    /// The most that a rate may name: it is kept in nanoseconds.
    pub const MOST: u32 = 1_000_000;

    /// Reads `10/s`, `600/min`, `1000/h` or `1000/day`.
    ///
    /// # Errors
    /// It is none, or out of bounds.
    pub fn parse(text: &str) -> Result<Self, RateError> {
        let (count, period) = text.split_once('/').ok_or(RateError::Form)?;
        let (count, period) = (count.trim_end(), period.trim_start());
        let known = PERIODS.iter().find(|(word, _)| *word == period);
        let (_, seconds) = known.ok_or(RateError::Form)?;
        if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RateError::Form);
        }
        match count.parse::<u32>().ok().and_then(NonZeroU32::new) {
            Some(count) if count.get() <= Self::MOST => Ok(Self {
                count,
                period: Duration::from_secs(*seconds),
            }),
            _ => Err(RateError::Bounds),
        }
    }
}

/// As it is written.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.period.as_secs();
        match PERIODS.iter().find(|(_, known)| *known == seconds) {
            Some((word, _)) => write!(f, "{}/{word}", self.count),
            None => write!(f, "{}/{seconds}s", self.count),
        }
    }
}

/// Why a text is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateError {
    /// It has not the form of one.
    Form,
    /// Zero, or more than [`Rate::MOST`].
    Bounds,
}

/// Reads a network in CIDR, or an address. `::ffff:10.0.0.0/104` is `10.0.0.0/8`, as which peers are
/// compared.
///
/// # Errors
/// It is none, or no sensible one.
pub fn parse_network(text: &str) -> Result<IpNet, NetworkError> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    match text.parse().or_else(|_| address()) {
        Ok(read) if network::is_half_mapped(read) => Err(NetworkError::Mapped),
        Ok(read) => Ok(network::unmapped(read)),
        Err(_) => Err(NetworkError::Form),
    }
}

/// Why a text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkError {
    /// It has not the form of one.
    Form,
    /// It has an IPv4 address in the form of IPv6, and no length that keeps it one.
    Mapped,
}

impl NetworkError {
    /// What is said of [`Self::Mapped`].
    pub const MAPPED: &str = "is an IPv4 address in the form of IPv6, of which it takes less than the \
                              96 bits that say so";
}

/// Bounds of one token, as its owners wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TokenLimits {
    /// Requests in a time, evenly; as many as it names may come at once.
    pub rate: Option<Rate>,
    /// Requests in each period of the clock (UTC).
    pub quota: Option<Rate>,
    /// Requests at the same time, streams included.
    pub concurrency: Option<NonZeroU32>,
    /// Where they may come from; empty: from anywhere.
    pub networks: Vec<IpNet>,
}

impl TokenLimits {
    /// Most networks of one token: each request is compared with them.
    pub const MOST_NETWORKS: usize = 100;

    /// Whether a request may come from this address.
    pub fn admit(&self, client: IpAddr) -> bool {
        self.networks.is_empty() || network::covers(&self.networks, client)
    }

    /// Whether nothing is bounded.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_written_alike() {
        for text in ["10/s", "600/min", "1000/h", "1000000/day"] {
            assert_eq!(Rate::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Rate::parse("10 / s").unwrap().to_string(), "10/s");
        for text in ["", "10", "/s", "10/", "10/w", "+1/s", "1.5/s", "-1/s"] {
            assert_eq!(Rate::parse(text), Err(RateError::Form), "{text}");
        }
        for text in ["0/s", "1000001/s", "99999999999/day"] {
            assert_eq!(Rate::parse(text), Err(RateError::Bounds), "{text}");
        }
    }
}

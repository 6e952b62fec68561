//! Networks: whom one client can pretend to be many of, and whose word is believed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

/// What is bounded for each of: an IPv4 /24 or an IPv6 /64, the least that one customer of a
/// provider commonly has to choose addresses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// The first three bytes.
    V4([u8; 3]),
    /// The first eight bytes.
    V6([u8; 8]),
}

impl Network {
    /// That of an address. An IPv4 address that is mapped into IPv6 is an IPv4 address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(address) => {
                let mut half = [0; 8];
                half.copy_from_slice(&address.octets()[..8]);
                Self::V6(half)
            }
        }
    }

    /// In one number, for a cell that is shared without a lock. [`Self::NOWHERE`] stands for the
    /// networks of IPv6 multicast (`ff00::/8`), which nobody sends from (RFC 4291 §2.7): their
    /// numbers are those of IPv4.
    pub fn to_bits(self) -> u64 {
        match self {
            Self::V4([a, b, c]) => u64::from_be_bytes([0xff, 0, 0, 0, 0, a, b, c]),
            Self::V6(half) if half[0] == 0xff => Self::NOWHERE,
            Self::V6(half) => u64::from_be_bytes(half),
        }
    }

    /// What a number of [`Self::to_bits`] stands for; `None`: no network.
    pub fn from_bits(bits: u64) -> Option<Self> {
        match bits.to_be_bytes() {
            [0xff, 0, 0, 0, 0, a, b, c] => Some(Self::V4([a, b, c])),
            [0xff, ..] => None,
            half => Some(Self::V6(half)),
        }
    }

    /// The number of no network.
    pub const NOWHERE: u64 = u64::MAX;
}

/// In CIDR: `192.0.2.0/24`, `2001:db8::/64`.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4([a, b, c]) => write!(f, "{}/24", Ipv4Addr::new(a, b, c, 0)),
            Self::V6(half) => {
                let bits = u128::from(u64::from_be_bytes(half)) << 64;
                write!(f, "{}/64", Ipv6Addr::from_bits(bits))
            }
        }
    }
}

/// The inverse of its `Display`; nothing else is one.
impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let read: IpNet = text.parse().map_err(|_| NoNetwork)?;
        let made = Self::of(read.addr());
        let length = match made {
            Self::V4(_) => 24,
            Self::V6(_) => 64,
        };
        let whole = read.prefix_len() == length && read.trunc() == read;
        whole.then_some(made).ok_or(NoNetwork)
    }
}

/// A text that is no [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a network such as 192.0.2.0/24 or 2001:db8::/64")]
pub struct NoNetwork;

/// Whether an address is in one of these networks.
pub fn covers(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// A network of IPv4 addresses that are written as IPv6 (`::ffff:10.0.0.0/104`) as the one of IPv4
/// that it is, since addresses are compared as what they are; any other as it is.
pub fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(written) = network else {
        return network;
    };
    let inner = written.addr().to_ipv4_mapped();
    let length = written.prefix_len().checked_sub(MAPPED);
    let found = inner.zip(length);
    let found = found.and_then(|(address, length)| IpNet::new(address.into(), length).ok());
    found.unwrap_or(network)
}

/// Whether a network begins with such an address and is none of IPv4: most likely its length is
/// that of another form.
pub fn is_half_mapped(network: IpNet) -> bool {
    match network {
        IpNet::V6(one) => one.addr().to_ipv4_mapped().is_some() && one.prefix_len() < MAPPED,
        IpNet::V4(_) => false,
    }
}

/// Bits that say of an IPv6 address that it is one of IPv4.
const MAPPED: u8 = 96;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_mapped_addresses_are_those_of_ipv4() {
        for (written, expected) in [
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.1.2.3/128", "10.1.2.3/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:10.0.0.0/95", "::ffff:10.0.0.0/95"),
            ("::/0", "::/0"),
            ("2001:db8::/104", "2001:db8::/104"),
            ("10.0.0.0/8", "10.0.0.0/8"),
        ] {
            let network = written.parse().unwrap();
            assert_eq!(unmapped(network), expected.parse::<IpNet>().unwrap());
            assert_eq!(is_half_mapped(network), written.ends_with("/95"));
        }
    }

    fn of(text: &str) -> Network {
        Network::of(text.parse().unwrap())
    }

    #[test]
    fn addresses_share_a_network() {
        assert_eq!(of("192.0.2.1"), of("192.0.2.255"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.9"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:0:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("0.0.0.0"), of("::"));
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        for (address, expected) in [
            ("192.0.2.77", "192.0.2.0/24"),
            ("0.0.0.0", "0.0.0.0/24"),
            ("255.255.255.255", "255.255.255.0/24"),
            ("2001:db8::1", "2001:db8::/64"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("::1", "::/64"),
        ] {
            let network = of(address);
            assert_eq!(network.to_string(), expected);
            assert_eq!(expected.parse(), Ok(network));
            assert_eq!(Network::from_bits(network.to_bits()), Some(network));
        }
        for text in [
            "",
            "192.0.2.0",
            "192.0.2.1/24",
            "192.0.2.0/25",
            "192.0.2.0/23",
            "2001:db8::1/64",
            "2001:db8::/63",
            "x/24",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
        }
        assert_eq!(Network::from_bits(of("ff02::1").to_bits()), None);
        assert_eq!(Network::from_bits(Network::NOWHERE), None);
    }

    #[test]
    fn mapped_addresses_are_covered_by_ipv4_networks() {
        let networks = ["10.0.0.0/8".parse().unwrap()];
        assert!(covers(&networks, "::ffff:10.1.2.3".parse().unwrap()));
        assert!(!covers(&networks, "11.1.2.3".parse().unwrap()));
        assert!(!covers(&[], "10.1.2.3".parse().unwrap()));
    }
}

//! Networks: whom one client can pretend to be many of, and whose word is believed.

use std::net::IpAddr;

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
}

/// Whether an address is in one of these networks.
pub fn covers(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn mapped_addresses_are_covered_by_ipv4_networks() {
        let networks = ["10.0.0.0/8".parse().unwrap()];
        assert!(covers(&networks, "::ffff:10.1.2.3".parse().unwrap()));
        assert!(!covers(&networks, "11.1.2.3".parse().unwrap()));
        assert!(!covers(&[], "10.1.2.3".parse().unwrap()));
    }
}

//! IP networks, as WSGITrustedProxies names them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::problem::{self, Problem};

/// An IP address or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its addresses, as IPv6: IPv4 is mapped.
    bits: u128,
    /// The bits that count.
    mask: u128,
}

impl Network {
    /// Whether an address belongs to the network. IPv4 addresses that came in
    /// over an IPv6 socket are IPv4 addresses.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        as_bits(address) & self.mask == self.bits
    }
}

/// `10.0.0.1`, `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `::1`, `fd00::/8`.
impl FromStr for Network {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let invalid =
            || Problem::new(problem::NETWORK, format!("'{text}' is not an IP address or network"));
        let (address, mask) = match text.split_once('/') {
            Some((address, mask)) => (address, Some(mask)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix: u32 = match mask {
            None => width,
            Some(mask) => match (mask.parse::<u32>(), mask.parse::<Ipv4Addr>()) {
                (Ok(prefix), _) if prefix <= width => prefix,
                (_, Ok(mask)) if address.is_ipv4() => {
                    let mask = mask.to_bits();
                    let prefix = mask.leading_ones();
                    (mask.count_ones() == prefix).then_some(prefix).ok_or_else(invalid)?
                }
                _ => return Err(invalid()),
            },
        };
        let mask = u128::MAX.checked_shl(width - prefix).unwrap_or(0);
        Ok(Self { bits: as_bits(address) & mask, mask })
    }
}

fn as_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
    .to_bits()
}

const _: () = assert!(Ipv6Addr::BITS == 128);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        for (network, address, inside) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.0/8", "10.9.8.7", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.1.2.3/255.0.0.0", "10.9.8.7", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("::1", "::1", true),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "1.2.3.4", true),
        ] {
            let network_: Network = network.parse().unwrap();
            assert_eq!(network_.contains(address.parse().unwrap()), inside, "{network} {address}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "x",
            "10.0.0.0/33",
            "10.0.0.0/255.0.255.0",
            "::/129",
            "::/255.0.0.0",
            "1.2.3",
            "10.0.0.0/",
        ] {
            assert_eq!(text.parse::<Network>().unwrap_err().code, problem::NETWORK, "{text}");
        }
    }
}

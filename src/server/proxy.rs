//! The PROXY protocol: a few bytes before all others, in which a proxy tells whose connection it
//! passes on (`proxy-protocol.txt` of `HAProxy`, versions 1 and 2).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{BufMut, Bytes};
use tokio::io::AsyncReadExt;

use super::linger::Socket;

/// Begins a header of version 1, a line.
const LINE: &[u8] = b"PROXY ";
/// The longest line, its end included.
const LONGEST_LINE: usize = 107;
/// Begins a header of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The part of such a header that says how long it is.
const FIXED: usize = 16;
/// The longest header of version 2 that is taken, bytes. Few have more than 300.
const LONGEST: usize = 4096;

/// The two ends of a connection: source and destination.
pub(super) type Ends = (SocketAddr, SocketAddr);

/// What came first on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Announced {
    /// No header: what came is the client's.
    Nothing,
    /// A header. `None`: the proxy speaks for itself, or for whom it can not name by an address.
    Ends(Option<Ends>),
    /// Something that begins as a header and is none, or is not whole; nothing in it is believed.
    Malformed(&'static str),
}

/// Reads a header off a connection. What came behind it, or instead of it, is given back to the
/// socket, whose next reader gets it.
pub(super) async fn receive(socket: &mut Socket) -> io::Result<Announced> {
    let mut buffer = Vec::with_capacity(512);
    loop {
        // Never full: of that many bytes each header is whole, or malformed.
        let room = LONGEST - buffer.len();
        let mut room = (&mut buffer).limit(room);
        let ended = socket.read_buf(&mut room).await? == 0;
        let announced = match parse(&buffer) {
            Parsed::Undecided | Parsed::Incomplete if !ended => continue,
            Parsed::Incomplete => return Ok(Announced::Malformed("it is cut short")),
            Parsed::Malformed(reason) => return Ok(Announced::Malformed(reason)),
            Parsed::Undecided | Parsed::Nothing => Announced::Nothing,
            Parsed::Header(length, ends) => {
                buffer.drain(..length);
                Announced::Ends(ends)
            }
        };
        socket.unread(Bytes::from(buffer));
        return Ok(announced);
    }
}

/// What some first bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parsed {
    /// They may become a header, or not.
    Undecided,
    /// They are the beginning of one.
    Incomplete,
    /// They can not be one.
    Nothing,
    /// They begin as one, and are none for this reason.
    Malformed(&'static str),
    /// They begin with a whole one, of this many bytes.
    Header(usize, Option<Ends>),
}

/// Looks at the first bytes of a connection.
fn parse(bytes: &[u8]) -> Parsed {
    if bytes.starts_with(SIGNATURE) {
        version_2(bytes)
    } else if bytes.starts_with(LINE) {
        version_1(bytes)
    } else if SIGNATURE.starts_with(bytes) || LINE.starts_with(bytes) {
        Parsed::Undecided
    } else {
        Parsed::Nothing
    }
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443`, and an end of line.
fn version_1(bytes: &[u8]) -> Parsed {
    let window = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < LONGEST_LINE {
            Parsed::Incomplete
        } else {
            Parsed::Malformed("its line has no end")
        };
    };
    let line = &bytes[LINE.len()..end];
    // The rest of such a line is not to be looked at.
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        return Parsed::Header(end + 2, None);
    }
    match std::str::from_utf8(line).ok().and_then(ends_of_line) {
        Some(ends) => Parsed::Header(end + 2, Some(ends)),
        None => Parsed::Malformed("its line says something else than two addresses"),
    }
}

/// What follows on `PROXY `: one space between the fields, and nothing else.
fn ends_of_line(line: &str) -> Option<Ends> {
    let mut fields = line.split(' ');
    let mut next = || fields.next();
    let address: fn(&str) -> Option<IpAddr> = match next()? {
        "TCP4" => |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => return None,
    };
    let (source, destination) = (address(next()?)?, address(next()?)?);
    let (from, to) = (port(next()?)?, port(next()?)?);
    let none_left = next().is_none();
    none_left.then(|| {
        (
            SocketAddr::new(source, from),
            SocketAddr::new(destination, to),
        )
    })
}

/// Decimal digits, without a sign or a zero that is not needed.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let shortest = text == "0" || !text.starts_with('0');
    (plain && shortest).then(|| text.parse().ok()).flatten()
}

/// Signature, version and command, family and transport, length; then so many bytes: addresses,
/// and fields that are not looked at.
fn version_2(bytes: &[u8]) -> Parsed {
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED) else {
        return Parsed::Incomplete;
    };
    let (command, family) = (fixed[12], fixed[13]);
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if FIXED + length > LONGEST {
        return Parsed::Malformed("it is too long");
    }
    let Some(block) = rest.get(..length) else {
        return Parsed::Incomplete;
    };
    let ends = match (command, family) {
        // LOCAL, whatever else it says; and PROXY for no family in particular.
        (0x20, _) | (0x21, 0x00) => Some(None),
        (0x21, 0x11) => ends_of_block::<4>(block).map(Some),
        (0x21, 0x21) => ends_of_block::<16>(block).map(Some),
        // A unix socket has no address of ours.
        (0x21, 0x31) => (block.len() >= 2 * 108).then_some(None),
        (0x21, _) => return Parsed::Malformed("it is not about a TCP connection"),
        _ => return Parsed::Malformed("its version or command is not known"),
    };
    match ends {
        Some(ends) => Parsed::Header(FIXED + length, ends),
        None => Parsed::Malformed("it is too short for its addresses"),
    }
}

/// Source and destination address, then their ports.
fn ends_of_block<const N: usize>(block: &[u8]) -> Option<Ends>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = block.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (from, rest) = rest.split_first_chunk()?;
    let (to, _) = rest.split_first_chunk()?;
    let end = |address: &[u8; N], port: &[u8; 2]| {
        SocketAddr::new(IpAddr::from(*address), u16::from_be_bytes(*port))
    };
    Some((end(source, from), end(destination, to)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ends(source: &str, destination: &str) -> Ends {
        (source.parse().unwrap(), destination.parse().unwrap())
    }

    fn second(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(block.len()).unwrap().to_be_bytes());
        bytes.extend(block);
        bytes
    }

    fn four() -> Vec<u8> {
        [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb].to_vec()
    }

    fn six() -> Vec<u8> {
        let mut block = Vec::new();
        for text in ["2001:db8::1", "2001:db8::2"] {
            block.extend(text.parse::<Ipv6Addr>().unwrap().octets());
        }
        block.extend([0xdc, 0x04, 0x01, 0xbb]);
        block
    }

    /// Every form, with what it means.
    fn whole() -> Vec<(Vec<u8>, Option<Ends>)> {
        let v4 = Some(ends("192.0.2.1:56324", "198.51.100.1:443"));
        let v6 = Some(ends("[2001:db8::1]:56324", "[2001:db8::2]:443"));
        let line = |text: &str| format!("PROXY {text}\r\n").into_bytes();
        let mut with_fields = four();
        with_fields.extend([0x20, 0, 1, 7, 0x04, 0, 0]);
        let longest = format!("UNKNOWN {}", "f".repeat(LONGEST_LINE - 16));
        let mut large = four();
        large.resize(LONGEST - FIXED, 0x04);
        vec![
            (line("TCP4 192.0.2.1 198.51.100.1 56324 443"), v4),
            (line("TCP6 2001:db8::1 2001:db8::2 56324 443"), v6),
            (
                line("TCP4 255.255.255.255 0.0.0.0 65535 0"),
                Some(ends("255.255.255.255:65535", "0.0.0.0:0")),
            ),
            (line("UNKNOWN"), None),
            (line("UNKNOWN 1 2 3 4 5 6"), None),
            (line(&longest), None),
            (second(0x21, 0x11, &four()), v4),
            (second(0x21, 0x11, &with_fields), v4),
            (second(0x21, 0x11, &large), v4),
            (second(0x21, 0x21, &six()), v6),
            (second(0x21, 0x00, &[]), None),
            (second(0x21, 0x00, &four()), None),
            (second(0x21, 0x31, &[b'x'; 216]), None),
            (second(0x20, 0x00, &[]), None),
            (second(0x20, 0x11, &four()), None),
            (second(0x20, 0xff, &[1, 2, 3]), None),
        ]
    }

    #[test]
    fn every_form_is_read_when_it_is_whole_and_not_before() {
        for (bytes, ends) in whole() {
            for cut in 0..bytes.len() {
                let parsed = parse(&bytes[..cut]);
                assert!(
                    matches!(parsed, Parsed::Undecided | Parsed::Incomplete),
                    "{cut} of {bytes:?}: {parsed:?}"
                );
            }
            for more in [&b""[..], b"\r\n", b"GET / HTTP/1.1\r\n", SIGNATURE] {
                let all = [&bytes[..], more].concat();
                assert_eq!(parse(&all), Parsed::Header(bytes.len(), ends), "{bytes:?}");
            }
        }
    }

    #[test]
    fn what_is_malformed_is_not_believed() {
        let line = |text: &str| format!("PROXY {text}\r\n").into_bytes();
        for text in [
            "",
            "TCP4",
            "unknown",
            "UNKNOWNS",
            "UDP4 192.0.2.1 198.51.100.1 1 2",
            "tcp4 192.0.2.1 198.51.100.1 1 2",
            "TCP4 192.0.2.1 198.51.100.1 1",
            "TCP4 192.0.2.1 198.51.100.1 1 2 3",
            "TCP4 192.0.2.1 198.51.100.1 1 2 ",
            "TCP4  192.0.2.1 198.51.100.1 1 2",
            " TCP4 192.0.2.1 198.51.100.1 1 2",
            "TCP4 192.0.2.01 198.51.100.1 1 2",
            "TCP4 192.0.2.256 198.51.100.1 1 2",
            "TCP4 2001:db8::1 2001:db8::2 1 2",
            "TCP6 192.0.2.1 198.51.100.1 1 2",
            "TCP6 2001:db8::1 198.51.100.1 1 2",
            "TCP6 fe80::1%eth0 2001:db8::1 1 2",
            "TCP6 [2001:db8::1] 2001:db8::2 1 2",
            "TCP4 192.0.2.1 198.51.100.1 01 2",
            "TCP4 192.0.2.1 198.51.100.1 +1 2",
            "TCP4 192.0.2.1 198.51.100.1 65536 2",
            "TCP4 192.0.2.1 198.51.100.1 1 ",
            "TCP4 192.0.2.1 198.51.100.1 1\t2",
            "TCP4 192.0.2.1 198.51.100.1 1 2\n",
            "TCP4 192.0.2.1 198.51.100.1 1 2\0",
        ] {
            let parsed = parse(&line(text));
            assert!(matches!(parsed, Parsed::Malformed(_)), "{text}: {parsed:?}");
        }
        let endless = [LINE, &[b'9'; LONGEST_LINE]].concat();
        assert!(matches!(parse(&endless), Parsed::Malformed(_)));
        let too_long = format!("UNKNOWN {}", "f".repeat(LONGEST_LINE - 15));
        assert!(matches!(parse(&line(&too_long)), Parsed::Malformed(_)));
        for (command, family, block) in [
            (0x11, 0x11, four()),              // version 1 in the form of 2
            (0x31, 0x11, four()),              // version 3
            (0x22, 0x11, four()),              // no command
            (0x21, 0x12, four()),              // UDP
            (0x21, 0x22, six()),               // UDP
            (0x21, 0x32, vec![b'x'; 216]),     // datagrams
            (0x21, 0x41, four()),              // no family
            (0x21, 0x01, four()),              // half of one
            (0x21, 0x11, four()[..11].into()), // too short
            (0x21, 0x21, six()[..35].into()),
            (0x21, 0x21, four()),
            (0x21, 0x31, vec![b'x'; 215]),
            (0x21, 0x11, Vec::new()),
            (0x21, 0x11, vec![1; LONGEST - FIXED + 1]),
            (0x20, 0x00, vec![1; LONGEST - FIXED + 1]),
        ] {
            let parsed = parse(&second(command, family, &block));
            let refused = matches!(parsed, Parsed::Malformed(_));
            assert!(refused, "{command:x} {family:x}: {parsed:?}");
        }
    }

    #[test]
    fn ordinary_bytes_are_the_clients() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PRI * HTTP/2.0\r\n\r\n",
            b"PROXY\r\n",
            b"proxy TCP4 ",
            b"PROXYTCP4 ",
            b"\x16\x03\x01\x02\x00",
            b"\r\nGET / HTTP/1.1",
            b"\r\n\r\n\0\r\nQUIT\r\n",
            b" PROXY TCP4 ",
        ] {
            assert_eq!(parse(bytes), Parsed::Nothing, "{bytes:?}");
        }
        assert_eq!(parse(b""), Parsed::Undecided);
    }

    proptest! {
        /// More bytes never take back what was decided, and enough of them decide.
        #[test]
        fn decisions_stand(
            start in prop_oneof![Just(LINE), Just(SIGNATURE), Just(&b""[..])],
            tail in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let bytes = [start, &tail].concat();
            let mut decided = None;
            for cut in 0..=bytes.len() {
                match (parse(&bytes[..cut]), decided) {
                    (Parsed::Undecided, before) => prop_assert_eq!(before, None),
                    (Parsed::Incomplete, before) => prop_assert_eq!(before, None),
                    (now, None) => decided = Some(now),
                    (now, Some(before)) => prop_assert_eq!(now, before),
                }
            }
            let padded = [&bytes[..], &[0; LONGEST]].concat();
            let parsed = parse(&padded[..LONGEST]);
            prop_assert!(!matches!(parsed, Parsed::Undecided | Parsed::Incomplete));
        }
    }
}

//! Messages as they are and as they should not be.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::harness::{ONE_BY_ONE, pieces};

/// How many cases are tried, unless the environment says so.
pub(crate) fn cases(usually: u32) -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = usually;
    }
    config
}

type Text = BoxedStrategy<Vec<u8>>;

/// One of these, the first mostly.
fn mostly(first: &'static str, others: &'static [&'static str]) -> Text {
    let others = select(others).prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![24 => Just(first.as_bytes().to_vec()), 1 => others].boxed()
}

/// One of these.
fn one_of(texts: &'static [&'static str]) -> Text {
    select(texts)
        .prop_map(|text| text.as_bytes().to_vec())
        .boxed()
}

fn joined(parts: Vec<Text>) -> Text {
    parts.prop_map(|parts| parts.concat()).boxed()
}

fn repeated(part: Text, most: usize) -> Text {
    vec(part, 0..=most).prop_map(|parts| parts.concat()).boxed()
}

fn end_of_line() -> Text {
    prop_oneof![
        60 => Just(b"\r\n".to_vec()),
        1 => one_of(&["\n", "\r", "\r\r\n", "\n\r\n", "\r\n ", ""]),
    ]
    .boxed()
}

fn status_line(codes: Text) -> Text {
    let version = prop_oneof![
        20 => Just(b"HTTP/1.1".to_vec()),
        6 => Just(b"HTTP/1.0".to_vec()),
        1 => one_of(&["HTTP/1.2", "http/1.1", "HTTP/2.0", "HTTP/0.9", "ICY", "\r\nHTTP/1.1"]),
    ];
    let reason = prop_oneof![
        20 => one_of(&[" OK", " OK", "", " ", "  ", " Not  Found", " tab\there", " \u{e9}"]),
        1 => one_of(&["OK", " a\0b", " \u{7f}"]),
    ];

    joined(vec![
        version.boxed(),
        mostly(" ", &["  ", "\t", ""]),
        codes,
        reason.boxed(),
        end_of_line(),
    ])
}

/// A line between whose parts there is odd space.
fn line(name: Text, value: Text) -> Text {
    joined(vec![
        name,
        mostly(":", &[" :", "::", "", "\t:"]),
        mostly(" ", &["", "\t", " \t ", "   "]),
        value,
        mostly("", &[" ", "\t", " \t", "\r", "\0"]),
        end_of_line(),
    ])
}

fn ordinary_field() -> Text {
    let name = prop_oneof![
        40 => one_of(&["X-A", "x-b", "Set-Cookie", "Server", "!#$%&'*+-.^_`|~9", "Upgrade", "TE"]),
        1 => one_of(&["X A", "", "\u{e9}"]),
    ];
    let value = prop_oneof![
        40 => "[ -~]{0,20}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..6),
        1 => Just(b"folded\r\n more".to_vec()),
    ];
    line(name.boxed(), value.boxed())
}

fn connection_field() -> Text {
    line(
        one_of(&["Connection", "connection", "CONNECTION", "Proxy-Connection"]),
        one_of(&[
            "close",
            "keep-alive",
            "Close",
            "KEEP-ALIVE",
            "keep-alive, close",
            "close,keep-alive",
            "x ,\tclose\t",
            "upgrade",
            "",
            ",",
            ",,close",
            "closed",
            "not close",
            "\"close\"",
            "close;q=1",
            "keep-alive, \u{e9}",
            "close, \u{e9}",
            "close\0",
        ]),
    )
}

/// Values of `Content-Length`.
const LENGTHS: &[&str] = &[
    "5, 5",
    "5,5",
    "05",
    "+5",
    "-5",
    "5 5",
    "5;",
    "",
    " ",
    "0x5",
    "5, 6",
    "0",
    "00",
    "18446744073709551615",
    "18446744073709551614",
    "18446744073709551613",
    "18446744073709551616",
    "99999999999999999999",
    "9223372036854775808",
    "\u{e9}",
];

/// Values of `Transfer-Encoding`.
const CODINGS: &[&str] = &[
    "chunked",
    "chunked",
    "chunked",
    "CHUNKED",
    "gzip, chunked",
    "chunked, chunked",
    "identity",
    "chunked;x",
    "\"chunked\"",
    "chunked,",
    "",
    "xchunked",
    "gzip",
    "chunked, identity",
];

/// What may stand between a size and the end of its line.
const BEHIND_SIZE: &[&str] = &[
    " ",
    "\t",
    " \t ",
    ";",
    ";a",
    ";a=b",
    " ; a = b",
    ";a=\"b\"",
    ";a\tb",
    ";a=\"\n\"",
    ";\r",
    ";\u{e9}\0",
    " x",
    "\r",
    "\n",
];

/// What says where the body ends, with one that may end there.
fn framed_body() -> Text {
    let data = prop_oneof![
        8 => vec(any::<u8>(), 0..40),
        1 => (0usize..40_000, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
    ];
    let exact = data.clone().prop_map(|data| {
        let head = format!("Content-Length: {}\r\n\r\n", data.len());
        [head.into_bytes(), data].concat()
    });
    let odd = one_of(LENGTHS);
    let odd = repeated(line(mostly("Content-Length", &["content-length"]), odd), 2);
    let coding = one_of(CODINGS);
    let coding = || {
        line(
            mostly("Transfer-Encoding", &["transfer-encoding"]),
            coding.clone(),
        )
    };
    prop_oneof![
        5 => exact,
        2 => joined(vec![odd.clone(), end_of_line(), data.clone().boxed()]),
        8 => chunked().prop_map(|body| [b"Transfer-Encoding: chunked\r\n\r\n".to_vec(), body].concat()),
        2 => joined(vec![repeated(coding(), 2), odd, end_of_line(), chunked()]),
        2 => joined(vec![end_of_line(), data.boxed()]),
    ]
    .boxed()
}

/// A chunked body.
fn chunked() -> Text {
    let size = |length: usize| {
        let plain = format!("{length:x}");
        let upper = format!("{length:X}");
        let zeros = format!("{length:04x}");
        let widest = format!("{length:016x}");
        let wider = format!("{length:017x}");
        prop_oneof![
            12 => Just(plain),
            2 => Just(upper),
            2 => Just(zeros),
            1 => Just(widest),
            1 => Just(wider),
            1 => select(&["", "g", "-1", "0x1", "ffffffffffffffff", "10000000000000000", " 1"][..])
                .prop_map(str::to_owned),
        ]
        .prop_map(String::into_bytes)
        .boxed()
    };
    let behind = || mostly("", BEHIND_SIZE);
    let chunk = vec(any::<u8>(), 1..20).prop_flat_map(move |data| {
        let parts = vec![
            size(data.len()),
            behind(),
            end_of_line(),
            Just(data).boxed(),
            end_of_line(),
        ];
        joined(parts)
    });
    joined(vec![
        repeated(chunk.boxed(), 4),
        mostly(
            "0",
            &["00", "0000000000000000", "00000000000000000", "", "-0", "x"],
        ),
        behind(),
        end_of_line(),
        prop_oneof![3 => Just(Vec::new()), 2 => repeated(ordinary_field(), 3)].boxed(),
        end_of_line(),
    ])
}

/// What follows on a response that nobody asked for.
fn surplus() -> Text {
    prop_oneof![
        12 => Just(Vec::new()),
        1 => one_of(&["\r\n", "\n", "0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"]),
        1 => vec(any::<u8>(), 1..10),
    ]
    .boxed()
}

fn response() -> Text {
    let interim = joined(vec![
        status_line(one_of(&["100", "102", "103", "199"])),
        repeated(ordinary_field(), 1),
        repeated(connection_field(), 1),
        prop_oneof![9 => Just(Vec::new()), 1 => Just(b"Content-Length: 3\r\n".to_vec())].boxed(),
        end_of_line(),
    ]);
    let code = prop_oneof![
        12 => Just(b"200".to_vec()),
        4 => one_of(&["204", "304"]),
        4 => one_of(&["101", "206", "205", "404", "500", "599", "999", "099", "000", "20", "2000"]),
    ];
    joined(vec![
        prop_oneof![5 => Just(Vec::new()), 1 => repeated(interim, 3)].boxed(),
        status_line(code.boxed()),
        repeated(ordinary_field(), 2),
        prop_oneof![2 => Just(Vec::new()), 1 => repeated(connection_field(), 2)].boxed(),
        prop_oneof![30 => Just(Vec::new()), 1 => many_fields()].boxed(),
        framed_body(),
        surplus(),
    ])
}

/// About as many lines as are let through.
fn many_fields() -> Text {
    (90usize..270)
        .prop_map(|count| "a: b\r\n".repeat(count).into_bytes())
        .boxed()
}

/// What can happen to bytes.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Delete(Index, usize),
    Duplicate(Index, usize),
    Truncate(Index),
    /// A line feed stands alone.
    Bare(Index),
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Flip(at, bits) => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Self::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Delete(at, length) => {
                let at = at.index(bytes.len());
                bytes.drain(at..bytes.len().min(at + length));
            }
            Self::Duplicate(at, length) => {
                let at = at.index(bytes.len());
                let twice = bytes[at..bytes.len().min(at + length)].to_vec();
                bytes.splice(at..at, twice);
            }
            Self::Truncate(at) => bytes.truncate(at.index(bytes.len())),
            Self::Bare(which) => {
                let ends = bytes.windows(2).enumerate();
                let ends: Vec<_> = ends.filter(|(_, pair)| *pair == b"\r\n").collect();
                if !ends.is_empty() {
                    let at = ends[which.index(ends.len())].0;
                    bytes.remove(at);
                }
            }
        }
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let insert = prop_oneof![
        3 => one_of(&[
            "\0", "\r", "\n", "\r\n", " ", "\t", ":", ";", ",", "0", "f", "\r\n ", "\r\n\t",
            "\r\n\r\n", "\u{e9}", "\r\nConnection: close", "\r\nContent-Length: 3",
            "\r\nTransfer-Encoding: chunked", "0\r\n\r\n",
        ]),
        1 => vec(any::<u8>(), 1..5),
    ];
    let at = any::<Index>;
    prop_oneof![
        3 => (at(), 1u8..).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        2 => (at(), 0u32..8).prop_map(|(at, bit)| Mutation::Flip(at, 1 << bit)),
        4 => (at(), insert).prop_map(|(at, more)| Mutation::Insert(at, more)),
        3 => (at(), 1usize..5).prop_map(|(at, length)| Mutation::Delete(at, length)),
        2 => (at(), 1usize..60).prop_map(|(at, length)| Mutation::Duplicate(at, length)),
        2 => at().prop_map(Mutation::Truncate),
        2 => at().prop_map(Mutation::Bare),
    ]
}

fn request() -> Text {
    let method = prop_oneof![
        12 => one_of(&["GET", "POST", "PUT", "HEAD", "DELETE"]),
        1 => one_of(&["get", "M-SEARCH", "CONNECT", "OPTIONS", "G(T", "", "\r\nGET", "\nPOST", "\u{e9}"]),
    ];
    let target = prop_oneof![
        12 => one_of(&["/", "/a?b=c", "/a%20b", "http://upstream/x", "//x"]),
        1 => one_of(&["*", "", "/a b", "/\u{e9}", "/a#b", "upstream:80", "/\x7f", "http://", "/\"<>{}|^`"]),
    ];
    let version = prop_oneof![
        20 => Just(b"HTTP/1.1".to_vec()),
        6 => Just(b"HTTP/1.0".to_vec()),
        1 => one_of(&["HTTP/1.2", "http/1.1", "HTTP/2.0", "HTTP/0.9", "", "HTTP/1.1 "]),
    ];
    let blank = || mostly(" ", &["  ", "\t", ""]);
    let expect = line(
        mostly("Expect", &["expect"]),
        one_of(&["100-continue", "100-Continue", "nothing", ""]),
    );
    joined(vec![
        method.boxed(),
        blank(),
        target.boxed(),
        blank(),
        version.boxed(),
        end_of_line(),
        repeated(ordinary_field(), 2),
        prop_oneof![2 => Just(Vec::new()), 1 => repeated(connection_field(), 2)].boxed(),
        prop_oneof![9 => Just(Vec::new()), 1 => expect].boxed(),
        prop_oneof![30 => Just(Vec::new()), 1 => many_fields()].boxed(),
        prop_oneof![2 => Just(b"\r\n".to_vec()), 3 => framed_body()].boxed(),
        surplus(),
    ])
}

fn mutated(bytes: Text) -> impl Strategy<Value = Vec<u8>> {
    let mutations = prop_oneof![2 => Just(Vec::new()), 3 => vec(mutation(), 1..4)];
    (bytes, mutations).prop_map(|(mut bytes, mutations)| {
        for mutation in mutations {
            mutation.apply(&mut bytes);
        }
        bytes
    })
}

/// All that an upstream sends on a connection.
pub(crate) fn responses() -> impl Strategy<Value = Vec<u8>> {
    mutated(response())
}

/// All that a client sends on a connection.
pub(crate) fn requests() -> impl Strategy<Value = Vec<u8>> {
    mutated(repeated(request(), 3))
}

/// How bytes are cut into pieces.
#[derive(Debug, Clone)]
pub(crate) enum Cuts {
    At(Vec<Index>),
    /// The first [`ONE_BY_ONE`] of them come one by one.
    Everywhere,
}

pub(crate) fn cuts() -> impl Strategy<Value = Cuts> {
    prop_oneof![
        4 => Just(Cuts::At(Vec::new())),
        5 => vec(any::<Index>(), 1..6).prop_map(Cuts::At),
        1 => Just(Cuts::Everywhere),
    ]
}

impl Cuts {
    pub(crate) fn pieces<'b>(&self, bytes: &'b [u8]) -> Vec<&'b [u8]> {
        pieces(
            bytes,
            match self {
                Self::At(cuts) => cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect(),
                Self::Everywhere => (0..bytes.len().min(ONE_BY_ONE)).collect(),
            },
        )
    }
}

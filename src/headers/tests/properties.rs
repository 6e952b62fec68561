//! What holds for any heads.

use http::header::{CONNECTION, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{
    Credential, Rewrite, Trust, check_request, clean_trailers, client_view, framing,
    parse_authority, rewrite_location, text_value,
};
use super::outbound::{policy, send, view};

/// Names that matter here, in every spelling, and others.
fn name() -> impl Strategy<Value = HeaderName> {
    let known = prop::sample::select(vec![
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
        "content-length",
        "host",
        "expect",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
        "x-http-method-override",
        "x-original-url",
        "remote-user",
        "x-ssl-client-cn",
        "cf-access-jwt-assertion",
        "x-plugway-principal",
        "x-plugway-token",
        "x-plugway-hops",
        "x-plugway-level",
        "x-plugway-plugin",
        "x-plugway-other",
        "x-request-id",
        "authorization",
        "x-api-key",
        "cookie",
        "accept",
        "content-type",
        "x-custom",
        "traceparent",
    ]);
    let spelt = (known, vec(any::<bool>(), 32)).prop_map(|(name, twist): (&str, Vec<bool>)| {
        let letters = name.chars().zip(twist);
        letters
            .map(|(letter, twist)| if letter == '-' && twist { '_' } else { letter })
            .collect()
    });
    let plain = "[a-z_.-]{1,80}".prop_map(String::from);
    prop_oneof![4 => spelt, 1 => plain].prop_map(|name: String| name.parse().unwrap())
}

/// Values, some of which are lists of names.
fn value() -> impl Strategy<Value = HeaderValue> {
    let list = vec(name(), 0..4).prop_map(|names| {
        names
            .iter()
            .map(HeaderName::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    });
    let any_bytes = vec(prop_oneof![0x20..=0x7E_u8, 0x80..=0xFF_u8], 0..12)
        .prop_map(|bytes| HeaderValue::from_bytes(&bytes).unwrap());
    let secret = Just(HeaderValue::from_static("SECRET"));
    prop_oneof![
        list.prop_map(|list| HeaderValue::try_from(list).unwrap()),
        any_bytes,
        secret,
        Just(HeaderValue::from_static("trailers")),
    ]
}

/// Heads.
fn heads() -> impl Strategy<Value = HeaderMap> {
    vec((name(), value()), 0..16).prop_map(|fields| {
        let mut head = HeaderMap::new();
        for (name, value) in fields {
            head.append(name, value);
        }
        head
    })
}

/// A name as a CGI server sees it.
fn folded(name: &HeaderName) -> String {
    name.as_str()
        .replace(|letter: char| !letter.is_ascii_alphanumeric(), "-")
}

/// What the gateway sets of itself, and what frames: the only names that `Connection` may have
/// named and that are there nevertheless.
const OURS: &[&str] = &[
    "connection",
    "forwarded",
    "host",
    "te",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-plugway-hops",
    "x-plugway-level",
    "x-plugway-plugin",
    "x-plugway-principal",
    "x-plugway-token",
    "x-request-id",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_of_the_client_s_stands_where_ours_stands(mut client in heads(), streamed: bool) {
        // Whatever the client says of its connection, ours is there, once, and as we set it.
        let none = policy("x-api-key", Credential::Nothing);
        let sent = send(&client, &none, &view(), streamed);
        let bare = send(&HeaderMap::new(), &none, &view(), streamed);
        for (name, value) in &bare {
            let all: Vec<_> = sent.get_all(name).iter().collect();
            prop_assert_eq!(all, vec![value]);
        }
        for name in sent.keys() {
            let folded = folded(name);
            let is_twin = OURS.contains(&folded.as_str()) && folded != name.as_str();
            prop_assert!(!is_twin, "{}", name);
            prop_assert!(!folded.starts_with("x-plugway-") || bare.contains_key(name));
            prop_assert!(!["authorization", "x-api-key", "proxy-authorization", "content-length",
                "transfer-encoding", "upgrade", "expect", "x-http-method-override",
                "remote-user", "x-ssl-client-cn", "cf-access-jwt-assertion"].contains(&folded.as_str()));
        }
        // What Connection names is gone.
        for line in client.get_all(CONNECTION) {
            for named in line.as_bytes().split(|byte| *byte == b',') {
                if let Ok(named) = HeaderName::from_bytes(named.trim_ascii()) {
                    prop_assert!(!sent.contains_key(&named) || OURS.contains(&named.as_str()), "{}", named);
                }
            }
        }
        // Sending what was sent changes nothing any more.
        let again = send(&sent, &none, &view(), streamed);
        prop_assert_eq!(&again, &sent);
        // The credential's value is nowhere unless a field that passes has it too.
        client = client.into_iter().filter_map(|(name, value)| Some((name?, value))).filter(|(name, _)| {
            ["authorization", "x-api-key", "proxy-authorization"].contains(&folded(name).as_str())
        }).collect();
        for value in send(&client, &none, &view(), streamed).values() {
            prop_assert!(value != "SECRET");
        }
    }

    #[test]
    fn passed_credentials_pass_once_per_line(client in heads()) {
        let sent = send(&client, &policy("x-api-key", Credential::Pass), &view(), false);
        for name in ["x-api-key", "authorization"] {
            let of = |head: &HeaderMap| head.get_all(name).iter().cloned().collect::<Vec<_>>();
            let named = client.get_all(CONNECTION).iter().any(|line| {
                line.as_bytes().split(|byte| *byte == b',').any(|one| one.trim_ascii() == name.as_bytes())
            });
            prop_assert_eq!(of(&sent), if named { Vec::new() } else { of(&client) });
        }
    }

    #[test]
    fn no_head_panics(
        head in heads(),
        peer: [u8; 4],
        target in "(https?://[a-z@:\\[\\]]{0,8})?/[a-z]{0,4}",
        location in "(https?:)?/{0,3}[a-z:@\\[\\].]{0,10}[/\\\\?#]{0,3}[a-z]{0,4}",
        text in any::<String>(),
    ) {
        let public = parse_authority("a").unwrap();
        let networks = ["0.0.0.0/1".parse().unwrap()];
        let trust = Trust { networks: &networks, fly: peer[1] > 127 };
        let _ = client_view(&head, peer.into(), true, public.clone(), trust, |_, _| true);
        if let Ok(uri) = target.parse::<Uri>() {
            for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
                let _ = check_request(&Method::GET, &uri, &head, version);
            }
        }
        let _ = framing(&head, Version::HTTP_11);
        let clean = clean_trailers(&head, None);
        prop_assert_eq!(clean_trailers(&clean, None), clean);
        let _ = text_value(&text);
        for text in [&location, &text] {
            for prefix in ["", "/v"] {
                let rewrite = Rewrite { upstream_https: false, upstream: &public, host_sent: text, prefix, public_https: true, public: &public };
                let ours = rewrite_location(text, &rewrite);
                // What we write leads to us, or is a path.
                if let Some(ours) = ours {
                    let is_path = ours.starts_with('/') && !ours[1..].starts_with(['/', '\\']);
                    prop_assert!(is_path || ours.starts_with("https://a/"), "{}", ours);
                }
            }
            if let Some(authority) = parse_authority(text) {
                let again = authority.to_string();
                prop_assert_eq!(parse_authority(&again), Some(authority));
            }
        }
    }
}

#[test]
fn a_head_that_is_full_leaves_room_for_ours() {
    let mut client = HeaderMap::new();
    for number in 0..24_000 {
        let name: HeaderName = format!("x-{number}").parse().unwrap();
        client.append(name, HeaderValue::from_static("1"));
    }
    let sent = send(
        &client,
        &policy("authorization", Credential::Nothing),
        &view(),
        false,
    );
    assert_eq!(sent["x-plugway-principal"], "alice");
    assert!(!sent.contains_key("host"), "that is the codec's");
}

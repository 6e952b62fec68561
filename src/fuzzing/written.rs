//! What a strict parser reads in the head of a request that is written upstream is the one request
//! that was understood.

use std::net::IpAddr;

use http::{HeaderName, Version, header};
use http_body::Body as _;
use percent_encoding::percent_decode_str;

use crate::headers::Credential;
use crate::outbound::Errand;
use crate::upstream::Outgoing;

/// Fields that the gateway says, each once at most.
const OURS: [&str; 14] = [
    "connection",
    "content-length",
    "forwarded",
    "host",
    "te",
    "transfer-encoding",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-plugway-hops",
    "x-plugway-plugin",
    "x-request-id",
    "trailer",
    "upgrade",
];

/// Fields of one connection (RFC 9110 §7.6.1) or of a proxy, of which none goes on whatever it says.
const NEVER: [&str; 9] = [
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "remote-user",
    "x-http-method-override",
    "x-webauth-user",
];

/// A head as a strict parser reads it.
struct Read<'b> {
    method: &'b str,
    target: &'b str,
    /// Names in lower case.
    fields: Vec<(String, &'b [u8])>,
}

/// What is wrong with a head that was written; see the module.
pub(super) fn sound(errand: &Errand<'_>, outgoing: &Outgoing, bytes: &[u8]) -> Result<(), String> {
    let read = read(bytes)?;
    if read.method != errand.head.method.as_str() {
        return Err(format!("the method became {}", read.method));
    }
    target(errand, &read)?;
    framing(outgoing, &read)?;
    connection(errand, &read)?;
    names(errand, &read)
}

/// Reads a head that is all of what was written.
fn read(bytes: &[u8]) -> Result<Read<'_>, String> {
    let mut fields = [httparse::EMPTY_HEADER; 512];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        other => return Err(format!("{other:?} of {} bytes", bytes.len())),
    }
    let (Some(method), Some(target), Some(1)) = (request.method, request.path, request.version)
    else {
        return Err("it is no request of HTTP/1.1".to_owned());
    };
    // A line of each field, one in front, one behind, and what split gives behind the last.
    let lines: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
    if lines.len() != request.headers.len() + 3 {
        return Err(format!("{} lines", lines.len()));
    }
    for line in &lines[..lines.len() - 1] {
        let Some(line) = line.strip_suffix(b"\r") else {
            return Err("a line feed stands alone".to_owned());
        };
        if line.contains(&b'\r') || line.contains(&0) {
            return Err("a carriage return or NUL in a line".to_owned());
        }
    }
    let fields = request.headers.iter();
    Ok(Read {
        method,
        target,
        fields: fields
            .map(|field| (field.name.to_ascii_lowercase(), field.value))
            .collect(),
    })
}

/// The path is the client's behind what is put in front of it: the same bytes, but for how a static
/// segment was spelt; and it is the same operation for who reads it once more.
fn target(errand: &Errand<'_>, read: &Read<'_>) -> Result<(), String> {
    let (path, query) = match read.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (read.target, None),
    };
    let asked = errand.head.uri.path();
    let decoded = |text: &str| -> Vec<Vec<u8>> {
        // A slash that is encoded separates nothing.
        let segments = text.split('/');
        segments
            .map(|one| percent_decode_str(one).collect())
            .collect()
    };
    let prefix = errand.operation.map_or(&errand.plugin.base_path, |index| {
        &errand.plugin.operations[index].prefix
    });
    let behind = path.strip_prefix(prefix.as_str());
    let Some(behind) = behind.filter(|behind| decoded(behind) == decoded(asked)) else {
        return Err(format!("the path {asked} became {path}"));
    };
    if errand.operation.is_none() && behind != asked {
        return Err(format!(
            "the path {asked}, of no operation, became {behind}"
        ));
    }
    let client = errand.head.uri.query();
    let found = errand
        .plugin
        .router
        .find(&errand.head.method, behind, client);
    let again = found
        .ok()
        .map(|found| (found.operation, found.upstream_path == behind));
    if again != errand.operation.map(|index| (index, true)) {
        return Err(format!("{behind} is another operation than {asked}"));
    }
    let adds = errand.plugin.credential.query.is_some();
    let is_same = query == client;
    // What is added stands in front, and what the client says of the credential goes.
    if !is_same
        && !adds
        && !query
            .unwrap_or_default()
            .ends_with(client.unwrap_or_default())
    {
        return Err(format!("the query {client:?} became {query:?}"));
    }
    if !is_same && !adds && errand.operation.is_none() {
        return Err(format!("the query {client:?} became {query:?}"));
    }
    if adds && !query.is_some_and(|query| query.ends_with("key=ours-0123456789")) {
        return Err(format!("no credential in {query:?}"));
    }
    Ok(())
}

impl Read<'_> {
    /// The values of a field.
    fn values(&self, name: &str) -> Vec<&[u8]> {
        let fields = self.fields.iter().filter(|(other, _)| other == name);
        fields.map(|(_, value)| *value).collect()
    }
}

/// One length, which is that of the body, and one host, which is the one that was settled.
fn framing(outgoing: &Outgoing, read: &Read<'_>) -> Result<(), String> {
    let exact = outgoing.request.body().size_hint().exact();
    let length = exact.map(|length| length.to_string().into_bytes());
    let coding = read.values("transfer-encoding");
    let fits = match (&read.values("content-length")[..], &length) {
        ([], None) => coding == [b"chunked"],
        ([], Some(length)) => coding.is_empty() && length == b"0",
        ([said], Some(length)) => coding.is_empty() && said == length,
        _ => false,
    };
    if !fits {
        return Err(format!("a body of {exact:?} bytes is framed otherwise"));
    }
    if read.values("host") != [outgoing.host.as_bytes().trim_ascii()] {
        return Err("another host".to_owned());
    }
    Ok(())
}

/// Nothing that belongs to the client's connection, nor what it names.
fn connection(errand: &Errand<'_>, read: &Read<'_>) -> Result<(), String> {
    let said: [Vec<&[u8]>; 3] = ["connection", "te", "upgrade"].map(|name| read.values(name));
    let fits = match (&said[0][..], &said[1][..], &said[2][..]) {
        ([], [], []) | ([b"te"], [b"trailers"], []) => errand.upgrade.is_none(),
        ([b"upgrade"], [], [protocol]) => {
            let is_asked = |asked: &http::HeaderValue| asked.as_bytes().trim_ascii() == *protocol;
            errand.head.version == Version::HTTP_11 && errand.upgrade.is_some_and(is_asked)
        }
        _ => false,
    };
    if !fits {
        return Err(format!("its connection says {said:?}"));
    }
    let lines = errand.head.headers.get_all(header::CONNECTION).iter();
    let named = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let named = named.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
    for name in named {
        let is_ours = OURS.contains(&name.as_str()) || name == "x-set";
        if !is_ours && !read.values(name.as_str()).is_empty() {
            return Err(format!("Connection names {name}, which goes on"));
        }
    }
    Ok(())
}

/// What the gateway says stands there once, and nothing that a server takes for it.
fn names(errand: &Errand<'_>, read: &Read<'_>) -> Result<(), String> {
    let plugin = errand.plugin;
    let passes = matches!(plugin.outbound.credential, Credential::Pass);
    for (name, value) in &read.fields {
        let folded = name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
        let is_ours = OURS.contains(&folded.as_str())
            || folded == "x-plugway"
            || folded.starts_with("x-plugway-");
        let of_credential =
            folded == "authorization" || folded == *plugin.outbound.auth_header.as_str();
        if is_ours && (!OURS.contains(&name.as_str()) || read.values(name).len() > 1) {
            return Err(format!("{name} is said, or not once"));
        }
        if NEVER.contains(&folded.as_str()) || (&*plugin.name == "other" && name == "x-removed") {
            return Err(format!("{name} goes on"));
        }
        if of_credential && !passes && *value != b"Bearer ours-0123456789" {
            return Err(format!("{name} of the client goes on"));
        }
        if name.contains('_') && &*plugin.name != "open" {
            return Err(format!("{name} has an underscore"));
        }
    }
    let addresses = read.values("x-forwarded-for");
    let addresses = addresses
        .first()
        .and_then(|value| std::str::from_utf8(value).ok());
    let last = addresses.and_then(|list| list.rsplit(", ").next()?.parse().ok());
    if last != Some::<IpAddr>(errand.client.peer) {
        return Err("X-Forwarded-For does not end with the peer".to_owned());
    }
    let says = |name: &str, value: &[u8]| read.values(name) == [value];
    if !says("x-plugway-plugin", plugin.outbound.plugin.as_bytes())
        || (&*plugin.name == "other" && !says("x-set", b"set"))
    {
        return Err("what is set is not there".to_owned());
    }
    Ok(())
}

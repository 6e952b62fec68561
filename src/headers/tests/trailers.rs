//! Trailers on their way upstream.

use http::HeaderName;

use super::super::{Credential, clean_trailers};
use super::outbound::{OURS, check, policy, send, view};
use super::{head, lines};

#[test]
fn trailers_are_announced() {
    let none = policy("x-api-key", Credential::Nothing);
    check(
        "TE: trailers, deflate;q=0.5",
        &none,
        "TE: trailers\nConnection: te",
    );
    check(
        "TE: deflate\nTE: Trailers\nConnection: te",
        &none,
        "TE: trailers\nConnection: te",
    );
    check("TE: trailers;q=0.5", &none, "");
    check("TE: nottrailers", &none, "");
    check(
        "Trailer: X-Checksum, Content-Length, Host, X-Api-Key, x_api_key
         Trailer: Authorization, X-Plugway-Principal, no name, Content-Digest, Grpc-Status",
        &none,
        "Trailer: x-checksum, content-digest, grpc-status",
    );
    check("Trailer: Content-Length", &none, "");
    let sized = send(&head("Trailer: X-Checksum"), &none, &view(), false);
    assert_eq!(lines(&sized), lines(&head(OURS)));
}

#[test]
fn trailers_are_cleaned() {
    let trailers = head(
        "X-Checksum: 1
         X-Checksum: 2
         Content-Digest: d
         Repr-Digest: d
         Grpc-Status: 0
         Content-Length: 5
         Content-Type: a/b
         Content-Encoding: gzip
         Transfer-Encoding: chunked
         Trailer: x
         Host: x
         TE: x
         Authorization: Bearer t
         X-Api-Key: k
         x_api_key: k
         Cookie: a
         Set-Cookie: a
         WWW-Authenticate: x
         Proxy-Authenticate: x
         Cache-Control: x
         If-Match: x
         Range: x
         Expires: x
         Date: x
         Age: 1
         Vary: x
         Location: /
         Connection: x
         Forwarded: x
         Keep-Alive: x
         Authentication-Info: x
         Proxy-Authentication-Info: x
         Proxy-Status: x
         Clear-Site-Data: x
         Max-Forwards: 1
         Pragma: x
         Retry-After: x
         Refresh: x
         Warning: x
         X-Forwarded-For: 1.2.3.4
         X-Plugway-Principal: root
         x_plugway_principal: root
         X-Request-Id: x
         X-HTTP-Method-Override: x
         Access-Control-Allow-Origin: *
         Fly-Replay: x
         Alt-Svc: x
         Strict-Transport-Security: x",
    );
    let credential = HeaderName::from_static("x-api-key");
    let clean = clean_trailers(&trailers, Some(&credential));
    let expected = "X-Checksum: 1
         X-Checksum: 2
         Content-Digest: d
         Repr-Digest: d
         Grpc-Status: 0";
    assert_eq!(lines(&clean), lines(&head(expected)));
}

//! Paths, media types, and the answers to GET, HEAD and conditional requests.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue, IF_NONE_MATCH};
use http::{Method, Response, StatusCode};

use super::*;

/// Prepared for two origins.
fn prepared() -> Documents {
    let (mut documents, _) = compiled(&bare());
    documents.prepare(&[TODO.to_owned(), "http://localhost:3333".to_owned()]);
    documents
}

/// An answer to a request with these `If-None-Match` lines.
fn ask(document: &Document, method: &Method, origin: &str, known: &[&str]) -> Response<Bytes> {
    let mut headers = HeaderMap::new();
    for line in known {
        headers.append(IF_NONE_MATCH, HeaderValue::from_str(line).unwrap());
    }
    document.respond(method, &headers, origin)
}

/// A header of an answer.
fn header(response: &Response<Bytes>, name: &str) -> String {
    let value = response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap());
    value.unwrap_or("-").to_owned()
}

#[test]
fn pages_and_pictures_that_can_hold_scripts_have_a_policy() {
    let legal = Some(Reference::File(file("legal.html", b"<p>")));
    for plugin in [bare(), Plugin { legal, ..plugin() }] {
        let (documents, _) = compiled(&plugin);
        for path in documents.paths() {
            let answer = ask(document(&documents, path), &Method::GET, TODO, &[]);
            let is_page = matches!(path, "/" | "/legal") || path.contains("logo.svg");
            let policy = header(&answer, "content-security-policy");
            let expected = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; \
                            base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
            assert_eq!(policy, if is_page { expected } else { "-" }, "{path}");
        }
    }
}

#[test]
fn every_answer_has_its_headers() {
    let documents = prepared();
    for path in GENERATED {
        for origin in [TODO, "https://todo.example.com:8443"] {
            let answer = ask(document(&documents, path), &Method::GET, origin, &[]);
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(header(&answer, "cache-control"), "no-cache", "{path}");
            assert_eq!(
                header(&answer, "access-control-allow-origin"),
                "*",
                "{path}"
            );
            assert_eq!(
                header(&answer, "x-content-type-options"),
                "nosniff",
                "{path}"
            );
            assert_eq!(
                header(&answer, "content-length"),
                answer.body().len().to_string()
            );
            assert_eq!(
                header(&answer, "content-type"),
                *document(&documents, path).media_type()
            );
            assert!(!answer.body().is_empty(), "{path}");
        }
    }
}

#[test]
fn head_is_get_without_a_body() {
    let documents = prepared();
    for path in GENERATED {
        for origin in [TODO, "https://todo.example.com:8443"] {
            let get = ask(document(&documents, path), &Method::GET, origin, &[]);
            let head = ask(document(&documents, path), &Method::HEAD, origin, &[]);
            assert_eq!(head.status(), StatusCode::OK);
            assert_eq!(head.headers(), get.headers(), "{path}");
            assert!(head.body().is_empty(), "{path}");
        }
    }
}

#[test]
fn what_the_client_has_is_not_sent_again() {
    let documents = prepared();
    for path in GENERATED {
        for origin in [TODO, "https://todo.example.com:8443"] {
            let document = document(&documents, path);
            let etag = header(&ask(document, &Method::GET, origin, &[]), "etag");
            let weak = format!("W/{etag}");
            let list = format!("\"x\", {etag}");
            let ways: [&[&str]; 5] = [&[&etag], &[&weak], &[&list], &["*"], &["\"x\"", &etag]];
            for known in ways {
                for method in [Method::GET, Method::HEAD] {
                    let answer = ask(document, &method, origin, known);
                    assert_eq!(
                        answer.status(),
                        StatusCode::NOT_MODIFIED,
                        "{path} {known:?}"
                    );
                    assert!(answer.body().is_empty());
                    assert_eq!(header(&answer, "etag"), etag);
                    assert_eq!(header(&answer, "access-control-allow-origin"), "*");
                    assert_eq!(header(&answer, "cache-control"), "no-cache");
                    assert_eq!(header(&answer, "content-length"), "-");
                }
            }
            let other: [&[&str]; 3] = [&["\"x\""], &[etag.trim_matches('"')], &[]];
            for known in other {
                let answer = ask(document, &Method::GET, origin, known);
                assert_eq!(answer.status(), StatusCode::OK, "{path} {known:?}");
            }
        }
    }
}

#[test]
fn an_entity_tag_belongs_to_bytes() {
    let documents = prepared();
    let (again, _) = compiled(&bare());
    let tag = |documents: &Documents, path: &str, origin: &str| {
        header(
            &ask(document(documents, path), &Method::GET, origin, &[]),
            "etag",
        )
    };
    for path in GENERATED {
        let mut seen = BTreeMap::new();
        for origin in [
            TODO,
            "http://localhost:3333",
            "https://todo.example.com:8443",
        ] {
            let etag = tag(&documents, path, origin);
            assert_eq!(etag, tag(&again, path, origin), "prepared or not: {path}");
            assert!(etag.starts_with('"') && etag.len() == 34, "strong: {etag}");
            let bytes = document(&documents, path).content(origin);
            let known = seen.entry(etag).or_insert_with(|| bytes.clone());
            assert_eq!(*known, bytes, "{path}");
        }
    }
    let mut changed = plugin();
    changed
        .auth
        .verification_tokens
        .insert("openai".to_owned(), "0123abc".to_owned());
    let (changed, _) = compiled(&changed);
    let (unchanged, _) = compiled(&plugin());
    assert_ne!(
        tag(&changed, MANIFEST, TODO),
        tag(&unchanged, MANIFEST, TODO)
    );
}

#[test]
fn every_url_is_on_the_origin_of_the_request() {
    let documents = prepared();
    for origin in [
        TODO,
        "http://localhost:3333",
        "https://[::1]:3443",
        "https://a.example:1",
    ] {
        for path in GENERATED {
            let content = document(&documents, path).content(origin);
            let answer = ask(document(&documents, path), &Method::GET, origin, &[]);
            assert_eq!(*answer.body(), content);
            let text = String::from_utf8_lossy(&content);
            assert!(!text.contains("plugway.invalid"), "{path}");
            if path.contains(".json") || path.ends_with("catalog") {
                serde_json::from_str::<Value>(&text).unwrap();
                assert!(text.contains(&format!("\"{origin}")), "{path} {origin}");
            }
        }
    }
}

#[test]
fn prepared_bytes_are_shared() {
    let documents = prepared();
    let document = document(&documents, "/openapi.json");
    let first = document.content(TODO);
    assert_eq!(first.as_ptr(), document.content(TODO).as_ptr());
    assert_eq!(
        first.as_ptr(),
        ask(document, &Method::GET, TODO, &[]).body().as_ptr()
    );
}

#[test]
fn what_is_no_origin_is_never_written() {
    let (unprepared, _) = compiled(&bare());
    let bad = "https://x\",\"a\":\"b";
    let prepared = prepared();
    assert_eq!(
        text(&prepared, MANIFEST, bad),
        text(&prepared, MANIFEST, TODO)
    );
    let answer = ask(document(&prepared, MANIFEST), &Method::GET, bad, &[]);
    assert_eq!(*answer.body(), text(&prepared, MANIFEST, TODO));
    let manifest = text(&unprepared, MANIFEST, bad);
    assert!(
        manifest.contains("\"url\": \"/openapi-3.0.json\""),
        "{manifest}"
    );
}

#[test]
fn preparing_again_forgets_the_first_time() {
    let mut documents = prepared();
    documents.prepare(&["https://new.example.com".to_owned()]);
    let fallback = text(&documents, "/openapi.yaml", "");
    assert_eq!(
        fallback,
        text(&documents, "/openapi.yaml", "https://new.example.com")
    );
}

#[test]
fn the_catalog_is_pointed_to() {
    let documents = prepared();
    for path in GENERATED {
        for method in [Method::GET, Method::HEAD] {
            let answer = ask(document(&documents, path), &method, TODO, &[]);
            let expected = match path {
                "/" | "/.well-known/api-catalog" => {
                    "</.well-known/api-catalog>; rel=\"api-catalog\""
                }
                _ => "-",
            };
            assert_eq!(header(&answer, "link"), expected, "{path}");
        }
    }
}

//! The documents of a plugin, made of its configuration and its API.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;

use bytes::Bytes;

use super::Operation;
use super::inputs::Inputs;
use crate::config;
use crate::documents::{self, Documents, OpenApiTexts};
use crate::openapi::{self, Api, InfoOverrides, PublishOptions};
use crate::problems::{Place, Problems};
use crate::tokens::{self, first_token};

/// Compiles them, with what is missing or too long.
pub(super) fn documents(
    inputs: &Inputs,
    api: Option<&Api>,
    manifest: Option<&openapi::Value>,
    problems: &mut Problems,
) -> Documents {
    let plugin = &inputs.plugin;
    let mut found = None;
    let texts = api
        .filter(|_| plugin.publish.openapi)
        .map(|api| texts(plugin, api).map(|text| without_tokens(text, &mut found)));
    let info = api.map(|api| info(&api.info, &mut found));
    let manifest = manifest.map(|manifest| told(manifest, &mut found));
    tell_of_token(found, plugin, problems);
    let (mut documents, found) = documents::compile(&documents::Material {
        plugin,
        info: info.as_ref(),
        upstream_manifest: manifest.as_deref(),
        openapi: texts.as_ref(),
        links_page: inputs.dev,
    });
    for problem in found {
        problems.push(problem);
    }
    documents.prepare(&origins(inputs));
    check_logo(plugin, problems);
    documents
}

/// Says that a document holds a token. A file is the operator's own to mend; what an API says in its
/// document does not stop its gateway.
fn tell_of_token(found: Option<String>, plugin: &config::Plugin, problems: &mut Problems) {
    let Some(id) = found else { return };
    let help = "take it out of the document, and rotate the token if it is a real one";
    if matches!(plugin.openapi.source, config::OpenApiSource::File(_)) {
        let message =
            format!("the document would be published, and holds the secret of token {id}");
        problems.add(&plugin.openapi.at, message).help(help);
    } else {
        let message = format!(
            "the document holds the secret of token {id}: what is published has `{id}…` in its place"
        );
        problems.warn(&plugin.openapi.at, message).help(help);
    }
}

/// A text without the secrets of tokens; `found` keeps the id of the first.
fn without_tokens(text: Bytes, found: &mut Option<String>) -> Bytes {
    let read = std::str::from_utf8(&text).unwrap_or_default();
    let Some(id) = first_token(read) else {
        return text;
    };
    found.get_or_insert_with(|| id.to_owned());
    tokens::without_tokens(read).into_owned().into()
}

/// What a manifest takes from the document, alike.
fn info(info: &openapi::Info, found: &mut Option<String>) -> openapi::Info {
    let mut safe = info.clone();
    // All of them: one that is new has to be named here.
    let openapi::Info {
        title,
        version,
        summary,
        description,
        contact_email,
        terms_of_service,
        logo_url,
    } = &mut safe;
    let all = [
        title,
        version,
        summary,
        description,
        contact_email,
        terms_of_service,
        logo_url,
    ];
    for text in all.into_iter().flatten() {
        if let Some(id) = first_token(text) {
            found.get_or_insert_with(|| id.to_owned());
            *text = tokens::without_tokens(text).into_owned();
        }
    }
    safe
}

/// The API's own manifest, alike.
fn told<'m>(manifest: &'m openapi::Value, found: &mut Option<String>) -> Cow<'m, openapi::Value> {
    let text = manifest.to_string();
    let Some(id) = first_token(&text) else {
        return Cow::Borrowed(manifest);
    };
    found.get_or_insert_with(|| id.to_owned());
    let safe = tokens::without_tokens(&text);
    let read = openapi::read(safe.as_bytes(), &openapi::ReadLimits::default());
    Cow::Owned(read.unwrap_or(openapi::Value::Null))
}

/// A logo that no client can show, most likely a page that was saved in place of the picture.
fn check_logo(plugin: &config::Plugin, problems: &mut Problems) {
    let Some(config::Reference::File(logo)) = &plugin.logo else {
        return;
    };
    if !is_image(&logo.bytes) {
        let at = Place {
            key: format!("plugins.{}.logo", plugin.name),
            ..plugin.at.clone()
        };
        let message = format!("the logo {} is no picture", logo.path.display());
        problems
            .warn(&at, message)
            .help("PNG, JPEG, GIF, WebP, SVG or ICO");
    }
}

/// By its first bytes (WHATWG MIME Sniffing §6.1); SVG by its root element.
fn is_image(bytes: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 5] = [
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"GIF87a",
        b"GIF89a",
        b"\0\0\x01\0",
    ];
    let is_webp = || bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    // A declaration, a comment and a document type may stand before the element.
    let is_svg = || {
        let head = &bytes[..bytes.len().min(4096)];
        let begins = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        begins.trim_ascii_start().starts_with(b"<") && head.windows(4).any(|tag| tag == b"<svg")
    };
    BEGINNINGS.iter().any(|begin| bytes.starts_with(begin)) || is_webp() || is_svg()
}

/// The published document in its four forms.
fn texts(plugin: &config::Plugin, api: &Api) -> OpenApiTexts {
    let options = PublishOptions {
        origin: documents::ORIGIN.to_owned(),
        security: documents::security_scheme(plugin),
        info: InfoOverrides {
            title: plugin.display_name.clone(),
            description: plugin.description.clone(),
        },
    };
    // One after the other, and in one piece each: a document is large as a value, and a text that
    // grows is there twice while it moves.
    let texts = |target| {
        let document = openapi::publish(api, target, &options);
        // Without blanks: people read the YAML, models and tools pay for each character.
        let mut json = String::with_capacity(document.json_bytes() + 1);
        let _ = writeln!(json, "{document}");
        let yaml = openapi::to_yaml(document);
        (Bytes::from(json), Bytes::from(yaml))
    };
    let (json_3_1, yaml_3_1) = texts(openapi::Target::V3_1_0);
    let (json_3_0, yaml_3_0) = texts(openapi::Target::V3_0_1);
    OpenApiTexts {
        json_3_1,
        yaml_3_1,
        json_3_0,
        yaml_3_0,
    }
}

/// The origins that are known beforehand, the canonical one first.
fn origins(inputs: &Inputs) -> Vec<String> {
    let plugin = &inputs.plugin;
    let mut origins: Vec<String> = plugin.public_url.iter().cloned().collect();
    let mut hosts = plugin.hosts.clone();
    if hosts.is_empty() && origins.is_empty() {
        hosts.extend(inputs.fly_app.as_ref().map(|app| format!("{app}.fly.dev")));
        hosts.push("localhost".to_owned());
    }
    for host in hosts {
        origins.push(format!("https://{host}"));
        let with_ports = |scheme: &str, ports: &[u16]| -> Vec<String> {
            ports
                .iter()
                .map(|port| format!("{scheme}://{host}:{port}"))
                .collect()
        };
        origins.extend(with_ports("https", &inputs.https));
        origins.extend(with_ports("http", &inputs.http));
    }
    let mut seen = HashSet::new();
    origins.retain(|origin| seen.insert(origin.clone()));
    origins
}

/// A published path that one of our documents covers can not be called.
pub(super) fn shadowed(
    plugin: &config::Plugin,
    documents: &Documents,
    operations: &[Operation],
    problems: &mut Problems,
) {
    for path in documents.paths().chain(["/healthz", "/readyz"]) {
        if let Some(operation) = operations
            .iter()
            .find(|operation| operation.meaning.path == path)
        {
            let at = Place {
                key: format!("plugins.{}.openapi", plugin.name),
                ..plugin.at.clone()
            };
            problems.warn(
                &at,
                format!(
                    "{path} is a document of the gateway: operation {} can not be called",
                    operation.meaning.id
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_image;

    #[test]
    fn pictures_by_their_first_bytes() {
        for picture in [
            &b"\x89PNG\r\n\x1a\nx"[..],
            b"\xff\xd8\xff\xe0",
            b"GIF89a",
            b"RIFF\0\0\0\0WEBP",
            b"\0\0\x01\0",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x -->\n<svg/>",
        ] {
            assert!(is_image(picture), "{picture:?}");
        }
        for other in [
            &b""[..],
            b"logo.png",
            b"<!doctype html><title>404</title>",
            b"RIFF\0\0\0\0WAVE",
        ] {
            assert!(!is_image(other), "{other:?}");
        }
    }
}

//! The documents of a plugin, made of its configuration and its API.

use std::collections::HashSet;
use std::fmt::Write as _;

use bytes::Bytes;

use super::Operation;
use super::inputs::Inputs;
use crate::config;
use crate::documents::{self, Documents, OpenApiTexts};
use crate::openapi::{self, Api, InfoOverrides, PublishOptions};
use crate::problems::{Place, Problems};

/// Compiles them, with what is missing or too long.
pub(super) fn documents(
    inputs: &Inputs,
    api: Option<&Api>,
    manifest: Option<&openapi::Value>,
    problems: &mut Problems,
) -> Documents {
    let plugin = &inputs.plugin;
    let texts = api
        .filter(|_| plugin.publish.openapi)
        .map(|api| texts(plugin, api));
    let (mut documents, found) = documents::compile(&documents::Material {
        plugin,
        info: api.map(|api| &api.info),
        upstream_manifest: manifest,
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

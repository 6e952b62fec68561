//! What a plugin's host serves besides operations: the manifest, the API's published document,
//! logo, legal page, catalog, files, and a page of links for `dev`.
//!
//! Pure. Everything is made when a snapshot is compiled; a request only finds a document and
//! gets it from memory. The one thing that a request brings is the origin, which every
//! generated URL begins with.

mod catalog;
mod document;
mod facts;
mod manifest;
mod media;
mod pages;
mod report;
mod security;
mod shelf;

use crate::openapi::Value;
use bytes::Bytes;

pub use document::{ALLOW, Document};
pub use security::security_scheme;
pub use shelf::{Documents, Found};

use crate::{config, openapi, problems};

/// Stands in texts where the public origin goes.
pub const ORIGIN: &str = "https://origin.plugway.invalid";

/// Where the manifest is.
pub const MANIFEST: &str = "/.well-known/ai-plugin.json";

/// What the documents of one plugin are made of.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// Its configuration.
    pub plugin: &'a config::Plugin,
    /// `info` of the API's document; `None`: it is not available yet.
    pub info: Option<&'a openapi::Info>,
    /// The upstream's own `ai-plugin.json`, if it has one. Not trusted.
    pub upstream_manifest: Option<&'a Value>,
    /// The published documents; `None`: not available yet.
    pub openapi: Option<&'a OpenApiTexts>,
    /// Whether `/` answers with a page of links (`dev`).
    pub links_page: bool,
}

/// The API's published document as texts, with [`ORIGIN`] where the origin goes.
#[derive(Debug, Clone)]
pub struct OpenApiTexts {
    /// 3.1.0, JSON.
    pub json_3_1: Bytes,
    /// 3.1.0, YAML.
    pub yaml_3_1: Bytes,
    /// 3.0.1, JSON.
    pub json_3_0: Bytes,
    /// 3.0.1, YAML.
    pub yaml_3_0: Bytes,
}

impl OpenApiTexts {
    /// The same with something done to each.
    #[must_use]
    pub fn map(self, mut change: impl FnMut(Bytes) -> Bytes) -> Self {
        Self {
            json_3_1: change(self.json_3_1),
            yaml_3_1: change(self.yaml_3_1),
            json_3_0: change(self.json_3_0),
            yaml_3_0: change(self.yaml_3_0),
        }
    }
}

/// Makes every document of a plugin, and says what is missing or too long.
///
/// Nothing is rendered for an origin yet: [`Documents::prepare`] does that.
pub fn compile(material: &Material<'_>) -> (Documents, Vec<problems::Problem>) {
    let plugin = material.plugin;
    let mut report = report::Report::new(plugin);
    let facts = facts::gather(material, &mut report);
    let mut documents = Documents::default();

    if plugin.publish.manifest {
        manifest::check(plugin, &mut report);
        let paths = [MANIFEST];
        if facts.complete {
            let text = pretty(&manifest::manifest(plugin, &facts));
            documents.add(paths, Document::template("application/json", &text));
        } else {
            documents.withhold(paths);
        }
    }
    if plugin.publish.openapi {
        add_openapi(&mut documents, material.openapi);
    }
    add_logo(&mut documents, &facts);
    add_legal(&mut documents, &facts);
    if plugin.publish.manifest || plugin.publish.openapi {
        let text = pretty(&catalog::catalog(plugin, &facts));
        let document = Document::template(catalog::MEDIA_TYPE, &text).naming_the_catalog();
        documents.add([catalog::PATH], document);
    }
    if material.links_page && !plugin.files.contains_key("/") {
        let page = pages::links(plugin, &facts);
        documents.add(
            ["/"],
            Document::template(media::HTML, &page)
                .page()
                .naming_the_catalog(),
        );
    }
    add_files(&mut documents, plugin, &mut report);
    (documents, report.into_problems())
}

/// The published document, in its four forms.
fn add_openapi(documents: &mut Documents, texts: Option<&OpenApiTexts>) {
    let places = [
        (
            ["/openapi.json", "/.well-known/openapi.json"],
            "application/json",
        ),
        (["/openapi.yaml", "/.well-known/openapi.yaml"], media::YAML),
        (
            ["/openapi-3.0.json", "/.well-known/openapi-3.0.json"],
            "application/json",
        ),
        (
            ["/openapi-3.0.yaml", "/.well-known/openapi-3.0.yaml"],
            media::YAML,
        ),
    ];
    match texts {
        None => places
            .into_iter()
            .for_each(|(paths, _)| documents.withhold(paths)),
        Some(texts) => {
            let texts = [
                &texts.json_3_1,
                &texts.yaml_3_1,
                &texts.json_3_0,
                &texts.yaml_3_0,
            ];
            for ((paths, media_type), text) in places.into_iter().zip(texts) {
                documents.add(paths, Document::large(media_type, text));
            }
        }
    }
}

/// The logo, if it is ours to serve.
fn add_logo(documents: &mut Documents, facts: &facts::Facts<'_>) {
    let Some(path) = facts.logo.path() else {
        return;
    };
    let document = match &facts.logo {
        facts::Logo::Url(_) => return,
        facts::Logo::BuiltIn => Document::fixed("image/png", pages::LOGO),
        // An SVG opened by itself is a page: it may run scripts on our origin.
        facts::Logo::File {
            file, media_type, ..
        } => {
            let document = Document::fixed(media_type, &file.bytes);
            if *media_type == media::SVG {
                document.page()
            } else {
                document
            }
        }
    };
    documents.add([path.as_str(), &format!("/.well-known{path}")], document);
}

/// The legal page, if it is ours to serve.
fn add_legal(documents: &mut Documents, facts: &facts::Facts<'_>) {
    let document = match &facts.legal {
        facts::Legal::Url(_) => return,
        facts::Legal::BuiltIn => Document::template(media::HTML, &pages::legal(facts)).page(),
        facts::Legal::File(file) => {
            let media_type = media::of_file(&[&file.path.to_string_lossy()], &file.bytes);
            Document::fixed(media_type, &file.bytes).page()
        }
    };
    documents.add(["/legal"], document);
}

/// What `files` names. It is what the operator wrote by hand, so it wins over what is generated.
fn add_files(documents: &mut Documents, plugin: &config::Plugin, report: &mut report::Report<'_>) {
    for (path, file) in &plugin.files {
        if matches!(path.as_str(), "/healthz" | "/readyz") {
            report.refuse(
                "files",
                format!("{path} is answered by the gateway itself"),
                None,
            );
        }
        if let Some(sent) = media::as_sent(path) {
            report.refuse(
                "files",
                format!("{path:?} can not be asked for: a path is compared as it is sent"),
                Some(format!("write {sent:?}")),
            );
        }
        if documents.find(path).is_some() {
            report.warn(
                "files",
                format!("{path} replaces the generated document"),
                None,
            );
        }
        let media_type = media::of_file(&[path, &file.path.to_string_lossy()], &file.bytes);
        documents.add([path], Document::fixed(media_type, &file.bytes));
    }
}

/// Indented JSON with a newline at its end: people read it too.
fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests;

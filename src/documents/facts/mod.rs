//! What the documents say about a plugin: each value from the first source that has it, which
//! are the configuration, the API's document, the upstream's own manifest, and what is built in.

use crate::openapi::Value;

use super::report::Report;
use super::{Material, ORIGIN, media};
use crate::config::{Plugin, Reference, ServedFile};
use crate::openapi::{Info, cut};

mod addresses;
mod texts;

/// The values.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    /// For humans.
    pub(super) name: String,
    /// For humans.
    pub(super) description: String,
    /// For the model.
    pub(super) instructions: String,
    /// An e-mail address.
    pub(super) contact: String,
    /// Legal page.
    pub(super) legal: Legal<'a>,
    /// Logo.
    pub(super) logo: Logo<'a>,
    /// False when something was left to the API's document and that is not available: what
    /// stands here is then a makeshift that must not be handed to an installer.
    pub(super) complete: bool,
}

/// Where the legal page is.
#[derive(Debug)]
pub(super) enum Legal<'a> {
    /// Elsewhere.
    Url(String),
    /// Ours to serve.
    File(&'a ServedFile),
    /// Ours, for want of another.
    BuiltIn,
}

impl Legal<'_> {
    /// For the manifest, with [`ORIGIN`] where the origin goes.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Url(url) => url.clone(),
            Self::File(_) | Self::BuiltIn => format!("{ORIGIN}/legal"),
        }
    }
}

/// Where the logo is.
#[derive(Debug)]
pub(super) enum Logo<'a> {
    /// Elsewhere.
    Url(String),
    /// Ours to serve.
    File {
        /// It.
        file: &'a ServedFile,
        /// Of its name, lower case.
        ending: String,
        /// By its ending.
        media_type: &'static str,
    },
    /// Ours, for want of another.
    BuiltIn,
}

impl Logo<'_> {
    /// Where we serve it, if we do.
    pub(super) fn path(&self) -> Option<String> {
        match self {
            Self::Url(_) => None,
            Self::File { ending, .. } => Some(format!("/logo.{ending}")),
            Self::BuiltIn => Some("/logo.png".to_owned()),
        }
    }

    /// For the manifest, with [`ORIGIN`] where the origin goes.
    pub(super) fn url(&self) -> String {
        match (self, self.path()) {
            (Self::Url(url), _) => url.clone(),
            (_, path) => format!("{ORIGIN}{}", path.unwrap_or_default()),
        }
    }
}

/// Finds every value, and reports what is missing, too long or cut.
pub(super) fn gather<'a>(material: &Material<'a>, report: &mut Report<'_>) -> Facts<'a> {
    let plugin = material.plugin;
    let no_info = Info::default();
    let mut sources = Sources {
        plugin,
        info: material.info.unwrap_or(&no_info),
        upstream: material.upstream_manifest,
        is_judged: material.info.is_some() && plugin.publish.manifest,
        report,
    };
    let name = sources.name();
    let description = sources.description(&name);
    let instructions = sources.instructions(&description);
    let contact = sources.contact();
    let legal = sources.legal();
    let logo = sources.logo();
    let is_written = [
        written(plugin.display_name.as_deref()).is_some(),
        written(plugin.description.as_deref()).is_some(),
        written(plugin.instructions.as_deref()).is_some(),
        written(plugin.contact.as_deref()).is_some(),
        plugin.legal.is_some(),
        plugin.logo.is_some(),
    ];
    let complete = material.info.is_some() || is_written == [true; 6];
    Facts {
        name,
        description,
        instructions,
        contact,
        legal,
        logo,
        complete,
    }
}

/// A text that the configuration does not hold, and where it stands.
type Found<'a> = (Option<&'a str>, &'static str);

/// Everything that a value can come from.
struct Sources<'s, 'a, 'r> {
    /// First.
    plugin: &'a Plugin,
    /// Second.
    info: &'s Info,
    /// Third.
    upstream: Option<&'a Value>,
    /// Whether what is missing or cut is a fault: there is a manifest to be poorer for it, and
    /// the API's document was there to look into.
    is_judged: bool,
    /// Where faults go.
    report: &'s mut Report<'r>,
}

impl<'a> Sources<'_, 'a, '_> {
    /// `contact_email`
    fn contact(&mut self) -> String {
        let upstream = self.of_upstream("contact_email").0;
        let found = [self.info.contact_email.as_deref(), upstream];
        let address = match written(self.plugin.contact.as_deref()) {
            Some(address) => Some(address),
            None => found
                .into_iter()
                .flatten()
                .map(str::trim)
                .find(|a| addresses::is_email(a)),
        };
        let host = self.public_host();
        let Some(address) = address else {
            let address = addresses::email_at("contact", host.as_deref().unwrap_or("localhost"));
            let message = format!("no contact is written or found, so the manifest says {address}");
            self.left_out(
                "contact",
                message,
                "an e-mail address",
                "info.contact.email",
            );
            return address;
        };
        let domain = address.rsplit('@').next().unwrap_or_default();
        self.check_domain(
            "contact",
            &format!("the contact {address}"),
            domain,
            host.as_deref(),
        );
        address.to_owned()
    }

    /// `legal_info_url`
    fn legal(&mut self) -> Legal<'a> {
        let upstream = self.of_upstream("legal_info_url").0;
        let url = match &self.plugin.legal {
            Some(Reference::File(file)) => return Legal::File(file),
            Some(Reference::Url(url)) => Some(url.clone()),
            None => {
                let found = [self.info.terms_of_service.as_deref(), upstream];
                self.found_url("legal", "legal page", "info.termsOfService", found)
            }
        };
        let Some(url) = url else {
            return Legal::BuiltIn;
        };
        if let Some(domain) = addresses::host_of(&url) {
            let host = self.public_host();
            self.check_domain(
                "legal",
                &format!("the legal page {url}"),
                &domain,
                host.as_deref(),
            );
        }
        Legal::Url(url)
    }

    /// `logo_url`
    fn logo(&mut self) -> Logo<'a> {
        let upstream = self.of_upstream("logo_url").0;
        match &self.plugin.logo {
            Some(Reference::File(file)) => self.logo_file(file),
            Some(Reference::Url(url)) => Logo::Url(url.clone()),
            None => {
                let found = [self.info.logo_url.as_deref(), upstream];
                let url = self.found_url("logo", "logo", "info.x-logo.url", found);
                url.map_or(Logo::BuiltIn, Logo::Url)
            }
        }
    }

    /// The first URL that everyone can reach, else a warning that something built in stands
    /// in for it.
    fn found_url(
        &mut self,
        field: &str,
        noun: &str,
        document_key: &str,
        found: [Option<&str>; 2],
    ) -> Option<String> {
        let candidates = || found.into_iter().flatten();
        let url = candidates().find_map(addresses::public_url);
        if url.is_none() {
            let reason = match candidates().next() {
                Some(text) => format!(
                    "{:?} is no URL that everyone can reach",
                    cut::at_word(text, 80)
                ),
                None => format!("no {noun} is written or found"),
            };
            let message = format!("{reason}, so a built-in {noun} is served");
            self.left_out(field, message, "a URL or a file", document_key);
        }
        url
    }

    /// A logo of the configuration: its ending says what it is.
    fn logo_file(&mut self, file: &'a ServedFile) -> Logo<'a> {
        let ending = media::ending(&file.path.to_string_lossy()).unwrap_or_default();
        let Some(media_type) = media::of_image(&ending) else {
            let message = format!("{} has no ending of a picture", file.path.display());
            let help = "use png, svg, jpg, jpeg, webp or ico".to_owned();
            self.report.refuse("logo", message, Some(help));
            return Logo::BuiltIn;
        };
        if ending == "gif" {
            let message = "a v1 manifest does not take a GIF for its logo".to_owned();
            self.report.warn(
                "logo",
                message,
                Some("use a PNG of 512 by 512 pixels".to_owned()),
            );
        }
        Logo::File {
            file,
            ending,
            media_type,
        }
    }

    /// Warns that nothing says a value, if that can be told.
    fn left_out(&mut self, field: &str, message: String, what: &str, document_key: &str) {
        if self.is_judged {
            let name = &self.plugin.name;
            let help = format!(
                "write {what} as `{field}` in [plugins.{name}], or as `{document_key}` in the OpenAPI document"
            );
            self.report.warn(field, message, Some(help));
        }
    }

    /// Warns of a domain that a v1 installer does not accept beside this host.
    fn check_domain(&mut self, field: &str, what: &str, domain: &str, host: Option<&str>) {
        let Some(host) = host else { return };
        if addresses::differ(domain, host) {
            let message = format!("{what} is not under the domain of {host}");
            let help = "some installers of v1 manifests want both under one domain".to_owned();
            self.report.warn(field, message, Some(help));
        }
    }

    /// The host that the public knows, if it is configured.
    fn public_host(&self) -> Option<String> {
        let url = self
            .plugin
            .public_url
            .as_deref()
            .and_then(addresses::host_of);
        url.or_else(|| self.plugin.hosts.first().cloned())
    }

    /// A text of the upstream's own manifest.
    fn of_upstream(&self, field: &str) -> Found<'a> {
        let text = self
            .upstream
            .and_then(|manifest| manifest.get(field)?.as_str());
        (text, "the upstream's own manifest")
    }
}

/// A text that says something.
fn written(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

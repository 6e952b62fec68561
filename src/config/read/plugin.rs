//! `[plugins.NAME]`: who it is, under which hosts, and what is served for it.

use std::collections::BTreeMap;

use super::{access, is_url, openapi, public, served_file, test, upstream};
use crate::config::expand::Text;
use crate::config::names;
use crate::config::section::{Reading, Section, understood};
use crate::config::values::{self, Fault};
use crate::config::{DocumentAccess, Plugin, Publish, Reference, ServedFile};
use crate::problems::Place;

/// The plugins of a file, in the order in which they were written.
pub(in crate::config) fn plugins(root: &Section<'_>, reading: &mut Reading<'_>) -> Vec<Plugin> {
    let mut plugins = Vec::new();
    for (name, at, section) in root.named("plugins", reading) {
        check_name(&name, &at, reading);
        plugins.push(plugin(name, at, &section, reading));
    }
    plugins
}

/// A name that the model can use, and that nobody else has.
fn check_name(name: &str, at: &Place, reading: &mut Reading<'_>) {
    let valid = (1..=50).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !valid {
        reading
            .problems
            .add(at, "a plugin's name has 1 to 50 letters, digits and `_`")
            .help("it is the name for the model; the name for humans is the key `name`");
    }
    if let Some(first) = reading.seen.plugins.get(name) {
        let message = format!("the plugin `{name}` is already defined at {first}");
        reading.problems.add(at, message);
    } else {
        reading.seen.plugins.insert(name.to_owned(), at.clone());
    }
}

/// One plugin.
fn plugin(name: String, at: Place, section: &Section<'_>, reading: &mut Reading<'_>) -> Plugin {
    let words = |key, reading: &mut Reading<'_>| {
        section.parsed(key, reading, |text| match text.trim() {
            "" => Err(Fault::with("is empty", "leave the key out for its default")),
            _ => Ok(text.to_owned()),
        })
    };
    let display_name = words("name", reading);
    let description = words("description", reading);
    let instructions = words("instructions", reading);
    let contact = section.parsed("contact", reading, values::email);
    let faults = reading.problems.len();
    let hosts = hosts(&name, section, reading);
    let public_url = public_url(&name, section, reading);
    if reading.problems.len() > faults {
        reading.seen.misnamed.insert(name.clone());
    }
    let plugin = Plugin {
        display_name,
        description,
        instructions,
        contact,
        legal: reference("legal", section, reading),
        logo: reference("logo", section, reading),
        hosts,
        public_url,
        publish: publish(section, reading),
        documents: match section.choice("documents", reading) {
            Some("token") => DocumentAccess::Token,
            _ => DocumentAccess::Public,
        },
        upstream: upstream::upstream(&section.table("upstream", reading), reading),
        openapi: openapi::openapi(&section.table("openapi", reading), &at, reading),
        operations: openapi::operations(section, reading),
        auth: access::auth(&section.table("auth", reading), reading),
        cors_origins: access::cors_origins(&section.table("cors", reading), reading),
        headers: access::headers(&section.table("headers", reading), reading),
        files: files(section, reading),
        tests: test::tests(section, reading),
        name,
        at,
    };
    public::no_tokens(&plugin, section, reading);
    plugin
}

/// `hosts`, each once.
fn hosts(plugin: &str, section: &Section<'_>, reading: &mut Reading<'_>) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for (host, at) in section.list("hosts", reading, values::host) {
        claim(&host, plugin, &at, reading);
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

/// A host leads to one plugin.
fn claim(host: &str, plugin: &str, at: &Place, reading: &mut Reading<'_>) {
    match reading.seen.hosts.get(host) {
        Some((other, first)) if other != plugin => {
            let message = format!("the host already leads to the plugin `{other}`, see {first}");
            reading
                .problems
                .add(at, message)
                .help("a host leads to one plugin");
        }
        Some(_) => {}
        None => {
            let claim = (plugin.to_owned(), at.clone());
            reading.seen.hosts.insert(host.to_owned(), claim);
        }
    }
}

/// `public_url`, whose host leads to the plugin too.
fn public_url(plugin: &str, section: &Section<'_>, reading: &mut Reading<'_>) -> Option<String> {
    let origin = section.parsed("public_url", reading, values::origin)?;
    let at = section.written("public_url")?;
    if let Some((scheme, authority)) = origin.split_once("://") {
        let port = authority.rfind(':').filter(|_| !authority.ends_with(']'));
        claim(
            &authority[..port.unwrap_or(authority.len())],
            plugin,
            &at,
            reading,
        );
        if scheme == "http" && !values::loopback(&origin) {
            reading
                .problems
                .warn(
                    &at,
                    "the public URL is not https: tokens can be read on the way",
                )
                .help("assistants want https; write the https address of the edge in front");
        }
    }
    Some(origin)
}

/// `publish`
fn publish(section: &Section<'_>, reading: &mut Reading<'_>) -> Publish {
    let choices = section.choices("publish", reading, |text| match text {
        "mcp" => Err(Fault::new("is not supported by this version yet")),
        _ => Ok(()),
    });
    Publish {
        manifest: choices.contains(&"manifest"),
        openapi: choices.contains(&"openapi"),
    }
}

/// `legal`, `logo`: a URL, or a file.
fn reference(key: &str, section: &Section<'_>, reading: &mut Reading<'_>) -> Option<Reference> {
    let text = section.text(key, reading)?;
    if is_url(&text.value) {
        return understood(&text, &mut reading.problems, values::web_url).map(Reference::Url);
    }
    served_file(&text, reading).map(Reference::File)
}

/// `files`
fn files(section: &Section<'_>, reading: &mut Reading<'_>) -> BTreeMap<String, ServedFile> {
    let mut files = BTreeMap::new();
    for (path, file) in section.map("files", reading) {
        let allowed = understood(&path, &mut reading.problems, names::served_path);
        let read = relative_file(&file, reading);
        if let (Some(()), Some(read)) = (allowed, read) {
            files.insert(path.value, read);
        }
    }
    files
}

/// A file that is served: a URL is none.
fn relative_file(file: &Text, reading: &mut Reading<'_>) -> Option<ServedFile> {
    if is_url(&file.value) {
        let message = format!("`{}` is a URL", file.shown);
        reading.problems.add(&file.at, message).help("write a file");
        return None;
    }
    served_file(file, reading)
}

//! Collects breaches.

use super::calls::{Call, Parameter, shown};
use super::{Breach, Profile, Severity};

/// Bytes of all breaches of a profile together. A hostile document could repeat a path of
/// megabytes in each of a hundred thousand.
const ROOM: usize = 32 << 20;

/// The breaches of one profile.
#[derive(Debug)]
pub(super) struct Report {
    /// Whose limits they break.
    profile: Profile,
    /// So far.
    breaches: Vec<Breach>,
    /// Bytes that they may still take.
    room: usize,
    /// How many found no room, errors and warnings.
    untold: [usize; 2],
}

/// Where a breach is.
#[derive(Debug, Clone, Copy)]
pub(super) enum At<'a> {
    /// A place in the document: its pointer without `#`.
    Document(&'a str),
    /// The manifest, or what stands at this pointer in it, without `#`.
    Manifest(&'a str),
    /// An operation, or what stands below it, such as `/summary`.
    Call(&'a Call<'a>, &'a str),
    /// A parameter of an operation, or what stands below it.
    Parameter(&'a Call<'a>, &'a Parameter<'a>, &'a str),
}

impl At<'_> {
    /// Path and pointer.
    fn pointer(&self, profile: Profile) -> String {
        let document = profile.document();
        match self {
            Self::Document(pointer) => format!("{document}#{pointer}"),
            Self::Manifest(pointer) => format!("/.well-known/ai-plugin.json#{pointer}"),
            Self::Call(call, below) => format!("{document}{}{below}", call.pointer()),
            Self::Parameter(call, parameter, below) => {
                let index = parameter.index;
                format!("{document}{}/parameters/{index}{below}", call.pointer())
            }
        }
    }

    /// For people.
    fn place(&self) -> String {
        match self {
            Self::Document("") => "the document".to_owned(),
            Self::Document(pointer) => format!("{} of the document", dotted(pointer)),
            Self::Manifest("") => "the manifest".to_owned(),
            Self::Manifest(pointer) => format!("{} of the manifest", dotted(pointer)),
            Self::Call(call, _) => call.place(),
            Self::Parameter(call, parameter, _) => {
                let (location, name) = (shown(parameter.location), shown(parameter.name));
                format!("{}, {location} parameter `{name}`", call.place())
            }
        }
    }
}

/// `/auth/type` as `auth.type`.
fn dotted(pointer: &str) -> String {
    let text = pointer.trim_start_matches('/').replace('/', ".");
    shown(&text.replace("~1", "/").replace("~0", "~"))
}

/// What is wrong, without its place.
#[derive(Debug)]
pub(super) struct Fault {
    /// Its name.
    pub(super) rule: &'static str,
    /// Whether the client can live with it.
    pub(super) severity: Severity,
    /// What is wrong and what comes of it.
    pub(super) message: String,
    /// What the client takes.
    pub(super) limit: String,
    /// What stands there; empty: nothing.
    pub(super) actual: String,
    /// How to mend it.
    pub(super) help: String,
}

impl Report {
    /// Without any.
    pub(super) fn new(profile: Profile) -> Self {
        Self {
            profile,
            breaches: Vec::new(),
            room: ROOM,
            untold: [0; 2],
        }
    }

    /// The client, in a sentence.
    pub(super) fn reader(&self) -> &'static str {
        self.profile.reader()
    }

    /// Adds one.
    pub(super) fn add(&mut self, at: &At<'_>, fault: Fault) {
        if self.room == 0 {
            self.untold[usize::from(fault.severity == Severity::Warning)] += 1;
            return;
        }
        let breach = Breach {
            profile: self.profile,
            pointer: at.pointer(self.profile),
            place: at.place(),
            rule: fault.rule,
            severity: fault.severity,
            message: fault.message,
            limit: fault.limit,
            actual: if fault.actual.is_empty() {
                "nothing".to_owned()
            } else {
                fault.actual
            },
            help: fault.help,
        };
        let texts = [
            &breach.pointer,
            &breach.place,
            &breach.message,
            &breach.limit,
            &breach.actual,
            &breach.help,
        ];
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        self.room = self.room.saturating_sub(bytes);
        self.breaches.push(breach);
    }

    /// All of them, and how many there are besides.
    pub(super) fn into_breaches(mut self) -> Vec<Breach> {
        self.room = usize::MAX;
        for (severity, count) in [Severity::Error, Severity::Warning]
            .into_iter()
            .zip(self.untold)
        {
            if count == 0 {
                continue;
            }
            let told = match count {
                1 => "is 1 more breach".to_owned(),
                count => format!("are {count} more breaches"),
            };
            let fault = Fault {
                rule: "more",
                severity,
                message: format!("there {told} of this kind than can be told"),
                limit: format!("{ROOM} bytes of breaches"),
                actual: format!("{count} more"),
                help: "mend those that are told, and check again".to_owned(),
            };
            self.add(&At::Document(""), fault);
        }
        self.breaches
    }
}

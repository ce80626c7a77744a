//! What the server says, kept for judges that are not ours: `cargo xtask test` has the validators of
//! `crates/conformance/validators` look at it (docs/validators.md).
//!
//! One document of each shape is kept, below the folder that `CRESSET_WIRE` names; without it nothing
//! is. Tests are processes of their own that run at the same time, so a file appears whole or not
//! at all.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;

use crate::version::Version;

const FOLDER: &str = "CRESSET_WIRE";

/// Larger documents are made by tests of bounds, and hold the same things many times over.
const DOCUMENT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Texts up to this length that look like a code belong to a shape.
const CODE_BYTES_MAX: usize = 32;

/// The resources that the server makes or changes itself; others are as a test wrote them.
const OWN_TYPES: [&str; 15] = [
    "Basic",
    "Bundle",
    "CapabilityStatement",
    "CodeSystem",
    "CompartmentDefinition",
    "ImplementationGuide",
    "OperationDefinition",
    "OperationOutcome",
    "Parameters",
    "SearchParameter",
    "StructureDefinition",
    "Subscription",
    "SubscriptionStatus",
    "SubscriptionTopic",
    "ValueSet",
];

/// Those that are restated from HL7's, hundreds of them: what they hold makes none a shape of its own.
const RESTATED: &str = "SearchParameter";

/// Whether this test's server takes what is no FHIR, and says it again.
static TAKES_ANYTHING: AtomicBool = AtomicBool::new(false);

/// Keeps nothing from now on: the server has been told not to refuse what is wrong.
pub(crate) fn keep_nothing() {
    TAKES_ANYTHING.store(true, Ordering::Relaxed);
}

/// Keeps what was sent as FHIR, of the version that its content type names, or else the URL of what
/// was asked.
pub(crate) fn keep_typed(content_type: &str, url: &str, body: &[u8]) {
    let path = url.split('?').next().unwrap_or_default();
    let is_of = |version: &Version| {
        content_type.contains(&format!("fhirVersion={}", version.mime()))
            || path.split('/').any(|part| part == version.path())
    };
    if let (true, Some(version)) =
        (content_type.starts_with("application/fhir+"), Version::ALL.into_iter().find(is_of))
    {
        keep(version, body);
    }
}

/// Keeps a resource of a version, in JSON or XML, if it is the first of its shape.
///
/// # Panics
/// If it is neither, or cannot be written.
pub(crate) fn keep(version: Version, body: &[u8]) {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let body = body.trim_ascii();
    let is_kept = !TAKES_ANYTHING.load(Ordering::Relaxed);
    if !is_kept || body.is_empty() || body.len() > DOCUMENT_BYTES_MAX {
        return;
    }
    let Some((kind, shape, ending)) = described(body) else { return };
    let folder = Path::new(&folder).join(version.path()).join(kind);
    let mut hasher = DefaultHasher::new();
    shape.hash(&mut hasher);
    let path = folder.join(format!("{:016x}.{ending}", hasher.finish()));
    if !path.exists() {
        fs::create_dir_all(&folder).expect("a folder for what the server says");
        write(&path, body);
    }
}

/// Its type, its shape and how its file's name ends.
fn described(body: &[u8]) -> Option<(String, String, &'static str)> {
    let text = std::str::from_utf8(body).expect("FHIR is UTF-8");
    let (kind, shape, ending) = if text.starts_with('<') {
        let shape = shape_of_xml(text);
        let kind = shape.split([' ', '(']).next().expect("an element").to_owned();
        (kind, shape, "xml")
    } else {
        // A ping of a classic subscription is words.
        if !text.starts_with('{') {
            return None;
        }
        let value: Value = serde_json::from_str(text).expect("FHIR is JSON or XML");
        let kind = value["resourceType"].as_str()?.to_owned();
        let shape = if kind == RESTATED { members_of(&value) } else { shape_of(&value) };
        (kind, shape, "json")
    };
    OWN_TYPES.contains(&kind.as_str()).then_some((kind, shape, ending))
}

/// What makes a document different from others: its members, how often they repeat is not told, and
/// what they hold is told of codes and of HL7's names only.
fn shape_of(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| format!("{name}:{}", shape_of(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::Array(values) => {
            let shapes: BTreeSet<String> = values.iter().map(shape_of).collect();
            format!("[{}]", shapes.into_iter().collect::<Vec<_>>().join(","))
        }
        Value::String(text) => shape_of_text(text),
        Value::Bool(_) => "true".to_owned(),
        Value::Number(_) => "0".to_owned(),
        Value::Null => "null".to_owned(),
    }
}

/// The names of its own members.
fn members_of(value: &Value) -> String {
    let members = value.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    members.collect::<Vec<_>>().join(",")
}

fn shape_of_text(text: &str) -> String {
    let is_code = text.len() <= CODE_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
    if is_code || text.starts_with("http://hl7.org/") {
        return text.to_owned();
    }
    let marks: BTreeSet<char> = text.chars().filter(|one| !one.is_alphanumeric()).collect();
    marks.into_iter().collect()
}

/// The same of XML: elements in their order, with their attributes. Neighbours of one shape are told once.
fn shape_of_xml(text: &str) -> String {
    // What is open, with what is in it so far; the document itself is the first.
    let mut open: Vec<(String, Vec<String>)> = vec![Default::default()];
    for rest in text.split('<').skip(1).filter(|rest| !rest.starts_with(['?', '!'])) {
        let tag = tag_of(rest);
        if !tag.starts_with('/') {
            open.push((head_of(tag), Vec::new()));
        }
        if tag.starts_with('/') || tag.ends_with('/') {
            let (head, content) = open.pop().expect("what ends has begun");
            let shape = format!("{head}({})", content.join(","));
            let (_, beside) = open.last_mut().expect("the server writes one element");
            if beside.last() != Some(&shape) {
                beside.push(shape);
            }
        }
    }
    open.into_iter().flat_map(|(_, content)| content).collect()
}

/// What is between the brackets of a tag.
fn tag_of(rest: &str) -> &str {
    let mut is_quoted = false;
    let end = rest.find(|c: char| {
        is_quoted ^= c == '"';
        c == '>' && !is_quoted
    });
    &rest[..end.expect("a tag ends")]
}

/// A name, and attributes with the shapes of their values.
fn head_of(tag: &str) -> String {
    let parts = tag.trim_end_matches('/').split('"').zip([false, true].into_iter().cycle());
    parts
        .map(|(part, is_value)| if is_value { shape_of_text(part) } else { part.to_owned() })
        .collect()
}

/// A file that others see whole or not at all.
fn write(path: &Path, body: &[u8]) {
    static WRITTEN: AtomicUsize = AtomicUsize::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let unfinished: PathBuf = path.with_extension(format!("{}-{number}", std::process::id()));
    fs::write(&unfinished, body).expect("what the server says written");
    fs::rename(&unfinished, path).expect("what the server says in its place");
}

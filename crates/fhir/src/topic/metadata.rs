//! What a topic says of itself to people: read and written again, never understood.

use cresset_model::{Issues, Opaque};
use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::source::{Source, is_named, list};
use crate::element::invalid;
use crate::json::{ArrayWriter, ObjectWriter};
use crate::urls;

/// The kind of JSON that stands for a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Json {
    Boolean,
    Object,
    Text,
}

/// One element, or one type of an element that has a choice.
struct Row {
    /// Its member.
    member: &'static str,
    /// The element, as cross-version extensions name it.
    element: &'static str,
    /// The member of an extension that holds it.
    value: &'static str,
    json: Json,
    /// Whether it may be repeated, and so is an array.
    repeats: bool,
    /// Whether R4B has it.
    in_r4b: bool,
}

const fn row(member: &'static str, value: &'static str, json: Json) -> Row {
    Row { member, element: member, value, json, repeats: false, in_r4b: true }
}

const fn list_of(member: &'static str, value: &'static str) -> Row {
    Row { repeats: true, ..row(member, value, Json::Object) }
}

const fn new_in_r5(row: Row) -> Row {
    Row { in_r4b: false, ..row }
}

const fn choice_of(element: &'static str, row: Row) -> Row {
    Row { element, in_r4b: false, ..row }
}

const ROWS: [Row; 15] = [
    list_of("identifier", "valueIdentifier"),
    choice_of("versionAlgorithm", row("versionAlgorithmString", "valueString", Json::Text)),
    choice_of("versionAlgorithm", row("versionAlgorithmCoding", "valueCoding", Json::Object)),
    new_in_r5(row("name", "valueString", Json::Text)),
    row("experimental", "valueBoolean", Json::Boolean),
    row("date", "valueDateTime", Json::Text),
    row("publisher", "valueString", Json::Text),
    list_of("contact", "valueContactDetail"),
    list_of("useContext", "valueUsageContext"),
    list_of("jurisdiction", "valueCodeableConcept"),
    row("purpose", "valueMarkdown", Json::Text),
    row("copyright", "valueMarkdown", Json::Text),
    new_in_r5(row("copyrightLabel", "valueString", Json::Text)),
    row("approvalDate", "valueDate", Json::Text),
    row("lastReviewDate", "valueDate", Json::Text),
];

impl Row {
    /// The value in an extension that stands for the element.
    fn value_in<'v>(&self, extension: &'v Map<String, Value>) -> Option<&'v Value> {
        let any = || extension.iter().find(|(name, _)| name.starts_with("value"));
        match extension.get(self.value) {
            None if self.element == self.member => any().map(|(_, value)| value),
            found => found,
        }
    }

    fn is_right(&self, value: &Value) -> bool {
        match self.json {
            Json::Boolean => value.is_boolean(),
            Json::Object => value.is_object(),
            Json::Text => value.as_str().is_some_and(|text| !text.is_empty()),
        }
    }
}

/// Reads all there is, in the order of [`ROWS`].
pub(super) fn parse_metadata(root: &Source<'_>, issues: &mut Issues) -> Vec<(SmolStr, Opaque)> {
    let mut metadata = Vec::new();
    for row in &ROWS {
        for (value, path) in values(root, row) {
            if row.is_right(value) {
                metadata.push((SmolStr::new_static(row.member), Opaque(value.to_string())));
            } else {
                issues.push(invalid("has not the type that FHIR gives it").at(path));
            }
        }
    }
    metadata
}

fn values<'a>(root: &Source<'a>, row: &Row) -> Vec<(&'a Value, String)> {
    let of_extensions = |extensions: &[(&'a Map<String, Value>, String)]| -> Vec<_> {
        let named = extensions.iter().filter(|(extension, _)| is_named(extension, row.element));
        named
            .filter_map(|(extension, path)| Some((row.value_in(extension)?, path.clone())))
            .collect()
    };
    match root {
        Source::Extensions { extensions, .. } => of_extensions(extensions),
        Source::Element(element) => {
            let found = root.values(row.member);
            if found.is_empty() && !row.in_r4b {
                of_extensions(&list(element.members, "extension", &element.path))
            } else {
                found
            }
        }
    }
}

/// Writes the members of a SubscriptionTopic; with `r4b` what R4B lacks is for
/// [`render_extensions`].
pub(super) fn render_members(o: &mut ObjectWriter<'_>, metadata: &[(SmolStr, Opaque)], r4b: bool) {
    for row in ROWS.iter().filter(|row| row.in_r4b || !r4b) {
        let mut values = of(metadata, row);
        if row.repeats {
            o.array(row.member, |a| values.for_each(|value| a.raw(value)));
        } else if let Some(value) = values.next() {
            o.raw(row.member, value);
        }
    }
}

/// Writes cross-version extensions; with `r4b` only for what R4B lacks.
pub(super) fn render_extensions(
    a: &mut ArrayWriter<'_>,
    metadata: &[(SmolStr, Opaque)],
    r4b: bool,
) {
    for row in ROWS.iter().filter(|row| !r4b || !row.in_r4b) {
        for value in of(metadata, row) {
            a.object(|o| {
                o.string("url", &format!("{}.{}", urls::CROSS_VERSION_TOPIC, row.element));
                o.raw(row.value, value);
            });
        }
    }
}

fn of<'m>(metadata: &'m [(SmolStr, Opaque)], row: &Row) -> impl Iterator<Item = &'m [u8]> {
    let member = row.member;
    metadata.iter().filter(move |(name, _)| name == member).map(|(_, value)| value.0.as_bytes())
}

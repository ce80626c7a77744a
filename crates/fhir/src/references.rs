//! References between the entries of a transaction, rewritten to the ids the server gave.
//!
//! FHIR's transaction rules: what equals the full URL of an entry is replaced in elements of type
//! Reference, uri, url, oid and uuid, and in links of the narrative; canonicals are not. Which
//! element is of which type is told by `definitions`, so an identifier that looks like a full URL
//! stays.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use cresset_definitions::Definitions;
use serde_json::Value;

use crate::json::{Edits, elements, object, parse, quoted, without_bom};

#[cfg(test)]
mod tests;

/// The full URLs of a transaction and what they became (`Patient/123`).
#[derive(Debug, Clone, Default)]
pub struct Targets(BTreeMap<String, String>);

impl Targets {
    /// No targets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one: the entry with this full URL is now this relative reference.
    pub fn insert(&mut self, full_url: &str, reference: String) {
        self.0.insert(full_url.to_owned(), reference);
    }

    /// What this reference became, if it is to an entry of the transaction.
    ///
    /// A relative reference is read against the base of the entry it stands in; a version or
    /// fragment behind it is kept.
    fn resolve(&self, reference: &str, source: Option<&str>) -> Option<String> {
        if let Some(target) = self.0.get(reference) {
            return Some(target.clone());
        }
        let end = reference.find('#').unwrap_or(reference.len());
        let (url, fragment) = reference.split_at(end);
        if !fragment.is_empty()
            && let Some(target) = self.0.get(url)
        {
            return Some(format!("{target}{fragment}"));
        }
        let base = restful_base(source?)?;
        let relative = url.split('/').count() == 2 && !url.contains(':');
        let target = relative.then(|| self.0.get(&format!("{base}/{url}"))).flatten()?;
        Some(format!("{target}{fragment}"))
    }
}

/// `http://host/base` of `http://host/base/Patient/1`.
fn restful_base(full_url: &str) -> Option<&str> {
    if !full_url.starts_with("http") {
        return None;
    }
    let (rest, _id) = full_url.rsplit_once('/')?;
    let (base, _type) = rest.rsplit_once('/')?;
    Some(base)
}

/// The resource's bytes with its references rewritten; all other bytes stay as they came.
/// None if there is nothing to rewrite.
///
/// `bytes` must have been accepted by `Codec::parse_resource`; `full_url` is the entry's own.
pub(crate) fn rewrite_references(
    definitions: &Definitions,
    bytes: &[u8],
    full_url: Option<&str>,
    targets: &Targets,
) -> Option<Vec<u8>> {
    let bytes = without_bom(bytes);
    let mut rewrite = Rewrite { definitions, bytes, full_url, targets, edits: Edits::default() };
    rewrite.value(0..bytes.len(), "Resource");
    let edits = rewrite.edits;
    (!edits.is_empty()).then(|| edits.apply(bytes))
}

/// The references that are searches: a type that the version defines, and criteria behind a `?`.
///
/// Recursion is bounded by the depth of the JSON, which the parser bounds.
pub(crate) fn conditional_references(
    definitions: &Definitions,
    resource: &Value,
) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect_conditional(definitions, resource, &mut found);
    found
}

fn collect_conditional(definitions: &Definitions, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => {
            items.iter().for_each(|item| collect_conditional(definitions, item, found));
        }
        Value::Object(members) => {
            for (name, member) in members {
                let reference = member.as_str().filter(|_| name == "reference");
                match reference.and_then(|text| text.split_once('?')) {
                    Some((type_name, _)) if definitions.is_resource(type_name) => {
                        found.extend(member.as_str().map(str::to_owned));
                    }
                    Some(_) | None => collect_conditional(definitions, member, found),
                }
            }
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}

struct Rewrite<'r> {
    definitions: &'r Definitions,
    bytes: &'r [u8],
    full_url: Option<&'r str>,
    targets: &'r Targets,
    edits: Edits,
}

impl Rewrite<'_> {
    /// Recursion is bounded by the depth of the JSON, which the parser bounds.
    fn value(&mut self, range: Range<usize>, type_name: &str) {
        let first = self.bytes[range.clone()].iter().find(|byte| !byte.is_ascii_whitespace());
        match first {
            Some(b'{') => self.object(range, type_name),
            Some(b'[') => {
                for element in elements(self.bytes, range).unwrap_or_default() {
                    self.value(element, type_name);
                }
            }
            Some(b'"') => self.string(range, type_name),
            _ => {}
        }
    }

    fn object(&mut self, range: Range<usize>, type_name: &str) {
        let Some(object) = object(self.bytes, range) else { return };
        let own = object.member(self.bytes, "resourceType");
        let own = own.and_then(|member| self.text(member.value.clone()));
        let type_name = own.as_deref().unwrap_or(type_name);
        let definition = self.definitions.type_named(type_name);
        for member in &object.members {
            let name = member.name_in(self.bytes);
            // A Bundle that is stored refers to its own entries by their full URLs.
            if type_name == "Bundle" && name == "entry" {
                continue;
            }
            let name = name.strip_prefix('_').unwrap_or(&name);
            let element = definition.and_then(|definition| definition.element_for_json(name));
            let element_type = match element {
                // A `string` by definition, the one string that is a link.
                Some(_) if type_name == "Reference" && name == "reference" => "uri",
                Some((_, element_type)) => element_type,
                None => "",
            };
            self.value(member.value.clone(), element_type);
        }
    }

    fn string(&mut self, range: Range<usize>, type_name: &str) {
        let replaced = match type_name {
            "uri" | "url" | "oid" | "uuid" => {
                self.text(range.clone()).and_then(|text| self.targets.resolve(&text, self.full_url))
            }
            "xhtml" => self.text(range.clone()).and_then(|text| self.narrative(&text)),
            _ => None,
        };
        if let Some(replaced) = replaced {
            self.edits.replace(range, quoted(&replaced));
        }
    }

    /// The narrative with the targets of its links replaced; none if none is.
    fn narrative(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = text;
        let mut changed = false;
        while let Some(link) = next_link(rest) {
            let target = self.targets.resolve(&rest[link.clone()], self.full_url);
            changed |= target.is_some();
            out.push_str(&rest[..link.start]);
            out.push_str(target.as_deref().unwrap_or(&rest[link.clone()]));
            rest = &rest[link.end..];
        }
        out.push_str(rest);
        changed.then_some(out)
    }

    fn text(&self, range: Range<usize>) -> Option<String> {
        parse(&self.bytes[range]).ok()?.as_str().map(str::to_owned)
    }
}

/// Where the next link stands: the value of `href` or `src`, in quotes of either kind.
fn next_link(text: &str) -> Option<Range<usize>> {
    let mut from = 0;
    while let Some(at) = text[from..].find('=') {
        let equals = from + at;
        from = equals + 1;
        let name = text[..equals].trim_end();
        let value = text[from..].trim_start();
        let is_link = name.ends_with("href") || name.ends_with("src");
        let Some(quote @ ('"' | '\'')) = value.chars().next().filter(|_| is_link) else { continue };
        let start = text.len() - value.len() + 1;
        let Some(length) = text[start..].find(quote) else { continue };
        return Some(start..start + length);
    }
    None
}

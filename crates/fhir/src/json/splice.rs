//! Changes to JSON bytes that leave every other byte as it came.

use std::ops::Range;

use cresset_model::{Issue, IssueCode, Issues, VersionId};
use jiff::Timestamp;

use super::writer::write_string;
use super::{Object, object, without_bom};
use crate::instant::instant;

/// What the server knows of a stored version, written into its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// The logical id.
    pub id: &'a str,
    /// `meta.versionId`.
    pub version: VersionId,
    /// `meta.lastUpdated`.
    pub last_updated: Timestamp,
}

/// Sets `id`, `meta.versionId` and `meta.lastUpdated`; every other byte stays as it came.
///
/// What is missing goes behind `resourceType` (and `id`). A byte order mark is dropped.
///
/// # Errors
/// `NotJson` if the bytes are no JSON object, `InvalidElement` if `meta` is there and no object:
/// neither happens after `Codec::parse_resource`.
pub fn stamp(bytes: &[u8], stamp: &Stamp<'_>) -> Result<Vec<u8>, Issues> {
    let bytes = without_bom(bytes);
    let resource = top_level(bytes)?;
    let version = quoted(&stamp.version.to_string());
    let last_updated = quoted(&instant(stamp.last_updated));
    let mut edits = Edits::default();
    let mut members: Vec<(&str, Vec<u8>)> = vec![("id", quoted(stamp.id))];
    match resource.member(bytes, "meta") {
        Some(member) => {
            let Some(meta) = object(bytes, member.value.clone()) else {
                let text = "meta must be an object";
                return Err(Issue::error(IssueCode::InvalidElement, text).at("meta").into());
            };
            let members = [("versionId", version), ("lastUpdated", last_updated)];
            edits.set(bytes, &meta, &["versionId"], &members);
        }
        None => {
            let mut meta = b"{\"versionId\":".to_vec();
            meta.extend_from_slice(&version);
            meta.extend_from_slice(b",\"lastUpdated\":");
            meta.extend_from_slice(&last_updated);
            meta.push(b'}');
            members.push(("meta", meta));
        }
    }
    edits.set(bytes, &resource, &["id", "resourceType"], &members);
    Ok(edits.apply(bytes))
}

/// Sets a top-level member to a JSON value: replaced where it is, else at the end.
///
/// # Errors
/// `NotJson` if the bytes are no JSON object. `value` is trusted to be JSON.
pub fn set_member(bytes: &[u8], name: &str, value: &[u8]) -> Result<Vec<u8>, Issues> {
    let top = top_level(bytes)?;
    let last = top.members.last().map(|member| member.name_in(bytes).into_owned());
    let mut edits = Edits::default();
    edits.set(bytes, &top, &[last.as_deref().unwrap_or("")], &[(name, value.to_vec())]);
    Ok(edits.apply(bytes))
}

/// Takes a top-level member out, with its comma. The same bytes if it is not there.
///
/// # Errors
/// `NotJson` if the bytes are no JSON object.
pub fn remove_member(bytes: &[u8], name: &str) -> Result<Vec<u8>, Issues> {
    let top = top_level(bytes)?;
    let mut edits = Edits::default();
    edits.remove(bytes, &top, name);
    Ok(edits.apply(bytes))
}

fn top_level(bytes: &[u8]) -> Result<Object, Issues> {
    object(bytes, 0..bytes.len())
        .ok_or_else(|| Issue::error(IssueCode::NotJson, "the body is no JSON object").into())
}

/// The text as a JSON string, with its quotes.
pub(crate) fn quoted(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    out
}

/// Changes to some bytes, collected and then made in one pass. They must not overlap.
#[derive(Debug, Default)]
pub(crate) struct Edits(Vec<(Range<usize>, Vec<u8>)>);

impl Edits {
    /// Puts `new` in place of the bytes of `range`.
    pub(crate) fn replace(&mut self, range: Range<usize>, new: Vec<u8>) {
        self.0.push((range, new));
    }

    /// Sets members of an object. Those not there go, in this order, behind the first of `after`
    /// that is there, or to the front.
    pub(crate) fn set(
        &mut self,
        bytes: &[u8],
        object: &Object,
        after: &[&str],
        members: &[(&str, Vec<u8>)],
    ) {
        let mut missing = Vec::new();
        for (name, value) in members {
            match object.member(bytes, name) {
                Some(member) => self.replace(member.value.clone(), value.clone()),
                None => {
                    if !missing.is_empty() {
                        missing.push(b',');
                    }
                    write_string(&mut missing, name);
                    missing.push(b':');
                    missing.extend_from_slice(value);
                }
            }
        }
        if missing.is_empty() {
            return;
        }
        let place = after.iter().find_map(|name| object.member(bytes, name));
        match (place, object.members.is_empty()) {
            (Some(member), _) => {
                missing.insert(0, b',');
                self.replace(member.value.end..member.value.end, missing);
            }
            (None, empty) => {
                if !empty {
                    missing.push(b',');
                }
                self.replace(object.open..object.open, missing);
            }
        }
    }

    /// Takes a member out of an object, with the comma that goes with it.
    pub(crate) fn remove(&mut self, bytes: &[u8], object: &Object, name: &str) {
        let members = &object.members;
        let Some(index) = members.iter().position(|member| member.name_in(bytes) == name) else {
            return;
        };
        let range = match (index.checked_sub(1), members.get(index + 1)) {
            (Some(previous), _) => members[previous].value.end..members[index].value.end,
            (None, Some(next)) => members[index].span().start..next.span().start,
            (None, None) => members[index].span(),
        };
        self.replace(range, Vec::new());
    }

    /// Whether there is nothing to change.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes with all changes made.
    pub(crate) fn apply(mut self, bytes: &[u8]) -> Vec<u8> {
        // Stable: two insertions at one place keep their order.
        self.0.sort_by_key(|(range, _)| (range.start, range.end));
        let added: usize = self.0.iter().map(|(_, new)| new.len()).sum();
        let mut out = Vec::with_capacity(bytes.len() + added);
        let mut at = 0;
        for (range, new) in &self.0 {
            out.extend_from_slice(&bytes[at..range.start]);
            out.extend_from_slice(new);
            at = range.end;
        }
        out.extend_from_slice(&bytes[at..]);
        out
    }
}

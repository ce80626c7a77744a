//! References: what `resolve()` asks its surroundings for, and what a reference says by itself.
//!
//! Tests: `resolve/tests.rs`.

#[cfg(test)]
mod tests;

use cresset_definitions::{Definitions, TypeKind};
use serde_json::Value;

/// What `resolve()` gets its resources from.
///
/// References to contained resources (`#id`) never reach it.
pub trait Resolver<'a> {
    /// The resource a reference names, given as it is written in the resource.
    fn resolve(&self, reference: &str) -> Resolution<'a>;
}

/// A resolver's answer.
#[derive(Clone, Copy)]
pub enum Resolution<'a> {
    /// The resource.
    Found(&'a Value),
    /// Not known yet: the evaluation ends with
    /// [`EvaluationError::Missing`](crate::EvaluationError::Missing).
    Missing,
    /// There is none: the result is empty.
    NotFound,
}

/// The resolver that knows nothing: every reference is missing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoResolver;

impl<'a> Resolver<'a> for NoResolver {
    fn resolve(&self, _reference: &str) -> Resolution<'a> {
        Resolution::Missing
    }
}

/// The resource type a RESTful reference names: relative or absolute, versioned or not, or conditional
/// (`Patient?identifier=…`).
///
/// `None` for `urn:uuid:…`, `#id`, canonicals and whatever else says no type.
pub(crate) fn literal_type(definitions: &Definitions, reference: &str) -> Option<&'static str> {
    // Most are relative; the rest is read with more care.
    if let Some((name, id)) = reference.split_once('/')
        && is_id(id)
        && let Some(found) = definitions.type_named(name)
        && found.kind == TypeKind::Resource
        && !found.is_abstract
    {
        return Some(found.name);
    }
    if reference.starts_with('#') {
        return None;
    }
    if let Some((name, _)) = reference.split_once('?') {
        return definitions
            .type_named(name)
            .filter(|one| definitions.is_resource(one.name))
            .map(|one| one.name);
    }
    let path = reference.split_once("/_history/").map_or(reference, |(path, _)| path);
    let mut segments = path.rsplit('/');
    let id = segments.next()?;
    let name = segments.next()?;
    if !is_id(id) || !definitions.is_resource(name) {
        return None;
    }
    definitions.type_named(name).map(|one| one.name)
}

/// Whether a reference is `Type/id` of this type.
pub(crate) fn is_relative_to(reference: &str, name: &str) -> bool {
    let rest = reference.strip_prefix(name).and_then(|rest| rest.strip_prefix('/'));
    rest.is_some_and(is_id)
}

fn is_id(text: &str) -> bool {
    // A look into a table costs half of what comparisons do, and this is asked of every reference.
    static OF_ID: [bool; 256] = {
        let mut of_id = [false; 256];
        let mut byte = 0_u8;
        while byte < 128 {
            of_id[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
            byte += 1;
        }
        of_id
    };
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| OF_ID[usize::from(byte)])
}

//! What references point at.

use serde_json::{Map, Value};

use super::shape::Shapes;

/// What is wrong with a Reference, if its literal or its `type` tells.
///
/// `targets` are the types that it may point at; empty or with `Resource` any.
pub(super) fn check(
    shapes: &Shapes,
    reference: &Map<String, Value>,
    targets: &[&str],
    container: Option<&Map<String, Value>>,
) -> Option<String> {
    let text = |name: &str| reference.get(name).and_then(Value::as_str);
    let is_allowed =
        |name: &str| targets.is_empty() || targets.contains(&"Resource") || targets.contains(&name);
    let refuse = |name: &str| Some(format!("must not refer to a {name}"));
    let named = text("type").map(|name| name.rsplit('/').next().unwrap_or(name));
    if let Some(name) = named.filter(|name| shapes.resource(name).is_some() && !is_allowed(name)) {
        return refuse(name);
    }
    let literal = text("reference")?;
    let target = match literal.strip_prefix('#') {
        // The container itself.
        Some("") => container?.get("resourceType")?.as_str()?,
        Some(id) => {
            let contained = container.and_then(|own| own.get("contained")?.as_array());
            let found = contained.into_iter().flatten().find(|one| one["id"] == id);
            match found {
                Some(found) => found["resourceType"].as_str()?,
                None => {
                    return Some(format!(
                        "refers to no contained resource: there is no `{}`",
                        crate::element::shortened(id)
                    ));
                }
            }
        }
        None => type_of(shapes, literal)?,
    };
    if !is_allowed(target) {
        return refuse(target);
    }
    match named {
        Some(named) if named != target && shapes.resource(named).is_some() => {
            Some(format!("has the type {named} and refers to a {target}"))
        }
        _ => None,
    }
}

/// The type that a literal reference names: `Patient` of `Patient/1` and `https://a.b/fhir/Patient/1`.
fn type_of<'l>(shapes: &Shapes, literal: &'l str) -> Option<&'l str> {
    let literal = literal.split(['?', '#']).next()?;
    let literal = literal.split_once("/_history/").map_or(literal, |(before, _)| before);
    let (before, _id) = literal.rsplit_once('/')?;
    let name = before.rsplit('/').next()?;
    shapes.resource(name).map(|_| name)
}

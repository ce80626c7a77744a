//! What is below what in a CodeSystem: its nested concepts, and the properties `parent`, `child` and
//! `subsumedBy` of its concepts.

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value;
use smallvec::SmallVec;

use super::SetReader;
use crate::ProblemKind;

type Parents<'v> = FxHashMap<&'v str, SmallVec<[&'v str; 1]>>;

/// Whether a resource's code is below the one asked for (or above it), at any distance; nothing is
/// below or above itself, or is if the code system does not have it.
pub(super) fn is_related(
    reader: &mut SetReader<'_, '_>,
    code_system: &Value,
    asked: &str,
    own: &str,
    below: bool,
) -> Result<bool, ProblemKind> {
    let text = |name: &str| code_system.get(name).and_then(Value::as_str);
    if text("content") != Some("complete") {
        return Err(ProblemKind::Unavailable("the CodeSystem here does not hold all its codes"));
    }
    if text("hierarchyMeaning").is_some_and(|meaning| meaning != "is-a") {
        let reason = "the hierarchy of the CodeSystem does not say which codes are special cases";
        return Err(ProblemKind::Unavailable(reason));
    }
    let parents = parents(reader, code_system)?;
    if !parents.contains_key(asked) {
        return Err(ProblemKind::Unavailable("the CodeSystem does not have the code asked for"));
    }
    let (low, high) = if below { (own, asked) } else { (asked, own) };
    let mut seen = FxHashSet::default();
    let mut open: Vec<&str> = parents.get(low).into_iter().flatten().copied().collect();
    while let Some(code) = open.pop() {
        reader.step()?;
        if code == high {
            return Ok(true);
        }
        if seen.insert(code) {
            open.extend(parents.get(code).into_iter().flatten());
        }
    }
    Ok(false)
}

/// The parents of every code.
fn parents<'v>(
    reader: &mut SetReader<'_, '_>,
    code_system: &'v Value,
) -> Result<Parents<'v>, ProblemKind> {
    let mut parents = Parents::default();
    let mut open = vec![(None, code_system)];
    while let Some((parent, node)) = open.pop() {
        for concept in list(node, "concept") {
            reader.step()?;
            let Some(code) = concept.get("code").and_then(Value::as_str) else { continue };
            parents.entry(code).or_default().extend(parent);
            for property in list(concept, "property") {
                reader.step()?;
                let value = property.get("valueCode").and_then(Value::as_str);
                match (property.get("code").and_then(Value::as_str), value) {
                    (Some("parent" | "subsumedBy"), Some(parent)) => {
                        parents.entry(code).or_default().push(parent);
                    }
                    (Some("child"), Some(child)) => {
                        parents.entry(child).or_default().push(code);
                    }
                    (_, _) => {}
                }
            }
            open.push((Some(code), concept));
        }
    }
    Ok(parents)
}

fn list<'v>(json: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    json.get(name).and_then(Value::as_array).into_iter().flatten()
}

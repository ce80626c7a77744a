//! Who is in a Group, List or CareTeam.

use serde_json::Value;

use super::SetReader;
use crate::ProblemKind;
use crate::reference::{Reference, Target};

/// Whether the resource lists what the reference names. Periods are not looked at; members that are
/// inactive and entries that are deleted are none. A reference by identifier, or to a contained
/// resource, may be to anybody: on either side it leaves doubt.
pub(super) fn contains(
    set: &Value,
    reference: &Reference<'_>,
    reader: &mut SetReader<'_, '_>,
) -> Result<bool, ProblemKind> {
    let text = |name: &str| set.get(name).and_then(Value::as_str);
    let (list, member, without) = match text("resourceType") {
        Some("CareTeam") => ("participant", "member", ""),
        Some("Group") => {
            let described = set.get("actual") == Some(&Value::Bool(false))
                || matches!(text("membership"), Some("conceptual" | "definitional"));
            if described {
                let reason = "the Group describes its members and does not list them";
                return Err(ProblemKind::Unavailable(reason));
            }
            ("member", "entity", "inactive")
        }
        Some("List") => ("entry", "item", "deleted"),
        Some(_) | None => {
            return Err(ProblemKind::Unavailable("what it names lists no members"));
        }
    };
    let mut doubt = !is_literal(reference.target);
    let entries = set.get(list).and_then(Value::as_array).into_iter().flatten();
    for entry in entries {
        reader.step()?;
        if entry.get(without) == Some(&Value::Bool(true)) {
            continue;
        }
        let Some(listed) = entry.get(member) else { continue };
        let listed = listed.get("reference").and_then(Value::as_str);
        let listed = listed.map_or(Target::Logical, |text| Target::parse(text, reader.base_url));
        if names_the_same(reference.target, listed) {
            return Ok(true);
        }
        doubt |= !is_literal(listed);
    }
    if doubt {
        reader.doubt("who is listed, or may be, is not told by a reference")
    } else {
        Ok(false)
    }
}

/// Whether a reference says by itself which resource it is to.
fn is_literal(target: Target<'_>) -> bool {
    match target {
        Target::Local { .. } | Target::Url { .. } => true,
        Target::Contained | Target::Logical => false,
    }
}

/// Whether two references name one resource, in whatever version.
fn names_the_same(one: Target<'_>, other: Target<'_>) -> bool {
    match (one, other) {
        (
            Target::Local { resource_type, id, .. },
            Target::Local { resource_type: other_type, id: other_id, .. },
        ) => resource_type == other_type && id == other_id,
        (Target::Url { url, .. }, Target::Url { url: other, .. }) => url == other,
        (
            Target::Contained | Target::Local { .. } | Target::Logical | Target::Url { .. },
            Target::Contained | Target::Local { .. } | Target::Logical | Target::Url { .. },
        ) => false,
    }
}

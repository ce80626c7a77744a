//! What is a part of what: locations in locations, encounters in encounters (`partOf`).

use rustc_hash::FxHashSet;
use serde_json::Value;
use smol_str::{SmolStr, format_smolstr};

use super::SetReader;
use crate::lookup::Answer;
use crate::reference::Target;
use crate::{Need, ProblemKind};

/// Whether one resource is another one, or a part of it at any distance; both are `Type/id`.
pub(super) fn is_within(
    reader: &mut SetReader<'_, '_>,
    part: SmolStr,
    whole: &str,
) -> Result<bool, ProblemKind> {
    let mut seen = FxHashSet::default();
    let mut open = vec![part];
    while let Some(reference) = open.pop() {
        reader.step()?;
        if reference == whole {
            return Ok(true);
        }
        if seen.insert(reference.clone()) {
            open.extend(wholes(reader, reference)?);
        }
    }
    Ok(false)
}

/// What a resource says that it is a part of.
fn wholes(reader: &SetReader<'_, '_>, reference: SmolStr) -> Result<Vec<SmolStr>, ProblemKind> {
    let need = Need::Resource(reference);
    let found = match reader.lookup.answer(&need) {
        Answer::Found(found) => found,
        Answer::Missing => return Err(ProblemKind::Missing(vec![need])),
        Answer::Unavailable(reason) => return Err(ProblemKind::Unavailable(reason)),
    };
    // What it is a part of cannot be told where it is not here.
    let resource = found.first().ok_or(ProblemKind::Unavailable(
        "a resource that is a part of another one, or may be, is not on this server",
    ))?;
    let references = match resource.resource().get("partOf") {
        Some(Value::Array(many)) => many.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let local = |one: &Value| {
        let text = one.get("reference").and_then(Value::as_str)?;
        match Target::parse(text, reader.base_url) {
            Target::Local { resource_type, id, .. } => {
                Some(format_smolstr!("{resource_type}/{id}"))
            }
            Target::Contained | Target::Logical | Target::Url { .. } => None,
        }
    };
    Ok(references.iter().filter_map(local).collect())
}

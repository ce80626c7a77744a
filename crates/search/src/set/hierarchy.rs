//! What is below what in a CodeSystem: its nested concepts, and the properties `parent`, `child` and
//! `subsumedBy` of its concepts.

use std::cell::RefCell;
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value;
use smallvec::SmallVec;

use super::SetReader;
use crate::{ProblemKind, STEPS_MAX};

type Parents<'v> = FxHashMap<&'v str, SmallVec<[&'v str; 1]>>;
type Read<'v> = Result<Rc<Hierarchy<'v>>, ProblemKind>;

/// What is directly above each code of a code system.
pub(crate) struct Hierarchy<'v> {
    parents: Parents<'v>,
}

/// The hierarchies of the code systems that were asked about, each read once.
///
/// By the address of their resources, which are borrowed for as long as this lives.
#[derive(Default)]
pub(crate) struct Hierarchies<'v>(RefCell<FxHashMap<*const Value, Read<'v>>>);

impl<'v> Hierarchies<'v> {
    /// The hierarchy of a code system, read when it is first asked for.
    fn of(&self, code_system: &'v Value) -> Read<'v> {
        let mut known = self.0.borrow_mut();
        let read = || Hierarchy::read(code_system).map(Rc::new);
        known.entry(std::ptr::from_ref(code_system)).or_insert_with(read).clone()
    }

    /// How many were read.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

/// Whether a resource's code is below the one asked for (or above it), at any distance; nothing is
/// below or above itself, or is if the code system does not have it.
pub(super) fn is_related<'v>(
    reader: &mut SetReader<'_, 'v>,
    code_system: &'v Value,
    asked: &str,
    own: &str,
    below: bool,
) -> Result<bool, ProblemKind> {
    let hierarchy = reader.lookup.hierarchies().of(code_system)?;
    let parents = &hierarchy.parents;
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

impl<'v> Hierarchy<'v> {
    /// Reads a code system, with a budget of steps of its own (I10): it is read for all who ask.
    fn read(code_system: &'v Value) -> Result<Self, ProblemKind> {
        let text = |name: &str| code_system.get(name).and_then(Value::as_str);
        if text("content") != Some("complete") {
            return Err(ProblemKind::Unavailable(
                "the CodeSystem here does not hold all its codes",
            ));
        }
        if text("hierarchyMeaning").is_some_and(|meaning| meaning != "is-a") {
            let reason =
                "the hierarchy of the CodeSystem does not say which codes are special cases";
            return Err(ProblemKind::Unavailable(reason));
        }
        Ok(Self { parents: parents(code_system)? })
    }
}

/// The parents of every code.
fn parents(code_system: &Value) -> Result<Parents<'_>, ProblemKind> {
    let mut steps_left = STEPS_MAX;
    let mut step = || {
        steps_left = steps_left.checked_sub(1).ok_or(ProblemKind::StepLimit)?;
        Ok(())
    };
    let mut parents = Parents::default();
    let mut open = vec![(None, code_system)];
    while let Some((parent, node)) = open.pop() {
        for concept in list(node, "concept") {
            step()?;
            let Some(code) = concept.get("code").and_then(Value::as_str) else { continue };
            parents.entry(code).or_default().extend(parent);
            for property in list(concept, "property") {
                step()?;
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

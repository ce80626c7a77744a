//! References to contained resources (`#id`): they mean the resource that they are written in, which
//! need not be the focus. Tests: `expression/tests/references.rs`.

use serde_json::Value;

use super::{Budget, Evaluator, Result};
use crate::item::{Item, Node};

/// The member that holds contained resources, which are no resources of their own.
const CONTAINED: &str = "contained";

impl<'a> Evaluator<'_, 'a> {
    /// The resource with this id in the one that the reference is written in; without id that one
    /// itself.
    pub(super) fn contained(&mut self, item: &Item<'a>, id: &str) -> Result<Option<&'a Value>> {
        let Some(holder) = self.holder_of(item)? else { return Ok(None) };
        if id.is_empty() {
            return Ok(Some(holder));
        }
        let contained = holder.get(CONTAINED).and_then(Value::as_array);
        let mut contained = contained.into_iter().flatten();
        Ok(contained.find(|one| one.get("id").and_then(Value::as_str) == Some(id)))
    }

    /// The resource that a reference is written in; of a computed text the focus.
    fn holder_of(&mut self, item: &Item<'a>) -> Result<Option<&'a Value>> {
        let focus = self.context.focus;
        let variables = self.context.variables.iter().filter_map(|(_, value)| *value);
        let others: Vec<_> = variables.chain(self.resolved.iter().copied()).collect();
        let is_alone =
            others.iter().all(|one| focus.is_some_and(|focus| std::ptr::eq(focus, *one)));
        // What has contained resources holds no others.
        if is_alone && focus.is_some_and(|focus| focus.get(CONTAINED).is_some()) {
            return Ok(focus);
        }
        let Some(wanted) = item.node().map(Node::value) else { return Ok(focus) };
        for root in focus.into_iter().chain(others) {
            if let Some(holder) = holder_in(root, wanted, &mut self.budget)? {
                return Ok(Some(holder));
            }
        }
        Ok(focus)
    }
}

/// The innermost resource of a tree that a value of it is in, contained ones left aside.
fn holder_in<'a>(
    root: &'a Value,
    wanted: &Value,
    budget: &mut Budget,
) -> Result<Option<&'a Value>> {
    let mut open = vec![(root, root, false)];
    while let Some((value, holder, is_contained)) = open.pop() {
        budget.spend(1)?;
        if std::ptr::eq(value, wanted) {
            return Ok(Some(holder));
        }
        match value {
            Value::Array(items) => open.extend(items.iter().map(|one| (one, holder, is_contained))),
            Value::Object(members) => {
                let is_holder = !is_contained && members.contains_key("resourceType");
                let holder = if is_holder { value } else { holder };
                open.extend(members.iter().map(|(name, one)| (one, holder, name == CONTAINED)));
            }
            Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
        }
    }
    Ok(None)
}

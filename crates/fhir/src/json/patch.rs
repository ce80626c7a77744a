//! JSON Patch (RFC 6902) on parsed JSON.
//!
//! All or nothing: the document is changed in place, and whoever gets an error throws it away. The
//! operations, what they copy and how deep they nest are bounded (I10).

use cresset_model::{Issue, IssueCode, Issues};
use serde_json::{Map, Value};

use super::parser::DEPTH_MAX;

/// Most operations of one patch.
pub const PATCH_OPERATIONS_MAX: usize = 1_000;
/// Most values that the operations of one patch copy, each member and element counted.
const COPIED_MAX: usize = 100_000;
/// Most elements of arrays that the operations of one patch move to make or close a gap.
const MOVED_MAX: usize = 10_000_000;

/// What the operations of one patch have cost by now.
#[derive(Default)]
struct Costs {
    copied: usize,
    moved: usize,
}

impl Costs {
    fn copy(&mut self, values: usize) -> Result<(), Fault> {
        self.copied += values;
        if self.copied > COPIED_MAX { Err(too_costly("the patch copies too much")) } else { Ok(()) }
    }

    fn shift(&mut self, elements: usize) -> Result<(), Fault> {
        self.moved += elements;
        if self.moved > MOVED_MAX { Err(too_costly("the patch moves too much")) } else { Ok(()) }
    }
}

/// Applies a patch, given as the array of its operations.
///
/// # Errors
/// `InvalidPatch` for what is no patch, `PatchNotApplicable` where a path leads nowhere or a test
/// fails, `PatchTooCostly` above the bounds; with the operation that it is about, and nothing of the
/// document.
pub fn apply_patch(document: &mut Value, patch: &Value) -> Result<(), Issues> {
    let Some(operations) = patch.as_array() else {
        let text = "a JSON Patch is an array of operations";
        return Err(Issue::error(IssueCode::InvalidPatch, text).into());
    };
    if operations.len() > PATCH_OPERATIONS_MAX {
        let text = format!("a patch may have at most {PATCH_OPERATIONS_MAX} operations");
        return Err(Issue::error(IssueCode::PatchTooCostly, text).into());
    }
    let mut costs = Costs::default();
    for (index, operation) in operations.iter().enumerate() {
        apply(document, operation, &mut costs).map_err(|fault| {
            let text = format!("operation {}: {}", index + 1, fault.text);
            Issues::from(Issue::error(fault.code, text))
        })?;
    }
    Ok(())
}

struct Fault {
    code: IssueCode,
    text: &'static str,
}

fn invalid(text: &'static str) -> Fault {
    Fault { code: IssueCode::InvalidPatch, text }
}

fn not_applicable(text: &'static str) -> Fault {
    Fault { code: IssueCode::PatchNotApplicable, text }
}

fn too_costly(text: &'static str) -> Fault {
    Fault { code: IssueCode::PatchTooCostly, text }
}

fn apply(document: &mut Value, operation: &Value, costs: &mut Costs) -> Result<(), Fault> {
    let operation = operation.as_object().ok_or_else(|| invalid("it must be an object"))?;
    let name = text(operation, "op")?;
    let path = pointer(text(operation, "path")?)?;
    let value = || operation.get("value").ok_or_else(|| invalid("it needs a `value`"));
    match name {
        "add" => add(document, &path, value()?.clone(), costs),
        "copy" => {
            let from = pointer(text(operation, "from")?)?;
            let found = find(document, &from)?;
            costs.copy(count(found))?;
            let value = found.clone();
            add(document, &path, value, costs)
        }
        "move" => {
            let from = pointer(text(operation, "from")?)?;
            if path.len() > from.len() && path.starts_with(&from) {
                return Err(invalid("nothing can be moved into itself"));
            }
            let value = remove(document, &from, costs)?;
            add(document, &path, value, costs)
        }
        "remove" => remove(document, &path, costs).map(drop),
        "replace" => {
            let value = value()?.clone();
            check_depth(&path, &value)?;
            *find_mut(document, &path)? = value;
            Ok(())
        }
        "test" => {
            let is_equal = equal(find(document, &path)?, value()?);
            if is_equal { Ok(()) } else { Err(not_applicable("the test fails")) }
        }
        _ => Err(invalid("`op` must be add, copy, move, remove, replace or test")),
    }
}

fn text<'o>(operation: &'o Map<String, Value>, name: &'static str) -> Result<&'o str, Fault> {
    let found = operation.get(name).and_then(Value::as_str);
    found.ok_or_else(|| invalid("it needs `op` and `path`, and `from` to copy or move, as strings"))
}

/// The parts of a JSON Pointer (RFC 6901).
fn pointer(text: &str) -> Result<Vec<String>, Fault> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let rest = text.strip_prefix('/').ok_or_else(|| invalid("a path begins with `/`"))?;
    if rest.split('~').skip(1).any(|after| !after.starts_with(['0', '1'])) {
        return Err(invalid("in a path `~` is followed by 0 or 1"));
    }
    let parts: Vec<String> =
        rest.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    if parts.len() > DEPTH_MAX {
        return Err(not_applicable("the path leads nowhere"));
    }
    Ok(parts)
}

const NOWHERE: &str = "the path leads nowhere";

fn find<'d>(document: &'d Value, path: &[String]) -> Result<&'d Value, Fault> {
    path.iter().try_fold(document, |value, part| {
        let found = match value {
            Value::Object(members) => members.get(part),
            Value::Array(items) => index(part).and_then(|index| items.get(index)),
            Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => None,
        };
        found.ok_or_else(|| not_applicable(NOWHERE))
    })
}

fn find_mut<'d>(document: &'d mut Value, path: &[String]) -> Result<&'d mut Value, Fault> {
    path.iter().try_fold(document, |value, part| {
        let found = match value {
            Value::Object(members) => members.get_mut(part),
            Value::Array(items) => index(part).and_then(|index| items.get_mut(index)),
            Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => None,
        };
        found.ok_or_else(|| not_applicable(NOWHERE))
    })
}

/// An index of an array: digits without a zero in front.
fn index(part: &str) -> Option<usize> {
    let is_plain = part == "0" || !part.starts_with('0');
    let is_number = is_plain && part.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| part.parse().ok()).flatten()
}

fn add(
    document: &mut Value,
    path: &[String],
    value: Value,
    costs: &mut Costs,
) -> Result<(), Fault> {
    check_depth(path, &value)?;
    let Some((last, above)) = path.split_last() else {
        *document = value;
        return Ok(());
    };
    match find_mut(document, above)? {
        Value::Object(members) => {
            members.insert(last.clone(), value);
        }
        Value::Array(items) => {
            let at = if last == "-" { Some(items.len()) } else { index(last) };
            let at = at.filter(|at| *at <= items.len());
            let at = at.ok_or_else(|| not_applicable(NOWHERE))?;
            costs.shift(items.len() - at)?;
            items.insert(at, value);
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
            return Err(not_applicable(NOWHERE));
        }
    }
    Ok(())
}

fn remove(document: &mut Value, path: &[String], costs: &mut Costs) -> Result<Value, Fault> {
    let Some((last, above)) = path.split_last() else {
        return Err(not_applicable("the whole resource cannot be removed"));
    };
    let removed = match find_mut(document, above)? {
        Value::Object(members) => members.remove(last),
        Value::Array(items) => {
            let at = index(last).filter(|at| *at < items.len());
            costs.shift(at.map_or(0, |at| items.len() - at))?;
            at.map(|at| items.remove(at))
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => None,
    };
    removed.ok_or_else(|| not_applicable(NOWHERE))
}

/// Refuses what would nest deeper than a body may, so that whoever recurs over a value is safe.
fn check_depth(path: &[String], value: &Value) -> Result<(), Fault> {
    if path.len() + depth(value) > DEPTH_MAX {
        return Err(too_costly("the result would be nested too deeply"));
    }
    Ok(())
}

/// How many levels a value has. Recursion is bounded by the depth of what was parsed.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => 0,
    }
}

/// How many values there are in one.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(count).sum::<usize>(),
        Value::String(text) => 1 + text.len() / 64,
        Value::Bool(_) | Value::Null | Value::Number(_) => 1,
    }
}

/// Equal as RFC 6902 means it: numbers by their value, objects whatever the order.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64().is_some_and(|one| other.as_f64() == Some(one))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let same = |(name, one): (&String, &Value)| {
                other.get(name).is_some_and(|other| equal(one, other))
            };
            one.len() == other.len() && one.iter().all(same)
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests;

//! FHIRPath Patch: Parameters whose operations name what they change by FHIRPath.
//!
//! An expression is evaluated on the resource as the operations before left it; the element that it
//! yields is found in the JSON by its address. Operations, and operations times the size of the
//! resource, are bounded (I10).

use cresset_definitions::{Definitions, Element, FhirVersion, TypeDefinition};
use cresset_fhir::json::{DEPTH_MAX, depth};
use cresset_fhirpath::{Context, Expression, Scope};
use cresset_model::{Issue, IssueCode, Issues};
use serde_json::{Map, Value};

/// Most operations of one patch.
const OPERATIONS_MAX: usize = 1_000;
/// Most values that are looked at to find what the operations are about.
const LOOKS_MAX: usize = 10_000_000;
/// Steps that all expressions of one patch together may take.
const STEPS_MAX: u32 = 10_000_000;

/// Where a value stands: members and indexes from the resource on.
type Place = Vec<Step>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Item(usize),
    Member(String),
}

/// An operation as it was read.
struct Operation<'p> {
    kind: &'p str,
    path: &'p str,
    name: Option<&'p str>,
    index: Option<usize>,
    source: Option<usize>,
    destination: Option<usize>,
    /// The part `value`, whole.
    value: Option<&'p Map<String, Value>>,
}

/// A value to put in, and the type that its name tells (`Quantity` of `valueQuantity`).
struct Given {
    value: Value,
    suffix: Option<String>,
}

/// Applies the operations in order, each to what the one before left.
///
/// # Errors
/// `InvalidPatch` for what is no patch, `PatchNotApplicable` where a path does not yield what its
/// operation needs, `PatchTooCostly` above the bounds; each with its operation.
pub(super) fn apply(
    version: FhirVersion,
    resource: &mut Value,
    parameters: &Value,
) -> Result<(), Issues> {
    let given = parameters.get("parameter").and_then(Value::as_array);
    let is_parameters = parameters["resourceType"] == "Parameters";
    let Some(given) = given.filter(|_| is_parameters) else {
        let text = "a FHIRPath Patch is Parameters with a parameter `operation` for each operation";
        return Err(Issue::error(IssueCode::InvalidPatch, text).into());
    };
    if given.len() > OPERATIONS_MAX {
        let text = format!("a patch may have at most {OPERATIONS_MAX} operations");
        return Err(Issue::error(IssueCode::PatchTooCostly, text).into());
    }
    let operations = u32::try_from(given.len()).unwrap_or(u32::MAX).max(1);
    let definitions = Definitions::of(version);
    let mut patcher = Patcher { definitions, looks: 0, step_max: STEPS_MAX / operations };
    for (index, parameter) in given.iter().enumerate() {
        let done = Operation::parse(parameter).and_then(|one| patcher.apply(resource, &one));
        done.map_err(|issue| Issues::from(issue.at(format!("Parameters.parameter[{index}]"))))?;
    }
    Ok(())
}

fn invalid(text: impl Into<String>) -> Issue {
    Issue::error(IssueCode::InvalidPatch, text)
}

fn not_applicable(text: impl Into<String>) -> Issue {
    Issue::error(IssueCode::PatchNotApplicable, text)
}

impl<'p> Operation<'p> {
    fn parse(parameter: &'p Value) -> Result<Self, Issue> {
        if parameter["name"] != "operation" {
            return Err(invalid("every parameter of a patch is an `operation`"));
        }
        let parts = parameter.get("part").and_then(Value::as_array);
        let parts = parts.ok_or_else(|| invalid("an operation has parts"))?;
        let part =
            |name: &str| parts.iter().find(|part| part["name"] == name).and_then(Value::as_object);
        let content = |name: &str| {
            part(name)?.iter().find_map(|(name, value)| name.starts_with("value").then_some(value))
        };
        let text = |name: &str| content(name).and_then(Value::as_str);
        let number = |name: &str| match content(name) {
            None => Ok(None),
            Some(value) => {
                let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
                number.map(Some).ok_or_else(|| invalid(format!("`{name}` must be 0 or more")))
            }
        };
        Ok(Self {
            kind: text("type").ok_or_else(|| invalid("an operation has a `type`"))?,
            path: text("path").ok_or_else(|| invalid("an operation has a `path`"))?,
            name: text("name"),
            index: number("index")?,
            source: number("source")?,
            destination: number("destination")?,
            value: part("value"),
        })
    }

    fn needed<T>(found: Option<T>, name: &str) -> Result<T, Issue> {
        found.ok_or_else(|| invalid(format!("this operation needs `{name}`")))
    }
}

struct Patcher {
    definitions: &'static Definitions,
    looks: usize,
    /// Steps that each expression may take.
    step_max: u32,
}

impl Patcher {
    fn apply(&mut self, resource: &mut Value, operation: &Operation<'_>) -> Result<(), Issue> {
        match operation.kind {
            "add" => self.add(resource, operation),
            "delete" => match self.places(resource, operation.path)?.as_slice() {
                [] => Ok(()),
                [(place, _)] => delete(resource, place),
                [_, _, ..] => Err(not_applicable("the path yields several elements")),
            },
            "insert" => {
                let (list, type_name) = self.list(resource, operation.path)?;
                let index = Operation::needed(operation.index, "index")?;
                let given = self.given(operation, Some(type_name))?;
                insert(resource, &list, index, given.value)
            }
            "move" => {
                let (list, _) = self.list(resource, operation.path)?;
                let source = Operation::needed(operation.source, "source")?;
                let destination = Operation::needed(operation.destination, "destination")?;
                move_item(resource, &list, source, destination)
            }
            "replace" => match self.places(resource, operation.path)?.as_slice() {
                [(place, type_name)] => {
                    let given = self.given(operation, Some(type_name))?;
                    self.replace(resource, place, given)
                }
                _ => Err(not_applicable("the path must yield one element")),
            },
            _ => Err(invalid("`type` must be add, delete, insert, move or replace")),
        }
    }

    /// Where what a path yields stands, with the names of the types.
    fn places(
        &mut self,
        resource: &Value,
        path: &str,
    ) -> Result<Vec<(Place, &'static str)>, Issue> {
        let root = resource["resourceType"].as_str().unwrap_or_default();
        let scope = Scope::new(self.definitions).root(root);
        let expression = Expression::compile(path, &scope)
            .map_err(|error| invalid(format!("the path cannot be read: {error}")))?;
        let mut context = Context::new(Some(resource), root);
        context.step_max = context.step_max.min(self.step_max);
        let found = expression
            .evaluate(&context)
            .map_err(|error| not_applicable(format!("the path cannot be evaluated: {error}")))?;
        let mut places = Vec::new();
        for item in found.iter() {
            let node = item.node();
            let node = node.ok_or_else(|| not_applicable("the path must yield elements"))?;
            // A primitive that has extensions only is found by these.
            let beside = node.sibling().filter(|_| node.value().is_null());
            let mut place = Place::new();
            if !self.locate(resource, beside.unwrap_or(node.value()), &mut place)? {
                return Err(not_applicable("the path must yield elements of the resource"));
            }
            if beside.is_some() {
                name_the_value(&mut place);
            }
            places.push((place, node.definition().name));
        }
        Ok(places)
    }

    /// Finds a value by its address; recursion is bounded by the depth of the resource.
    fn locate(&mut self, within: &Value, sought: &Value, place: &mut Place) -> Result<bool, Issue> {
        self.looks += 1;
        if self.looks > LOOKS_MAX {
            let text = "the patch takes too many steps for a resource of this size";
            return Err(Issue::error(IssueCode::PatchTooCostly, text));
        }
        if std::ptr::eq(within, sought) {
            return Ok(true);
        }
        match within {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    place.push(Step::Item(index));
                    if self.locate(item, sought, place)? {
                        return Ok(true);
                    }
                    place.pop();
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    place.push(Step::Member(name.clone()));
                    if self.locate(member, sought, place)? {
                        return Ok(true);
                    }
                    place.pop();
                }
            }
            Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
        }
        Ok(false)
    }

    /// The list whose elements, all of them, a path yields.
    fn list(&mut self, resource: &Value, path: &str) -> Result<(Place, &'static str), Issue> {
        let places = self.places(resource, path)?;
        let no_list = || not_applicable("the path must yield all elements of one list");
        let Some(((first, type_name), list)) =
            places.first().map(|one| (one, one.0.split_last())).and_then(|(one, list)| {
                let (last, list) = list?;
                matches!(last, Step::Item(_)).then(|| (one, list.to_vec()))
            })
        else {
            return Err(no_list());
        };
        let is_of = |place: &Place| place.len() == first.len() && place.starts_with(&list);
        let length = length(resource, &list);
        if length != places.len() || !places.iter().all(|(place, _)| is_of(place)) {
            return Err(no_list());
        }
        Ok((list, type_name))
    }

    fn add(&mut self, resource: &mut Value, operation: &Operation<'_>) -> Result<(), Issue> {
        let places = self.places(resource, operation.path)?;
        let [(place, type_name)] = places.as_slice() else {
            return Err(not_applicable("the path must yield one element"));
        };
        let name = Operation::needed(operation.name, "name")?;
        let definition = self.definitions.type_named(type_name);
        let element = definition.and_then(|one| element_of(one, name));
        let element = element.ok_or_else(|| {
            not_applicable(format!("{type_name} has no element of the name asked for"))
        })?;
        let type_name = element.types.first().map(|one| one.name).filter(|_| !element.choice);
        let given = self.given(operation, type_name)?;
        let member = member_name(element, name, given.suffix.as_deref())?;
        let target = find_mut(resource, place).and_then(Value::as_object_mut);
        let target = target.ok_or_else(|| not_applicable("the path must yield an object"))?;
        check_depth(place.len() + 1 + usize::from(element.is_list()), &given.value)?;
        if element.is_list() {
            let list = list_of(target, &member);
            list.ok_or_else(|| not_applicable("there is no list"))?.push(given.value);
            return Ok(());
        }
        let is_there = target.keys().any(|one| is_of_element(element, one));
        if is_there {
            return Err(not_applicable("the element is there already: replace it"));
        }
        target.insert(member, given.value);
        Ok(())
    }

    fn replace(&self, resource: &mut Value, place: &Place, given: Given) -> Result<(), Issue> {
        let Some((last, above)) = place.split_last() else {
            return Err(not_applicable("the whole resource cannot be replaced"));
        };
        check_depth(place.len(), &given.value)?;
        match last {
            Step::Item(index) => {
                *items(resource, above)?.get_mut(*index).ok_or_else(gone)? = given.value;
                // What was said of the old value goes with it.
                let beside = siblings(resource, above).and_then(|all| all.get_mut(*index));
                if let Some(beside) = beside {
                    *beside = Value::Null;
                }
                drop_empty_siblings(resource, above);
            }
            Step::Member(name) => {
                let above_definition = self.definition_at(resource, above);
                let members = find_mut(resource, above).and_then(Value::as_object_mut);
                let members = members.ok_or_else(gone)?;
                members.remove(name);
                members.remove(&format!("_{name}"));
                let element = above_definition.and_then(|one| one.element_for_json(name));
                let member = match element {
                    Some((element, _)) if element.choice => {
                        member_name(element, element.name, given.suffix.as_deref())?
                    }
                    Some(_) | None => name.clone(),
                };
                members.insert(member, given.value);
            }
        }
        Ok(())
    }

    /// The type of the object at a place.
    fn definition_at(&self, resource: &Value, place: &[Step]) -> Option<&'static TypeDefinition> {
        let named = |value: &Value| self.definitions.type_named(value["resourceType"].as_str()?);
        let mut value = resource;
        let mut definition = named(resource)?;
        for step in place {
            value = find(value, std::slice::from_ref(step))?;
            if let Step::Member(name) = step {
                let (_, type_name) = definition.element_for_json(name)?;
                definition = self.definitions.type_named(type_name)?;
            }
            definition = named(value).unwrap_or(definition);
        }
        Some(definition)
    }

    /// The value of an operation; an anonymous one is made of parts by the type it is for.
    fn given(&self, operation: &Operation<'_>, type_name: Option<&str>) -> Result<Given, Issue> {
        let part = Operation::needed(operation.value, "value")?;
        let definition = type_name.and_then(|name| self.definitions.type_named(name));
        self.value_of(part, definition)
    }

    /// Recursion is bounded by the depth of the patch.
    fn value_of(
        &self,
        part: &Map<String, Value>,
        definition: Option<&'static TypeDefinition>,
    ) -> Result<Given, Issue> {
        if part.keys().any(|name| name.starts_with("_value")) {
            let text = "extensions or an id of a value that is a primitive are not supported here";
            return Err(not_applicable(text));
        }
        let value =
            part.iter().find_map(|(name, value)| Some((name.strip_prefix("value")?, value)));
        if let Some((suffix, value)) = value {
            return Ok(Given { value: value.clone(), suffix: Some(suffix.to_owned()) });
        }
        if let Some(resource) = part.get("resource") {
            return Ok(Given { value: resource.clone(), suffix: None });
        }
        let parts = part.get("part").and_then(Value::as_array);
        let parts = parts.ok_or_else(|| invalid("a value has `value[x]`, `resource` or parts"))?;
        let mut members = Map::new();
        for one in parts.iter().filter_map(Value::as_object) {
            let name = one.get("name").and_then(Value::as_str);
            let name = name.ok_or_else(|| invalid("a part has a name"))?;
            let element = definition.and_then(|one| element_of(one, name));
            let element = element
                .ok_or_else(|| not_applicable("a part of the value is no element of its type"))?;
            let type_name = element.types.first().filter(|_| !element.choice);
            let inner = type_name.and_then(|one| self.definitions.type_named(one.name));
            let given = self.value_of(one, inner)?;
            let member = member_name(element, name, given.suffix.as_deref())?;
            if element.is_list() {
                let list = members.entry(member).or_insert_with(|| Value::Array(Vec::new()));
                list.as_array_mut().into_iter().for_each(|list| list.push(given.value.clone()));
            } else {
                members.insert(member, given.value);
            }
        }
        Ok(Given { value: Value::Object(members), suffix: None })
    }
}

fn gone() -> Issue {
    not_applicable("the element is not there")
}

/// Refuses a value that would nest deeper than a body may at a place so many levels down, so that
/// whoever recurs over the resource is safe, the operations that follow first.
fn check_depth(levels: usize, value: &Value) -> Result<(), Issue> {
    if levels + depth(value) > DEPTH_MAX {
        let text = "the result would be nested too deeply";
        return Err(Issue::error(IssueCode::PatchTooCostly, text));
    }
    Ok(())
}

/// The element that FHIRPath or JSON calls by this name.
fn element_of(definition: &'static TypeDefinition, name: &str) -> Option<&'static Element> {
    let by_json = || definition.element_for_json(name).map(|(element, _)| element);
    definition.element(name).or_else(by_json)
}

fn is_of_element(element: &Element, member: &str) -> bool {
    let name = member.strip_prefix('_').unwrap_or(member);
    match element.choice {
        true => element.types.iter().any(|one| name == choice_name(element.name, one.name)),
        false => name == element.name,
    }
}

/// The JSON member that an element with a value of this type is.
fn member_name(element: &Element, name: &str, suffix: Option<&str>) -> Result<String, Issue> {
    if !element.choice {
        return Ok(element.name.to_owned());
    }
    let suffix = suffix.unwrap_or_default();
    let wanted = format!("{}{suffix}", element.name);
    let is_type = |one: &str| choice_name(element.name, one) == wanted;
    if element.types.iter().any(|one| is_type(one.name)) {
        return Ok(wanted);
    }
    Err(not_applicable(format!("`{name}` takes no value of this type")))
}

fn choice_name(name: &str, type_name: &str) -> String {
    let mut letters = type_name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    format!("{name}{}{}", first.map(String::from).unwrap_or_default(), letters.as_str())
}

fn find<'v>(value: &'v Value, place: &[Step]) -> Option<&'v Value> {
    place.iter().try_fold(value, |value, step| match step {
        Step::Item(index) => value.get(index),
        Step::Member(name) => value.get(name),
    })
}

fn find_mut<'v>(value: &'v mut Value, place: &[Step]) -> Option<&'v mut Value> {
    place.iter().try_fold(value, |value, step| match step {
        Step::Item(index) => value.get_mut(index),
        Step::Member(name) => value.get_mut(name),
    })
}

/// Makes the place of what stands beside a value the one of the value.
fn name_the_value(place: &mut Place) {
    let name = place.iter_mut().rev().find_map(|step| match step {
        Step::Item(_) => None,
        Step::Member(name) => Some(name),
    });
    if let Some(name) = name {
        *name = name.trim_start_matches('_').to_owned();
    }
}

/// How long a list is, with primitives that have extensions only.
fn length(resource: &Value, list: &[Step]) -> usize {
    let beside = list.split_last().and_then(|(last, above)| match last {
        Step::Item(_) => None,
        Step::Member(name) => find(resource, above)?.get(format!("_{name}")),
    });
    let lists = [find(resource, list), beside].into_iter().flatten().filter_map(Value::as_array);
    lists.map(Vec::len).max().unwrap_or_default()
}

/// The list beside a list of primitives that holds their extensions.
fn siblings<'v>(resource: &'v mut Value, list: &[Step]) -> Option<&'v mut Vec<Value>> {
    let (Step::Member(name), above) = list.split_last()? else { return None };
    find_mut(resource, above)?.get_mut(format!("_{name}"))?.as_array_mut()
}

/// Removes the list beside a list of primitives if nothing is left in it.
fn drop_empty_siblings(resource: &mut Value, list: &[Step]) {
    let is_empty = siblings(resource, list).is_some_and(|beside| beside.iter().all(Value::is_null));
    if let (true, Some((Step::Member(name), above))) = (is_empty, list.split_last())
        && let Some(members) = find_mut(resource, above).and_then(Value::as_object_mut)
    {
        members.remove(&format!("_{name}"));
    }
}

fn items<'v>(resource: &'v mut Value, list: &[Step]) -> Result<&'v mut Vec<Value>, Issue> {
    let Some((Step::Member(name), above)) = list.split_last() else { return Err(gone()) };
    let members = find_mut(resource, above).and_then(Value::as_object_mut);
    members.and_then(|members| list_of(members, name)).ok_or_else(gone)
}

/// A list of an object, new if need be, with nulls for primitives that have extensions only.
fn list_of<'m>(members: &'m mut Map<String, Value>, name: &str) -> Option<&'m mut Vec<Value>> {
    let beside = members.get(&format!("_{name}")).and_then(Value::as_array).map_or(0, Vec::len);
    let list = members.entry(name).or_insert_with(|| Value::Array(Vec::new())).as_array_mut()?;
    list.resize(list.len().max(beside), Value::Null);
    Some(list)
}

/// Removes an element, with its extensions, and the list that it was the last of.
fn delete(resource: &mut Value, place: &Place) -> Result<(), Issue> {
    let Some((last, above)) = place.split_last() else {
        return Err(not_applicable("the whole resource cannot be deleted by a patch"));
    };
    match last {
        Step::Member(name) => {
            let members = find_mut(resource, above).and_then(Value::as_object_mut);
            let members = members.ok_or_else(gone)?;
            members.remove(name);
            members.remove(&format!("_{name}"));
        }
        Step::Item(index) => {
            let list = items(resource, above)?;
            list.remove(*index);
            let is_empty = list.is_empty();
            if let Some(siblings) = siblings(resource, above)
                && *index < siblings.len()
            {
                siblings.remove(*index);
            }
            drop_empty_siblings(resource, above);
            if is_empty {
                return delete(resource, &above.to_vec());
            }
        }
    }
    Ok(())
}

fn insert(resource: &mut Value, list: &Place, index: usize, value: Value) -> Result<(), Issue> {
    check_depth(list.len() + 1, &value)?;
    let found = items(resource, list)?;
    if index > found.len() {
        return Err(not_applicable("the index lies beyond the end of the list"));
    }
    found.insert(index, value);
    if let Some(siblings) = siblings(resource, list)
        && index < siblings.len()
    {
        siblings.insert(index, Value::Null);
    }
    Ok(())
}

fn move_item(resource: &mut Value, list: &Place, from: usize, to: usize) -> Result<(), Issue> {
    let found = items(resource, list)?;
    if from.max(to) >= found.len() {
        return Err(not_applicable("the index lies beyond the end of the list"));
    }
    let item = found.remove(from);
    found.insert(to, item);
    let length = found.len();
    if let Some(siblings) = siblings(resource, list) {
        siblings.resize(length.max(siblings.len()), Value::Null);
        let item = siblings.remove(from);
        siblings.insert(to, item);
    }
    Ok(())
}

#[cfg(test)]
mod tests;

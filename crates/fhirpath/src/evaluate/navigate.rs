//! Moving through resources: elements by name, children, extensions, references.

use std::borrow::Cow;

use cresset_definitions::{TypeDefinition, TypeKind};
use serde_json::{Map, Value};

use super::{Call, Evaluator, Result, single};
use crate::collection::Collection;
use crate::compile::{NameStep, TargetKind};
use crate::error::EvaluationError;
use crate::function::Navigation;
use crate::item::{Item, Node, Scalar, resource_definition};
use crate::resolve::{Resolution, literal_type};
use crate::types::{ItemType, TypeTest};

/// References listed as missing in one evaluation.
const MISSING_MAX: usize = 100;

type Members = Map<String, Value>;

impl<'a> Evaluator<'_, 'a> {
    /// The elements a path of names leads to, one item at a time.
    pub(super) fn names(
        &mut self,
        item: &Item<'a>,
        names: &'a [NameStep],
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let Some((name, rest)) = names.split_first() else {
            out.push(item.clone());
            return Ok(());
        };
        self.budget.spend(1)?;
        if let Item::Type { namespace, name: type_name } = item {
            let text = match name.name.as_str() {
                "namespace" if rest.is_empty() => Some(*namespace),
                "name" if rest.is_empty() => Some(*type_name),
                _ => None,
            };
            out.extend(text.map(|text| Item::String(Cow::Borrowed(text))));
        }
        match item.node() {
            Some(node) if rest.is_empty() => {
                self.element(node, name, &mut |_, item| {
                    out.push(item);
                    Ok(())
                })?;
                self.budget.made(0, out.len(), name.offset)
            }
            Some(node) => {
                self.element(node, name, &mut |evaluator, item| evaluator.names(&item, rest, out))
            }
            None => Ok(()),
        }
    }

    /// Yields the elements of one name.
    fn element(
        &mut self,
        node: &Node<'a>,
        name: &NameStep,
        yielded: &mut dyn FnMut(&mut Self, Item<'a>) -> Result<()>,
    ) -> Result<()> {
        let definition = node.definition();
        let target = name.targets.iter().find(|one| std::ptr::eq(one.owner, definition));
        match target.map(|one| &one.kind) {
            Some(TargetKind::Plain(definition)) => {
                let Some(members) = node.members() else { return Ok(()) };
                let (value, sibling) = member(members, &name.name, definition.kind);
                self.values(value, sibling, definition, yielded)
            }
            Some(TargetKind::Choice(types)) => {
                let Some(members) = node.members() else { return Ok(()) };
                let prefix = if name.json { "" } else { name.name.as_str() };
                for (json, definition) in present_choices(members, prefix, types) {
                    let (value, sibling) = member(members, json, definition.kind);
                    self.values(value, sibling, definition, yielded)?;
                }
                Ok(())
            }
            Some(TargetKind::Value(_)) => match node.scalar() {
                Some(scalar) => yielded(self, scalar.into_item()),
                None => Ok(()),
            },
            None => self.unexpected_element(node, name, yielded),
        }
    }

    /// The same for a type that was not foreseen when the expression was compiled.
    fn unexpected_element(
        &mut self,
        node: &Node<'a>,
        name: &NameStep,
        yielded: &mut dyn FnMut(&mut Self, Item<'a>) -> Result<()>,
    ) -> Result<()> {
        let owner = node.definition();
        let Some(element) = owner.element(&name.name) else {
            let json = owner.element_for_json(&name.name).filter(|_| name.json);
            let Some(definition) =
                json.and_then(|(_, type_name)| self.definitions.type_named(type_name))
            else {
                return Ok(());
            };
            let Some(members) = node.members() else { return Ok(()) };
            let (value, sibling) = member(members, &name.name, definition.kind);
            return self.values(value, sibling, definition, yielded);
        };
        if !element.choice {
            let type_name = element.types.first().map_or("", |one| one.name);
            return match ItemType::named(self.definitions, type_name) {
                Some(ItemType::Fhir(definition)) => {
                    let Some(members) = node.members() else { return Ok(()) };
                    let (value, sibling) = member(members, element.name, definition.kind);
                    self.values(value, sibling, definition, yielded)
                }
                Some(ItemType::System(_)) => match node.scalar() {
                    Some(scalar) => yielded(self, scalar.into_item()),
                    None => Ok(()),
                },
                None => Ok(()),
            };
        }
        let Some(members) = node.members() else { return Ok(()) };
        for key in choice_keys(members, element.name) {
            let Some((found, type_name)) = owner.element_for_json(key) else { continue };
            let Some(definition) = self.definitions.type_named(type_name) else { continue };
            if std::ptr::eq(found, element) {
                let (value, sibling) = member(members, key, definition.kind);
                self.values(value, sibling, definition, yielded)?;
            }
        }
        Ok(())
    }

    /// Yields what a member holds: one value or the values of an array, nulls with their siblings.
    fn values(
        &mut self,
        value: Option<&'a Value>,
        sibling: Option<&'a Value>,
        definition: &'static TypeDefinition,
        yielded: &mut dyn FnMut(&mut Self, Item<'a>) -> Result<()>,
    ) -> Result<()> {
        let mut one =
            |evaluator: &mut Self, value: Option<&'a Value>, sibling: Option<&'a Value>| {
                let value = value.filter(|one| !one.is_null());
                let sibling = sibling.filter(|one| one.is_object());
                if value.is_none() && sibling.is_none() {
                    return Ok(());
                }
                let definition = match value {
                    Some(value) if definition.kind == TypeKind::Resource => {
                        resource_definition(evaluator.definitions, value, definition)
                    }
                    _ => definition,
                };
                yielded(evaluator, Item::Node(Node::new(value, sibling, definition)))
            };
        match (value, sibling) {
            (Some(Value::Array(values)), None) => {
                values.iter().try_for_each(|value| one(self, Some(value), None))
            }
            (Some(Value::Array(_)) | None, Some(Value::Array(siblings))) => {
                let values = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                (0..values.len().max(siblings.len()))
                    .try_for_each(|index| one(self, values.get(index), siblings.get(index)))
            }
            (Some(Value::Array(values)), Some(_)) => {
                values.iter().try_for_each(|value| one(self, Some(value), None))
            }
            _ => one(self, value, sibling),
        }
    }

    /// Yields all elements of a node, in the order they are written.
    fn children(
        &mut self,
        node: &Node<'a>,
        yielded: &mut dyn FnMut(&mut Self, Item<'a>) -> Result<()>,
    ) -> Result<()> {
        let Some(members) = node.members() else { return Ok(()) };
        let owner = node.definition();
        for key in members.keys() {
            let name = match key.strip_prefix('_') {
                // Beside its value it is met there.
                Some(name) if members.contains_key(name) => continue,
                Some(name) => name,
                None => key,
            };
            let Some((_, type_name)) = owner.element_for_json(name) else { continue };
            let Some(definition) = self.definitions.type_named(type_name) else { continue };
            let (value, sibling) = member(members, name, definition.kind);
            self.budget.spend(1)?;
            self.values(value, sibling, definition, yielded)?;
        }
        Ok(())
    }

    pub(super) fn navigation(
        &mut self,
        navigation: Navigation,
        call: &Call<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        match navigation {
            Navigation::Children => self.all_children(call.input, out),
            Navigation::Descendants => self.descendants(call, out),
            Navigation::Extension => self.extension(call, out),
            Navigation::HasValue => {
                let has = match call.input {
                    [item] => item.node().is_none_or(is_primitive_value),
                    _ => false,
                };
                out.push(Item::Boolean(has));
                Ok(())
            }
            Navigation::GetValue => {
                if let [item] = call.input
                    && item.node().is_none_or(is_primitive_value)
                {
                    out.extend(item.scalar().map(Scalar::into_item));
                }
                Ok(())
            }
            Navigation::Type => {
                out.extend(call.input.iter().map(|item| {
                    let found = item.item_type();
                    Item::Type { namespace: found.namespace(), name: found.name() }
                }));
                Ok(())
            }
        }
    }

    fn descendants(&mut self, call: &Call<'_, 'a>, out: &mut Collection<'a>) -> Result<()> {
        let mut all = Collection::new();
        self.all_children(call.input, &mut all)?;
        // What is found is searched in turn; no recursion, however deep the resource is.
        let mut next = 0;
        while next < all.len() {
            let item = all[next].clone();
            next += 1;
            self.all_children(&[item], &mut all)?;
            self.budget.made(1, all.len(), call.step.offset)?;
        }
        out.extend(all);
        Ok(())
    }

    fn all_children(&mut self, input: &[Item<'a>], out: &mut Collection<'a>) -> Result<()> {
        for item in input {
            if let Item::Node(node) = item {
                self.children(node, &mut |_, item| {
                    out.push(item);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    fn extension(&mut self, call: &Call<'_, 'a>, out: &mut Collection<'a>) -> Result<()> {
        let url = self.collect(&call.arguments[0], call.frame)?;
        let Some(url) = single(&url, "extension", call.step.offset)?.and_then(Item::as_str) else {
            return Ok(());
        };
        let Some(definition) = self.definitions.type_named("Extension") else { return Ok(()) };
        for node in call.input.iter().filter_map(Item::node) {
            let extensions = node.members().and_then(|members| members.get("extension"));
            for extension in extensions.and_then(Value::as_array).into_iter().flatten() {
                self.budget.spend(1)?;
                if extension.get("url").and_then(Value::as_str) == Some(url) {
                    out.push(Item::Node(Node::new(Some(extension), None, definition)));
                }
            }
        }
        Ok(())
    }

    /// Answers `resolve() is T` from the reference itself where it says its type.
    pub(super) fn resolve_is(
        &mut self,
        test: &TypeTest,
        look_up: bool,
        input: &[Item<'a>],
        offset: usize,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let Some(item) = single(input, "`is`", offset)? else { return Ok(()) };
        let mut resolved = Collection::new();
        if let Some(name) = self.reference_type(item) {
            out.push(Item::Boolean(test.includes_resource(name)));
            return Ok(());
        }
        if !look_up && !literal(item).is_some_and(|literal| literal.starts_with('#')) {
            return Ok(());
        }
        self.resolve(item, None, &mut resolved)?;
        out.extend(resolved.first().map(|one| Item::Boolean(test.includes(one.item_type()))));
        Ok(())
    }

    /// The type of resource a reference names, as far as it says.
    fn reference_type(&self, item: &Item<'a>) -> Option<&'a str> {
        if let Item::Node(node) = item
            && let Value::Object(members) = node.value()
        {
            let text = |name: &str| members.get(name).and_then(Value::as_str);
            let literal = text("reference");
            let named = literal.and_then(|literal| literal_type(self.definitions, literal));
            // A contained resource says more exactly what it is.
            let is_contained = literal.is_some_and(|literal| literal.starts_with('#'));
            return named.or_else(|| text("type").filter(|_| !is_contained));
        }
        literal_type(self.definitions, item.as_str()?)
    }

    /// Yields the resource that a reference names.
    pub(super) fn resolve(
        &mut self,
        item: &Item<'a>,
        wanted: Option<&TypeTest>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        if let Some(wanted) = wanted
            && let Some(name) = self.reference_type(item)
            && !wanted.includes_resource(name)
        {
            return Ok(());
        }
        let Some(literal) = literal(item) else { return Ok(()) };
        self.budget.spend(1)?;
        let found = match literal.strip_prefix('#') {
            Some(id) => self.contained(id),
            None => match self.context.resolver.resolve(literal) {
                Resolution::Found(value) => Some(value),
                Resolution::NotFound => None,
                Resolution::Missing => return self.miss(literal),
            },
        };
        let Some(value) = found else { return Ok(()) };
        if let Some(resource) = self.definitions.type_named("Resource") {
            let definition = resource_definition(self.definitions, value, resource);
            out.push(Item::Node(Node::new(Some(value), None, definition)));
        }
        Ok(())
    }

    fn miss(&mut self, literal: &str) -> Result<()> {
        if !self.missing.iter().any(|one| one == literal) {
            if self.missing.len() >= MISSING_MAX {
                return Err(EvaluationError::StepLimit);
            }
            self.missing.push(literal.to_owned());
        }
        Ok(())
    }

    /// The resource with this id in the focus; without id the focus itself.
    fn contained(&self, id: &str) -> Option<&'a Value> {
        let root = self.context.focus?;
        if id.is_empty() {
            return Some(root);
        }
        let mut contained = root.get("contained")?.as_array()?.iter();
        contained.find(|one| one.get("id").and_then(Value::as_str) == Some(id))
    }
}

/// The text of a reference, or of a string or URI that is one.
fn literal<'i>(item: &'i Item<'_>) -> Option<&'i str> {
    match item.node().map(Node::value) {
        Some(Value::Object(members)) => members.get("reference").and_then(Value::as_str),
        _ => item.as_str(),
    }
}

fn is_primitive_value(node: &Node<'_>) -> bool {
    matches!(node.value(), Value::Bool(_) | Value::Number(_) | Value::String(_))
}

/// A member and, of a primitive, the one with an underscore beside it.
fn member<'a>(
    members: &'a Members,
    name: &str,
    kind: TypeKind,
) -> (Option<&'a Value>, Option<&'a Value>) {
    let wants_sibling = kind == TypeKind::Primitive;
    // Most objects are small, and comparing lengths first beats hashing.
    if members.len() > SCAN_MAX {
        let sibling = if wants_sibling { members.get(&format!("_{name}")) } else { None };
        return (members.get(name), sibling);
    }
    let (mut value, mut sibling) = (None, None);
    for (key, one) in members {
        if key.len() == name.len() {
            if key == name {
                value = Some(one);
                if !wants_sibling {
                    break;
                }
            }
        } else if wants_sibling
            && key.len() == name.len() + 1
            && key.as_bytes()[0] == b'_'
            && key.as_bytes()[1..] == *name.as_bytes()
        {
            sibling = Some(one);
        }
    }
    (value, sibling)
}

/// Objects with more members are looked up by hash.
const SCAN_MAX: usize = 32;

/// The members, without underscore, whose names begin as a choice's do.
fn choice_keys<'a>(members: &'a Members, prefix: &str) -> impl Iterator<Item = &'a str> {
    members.keys().filter_map(move |key| match key.strip_prefix('_') {
        Some(name) => (name.starts_with(prefix) && !members.contains_key(name)).then_some(name),
        None => key.starts_with(prefix).then_some(key.as_str()),
    })
}

/// The choices of an element that a resource has.
fn present_choices<'a>(
    members: &'a Members,
    prefix: &str,
    types: &[(String, &'static TypeDefinition)],
) -> impl Iterator<Item = (&'a str, &'static TypeDefinition)> {
    choice_keys(members, prefix).filter_map(move |key| {
        let (_, definition) = types.iter().find(|(json, _)| json == key)?;
        Some((key, *definition))
    })
}

//! Moving through resources: elements by name, children, extensions, references.

use std::borrow::Cow;

use cresset_definitions::{TypeDefinition, TypeKind};
use serde_json::{Map, Value};

use super::path::Way;
use super::{Call, Evaluator, Result, single};
use crate::collection::Collection;
use crate::compile::{NameStep, TargetKind};
use crate::error::EvaluationError;
use crate::function::Navigation;
use crate::item::{Item, Node, Scalar, resource_definition};
use crate::resolve::{Resolution, is_relative_to, literal_type};
use crate::types::{ItemType, TypeTest};

/// References listed as missing in one evaluation.
const MISSING_MAX: usize = 100;

type Members = Map<String, Value>;

impl<'a> Evaluator<'_, 'a> {
    /// The elements a path of names leads to.
    pub(super) fn names(
        &mut self,
        item: &Item<'a>,
        way: Way<'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        if let Item::Type { is_system, name: type_name } = item
            && let [name] = way.names
        {
            let namespace = if *is_system { "System" } else { "FHIR" };
            let text = match name.name.as_str() {
                "namespace" => Some(namespace),
                "name" => Some(*type_name),
                _ => None,
            };
            if let Some(text) = text {
                self.flow(&Item::String(Cow::Borrowed(text)), way.steps, out)?;
            }
        }
        item.node().map_or(Ok(()), |node| self.below(*node, way, out))
    }

    /// The same from a node: depth first, so that nothing is collected in between.
    fn below(&mut self, node: Node<'a>, way: Way<'a>, out: &mut Collection<'a>) -> Result<()> {
        let Some((name, names)) = way.names.split_first() else {
            return self.flow(&Item::Node(node), way.steps, out);
        };
        let rest = Way { names, ..way };
        self.budget.spend(1)?;
        let owner = node.definition();
        let target = name.targets.iter().find(|one| std::ptr::eq(one.owner, owner));
        match target.map(|one| &one.kind) {
            Some(TargetKind::Value(_)) => self.value_of(&node, rest, out),
            Some(TargetKind::Plain(definition)) => {
                let Some(members) = node.members() else { return Ok(()) };
                self.values(member(members, &name.name, definition.kind), definition, rest, out)
            }
            Some(TargetKind::Choice(types)) => {
                let Some(members) = node.members() else { return Ok(()) };
                if let [(json, definition)] = types.as_slice() {
                    let found = member(members, json, definition.kind);
                    return self.values(found, definition, rest, out);
                }
                for key in choice_keys(members, &name.name) {
                    if let Some((_, definition)) = types.iter().find(|(json, _)| json == key) {
                        let found = member(members, key, definition.kind);
                        self.values(found, definition, rest, out)?;
                    }
                }
                Ok(())
            }
            None => self.unforeseen(&node, name, rest, out),
        }
    }

    /// The same for a type that was not foreseen when the expression was compiled.
    fn unforeseen(
        &mut self,
        node: &Node<'a>,
        name: &'a NameStep,
        rest: Way<'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let owner = node.definition();
        let element = owner.element(&name.name);
        if let Some(element) = element.filter(|one| !one.choice) {
            let type_name = element.types.first().map_or("", |one| one.name);
            let Some(ItemType::Fhir(definition)) = ItemType::named(self.definitions, type_name)
            else {
                return self.value_of(node, rest, out);
            };
            let Some(members) = node.members() else { return Ok(()) };
            return self.values(
                member(members, element.name, definition.kind),
                definition,
                rest,
                out,
            );
        }
        if element.is_none() && !name.json {
            return Ok(());
        }
        let Some(members) = node.members() else { return Ok(()) };
        for key in choice_keys(members, &name.name) {
            let Some((found, type_name)) = owner.element_for_json(key) else { continue };
            let fits = match element {
                Some(element) => std::ptr::eq(found, element),
                None => key == name.name,
            };
            if let Some(definition) = self.definitions.type_named(type_name).filter(|_| fits) {
                self.values(member(members, key, definition.kind), definition, rest, out)?;
            }
        }
        Ok(())
    }

    /// What a member holds: one value or the values of an array, nulls with their siblings.
    fn values(
        &mut self,
        found: Found<'a>,
        definition: &'static TypeDefinition,
        rest: Way<'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let siblings = found.sibling.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        match found.value {
            // The common case: the last name of a path, and no element has extensions only.
            Some(Value::Array(values))
                if rest.names.is_empty()
                    && rest.steps.is_empty()
                    && siblings.is_empty()
                    && definition.kind != TypeKind::Resource =>
            {
                let present = values.iter().filter(|one| !one.is_null());
                out.extend(present.map(|one| Item::Node(Node::new(Some(one), None, definition))));
            }
            Some(Value::Array(values)) => {
                for (index, value) in values.iter().enumerate() {
                    self.value(Some(value), siblings.get(index), definition, rest, out)?;
                }
                for sibling in siblings.iter().skip(values.len()) {
                    self.value(None, Some(sibling), definition, rest, out)?;
                }
            }
            None if !siblings.is_empty() => {
                for sibling in siblings {
                    self.value(None, Some(sibling), definition, rest, out)?;
                }
            }
            value => self.value(value, found.sibling, definition, rest, out)?,
        }
        Ok(())
    }

    /// The value of a primitive; it has no elements.
    fn value_of(&mut self, node: &Node<'a>, rest: Way<'a>, out: &mut Collection<'a>) -> Result<()> {
        match node.scalar().filter(|_| rest.names.is_empty()) {
            Some(scalar) => self.flow(&scalar.into_item(), rest.steps, out),
            None => Ok(()),
        }
    }

    fn value(
        &mut self,
        value: Option<&'a Value>,
        sibling: Option<&'a Value>,
        definition: &'static TypeDefinition,
        rest: Way<'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let value = value.filter(|one| !one.is_null());
        let sibling = sibling.filter(|one| one.is_object());
        if value.is_none() && sibling.is_none() {
            return Ok(());
        }
        let definition = match value {
            Some(value) if definition.kind == TypeKind::Resource => {
                resource_definition(self.definitions, value, definition)
            }
            _ => definition,
        };
        self.below(Node::new(value, sibling, definition), rest, out)
    }

    /// All elements of a node, in the order they are written.
    fn children(&mut self, node: &Node<'a>, out: &mut Collection<'a>) -> Result<()> {
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
            self.budget.spend(1)?;
            let way = Way { names: &[], steps: &[] };
            self.values(member(members, name, definition.kind), definition, way, out)?;
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
                match call.input {
                    [Item::Node(node)] if is_primitive_value(node) => {
                        out.extend(node.scalar().map(Scalar::into_item));
                    }
                    [item] if item.node().is_none() => out.push(item.clone()),
                    _ => {}
                }
                Ok(())
            }
            Navigation::Type => {
                out.extend(call.input.iter().map(|item| {
                    let found = item.item_type();
                    let is_system = matches!(found, ItemType::System(_));
                    Item::Type { is_system, name: found.name() }
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
                self.children(node, out)?;
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
        if let Some(item) = single(input, "`is`", offset)? {
            out.extend(self.is_reference_to(test, look_up, item)?.map(Item::Boolean));
        }
        Ok(())
    }

    /// Whether what a reference names is of a type, as far as that can be told.
    pub(super) fn is_reference_to(
        &mut self,
        test: &TypeTest,
        look_up: bool,
        item: &Item<'a>,
    ) -> Result<Option<bool>> {
        self.budget.spend(1)?;
        // Mostly it is `Type/id` of the very type that is asked for.
        if let Some(literal) = literal(item)
            && test.resource_name().is_some_and(|name| is_relative_to(literal, name))
        {
            return Ok(Some(true));
        }
        if let Some(name) = self.reference_type(item) {
            return Ok(Some(test.includes_resource(name)));
        }
        if !look_up && !literal(item).is_some_and(|literal| literal.starts_with('#')) {
            return Ok(None);
        }
        let mut resolved = Collection::new();
        self.resolve(item, None, &mut resolved)?;
        Ok(resolved.first().map(|one| test.includes(one.item_type())))
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
            Some(id) => self.contained(item, id)?,
            None => match self.context.resolver.resolve(literal) {
                Resolution::Found(value) => {
                    self.resolved.push(value);
                    Some(value)
                }
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
struct Found<'a> {
    value: Option<&'a Value>,
    sibling: Option<&'a Value>,
}

/// Objects with more members are not walked through.
const SCAN_MAX: usize = 32;

fn member<'a>(members: &'a Members, name: &str, kind: TypeKind) -> Found<'a> {
    let wants_sibling = kind == TypeKind::Primitive;
    if members.len() > SCAN_MAX {
        let sibling = if wants_sibling { members.get(&format!("_{name}")) } else { None };
        return Found { value: members.get(name), sibling };
    }
    // Most objects are small, and comparing lengths first beats comparing texts.
    let (mut value, mut sibling) = (None, None);
    let wanted = name.as_bytes();
    for (key, one) in members {
        let key = key.as_bytes();
        // Members are in the order of their names, in which an underscore is before all letters
        // that they begin with.
        if key.first() > wanted.first() {
            break;
        }
        if key.len() == wanted.len() {
            if key == wanted {
                value = Some(one);
                if !wants_sibling {
                    break;
                }
            }
        } else if wants_sibling
            && key.len() == wanted.len() + 1
            && key[0] == b'_'
            && key[1..] == *wanted
        {
            sibling = Some(one);
        }
    }
    Found { value, sibling }
}

/// The members, without underscore, whose names begin as a choice's do.
fn choice_keys<'a>(members: &'a Members, prefix: &str) -> impl Iterator<Item = &'a str> {
    members.keys().filter_map(move |key| match key.strip_prefix('_') {
        Some(name) => (name.starts_with(prefix) && !members.contains_key(name)).then_some(name),
        None => key.starts_with(prefix).then_some(key.as_str()),
    })
}

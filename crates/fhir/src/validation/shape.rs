//! The definitions of a version in the form in which the validator asks them: by JSON member.

use std::sync::LazyLock;

use cresset_definitions::{Definitions, Element, FhirVersion, TypeDefinition, TypeKind, ValueSet};
use rustc_hash::FxHashMap;

use super::primitive::Primitive;

static R4: LazyLock<Shapes> = LazyLock::new(|| Shapes::new(FhirVersion::R4));
static R4B: LazyLock<Shapes> = LazyLock::new(|| Shapes::new(FhirVersion::R4B));
static R5: LazyLock<Shapes> = LazyLock::new(|| Shapes::new(FhirVersion::R5));

/// The type that holds what an element of a primitive type has beside its value.
const ELEMENT: &str = "Element";

/// All types of a version.
#[derive(Debug)]
pub(super) struct Shapes {
    all: Vec<Shape>,
    by_name: FxHashMap<&'static str, ShapeId>,
    element: ShapeId,
}

/// The place of a shape among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShapeId(u16);

/// One type that is an object in JSON.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) is_resource: bool,
    pub(super) is_extension: bool,
    /// The elements that must be there, a bit each.
    pub(super) required: u128,
    pub(super) elements: &'static [Element],
    members: FxHashMap<Box<str>, Member>,
}

/// What one JSON member may be.
#[derive(Debug)]
pub(super) struct Member {
    /// Its element's place in the type.
    pub(super) element: u8,
    pub(super) rule: &'static Element,
    pub(super) type_name: &'static str,
    pub(super) content: Content,
    /// What its codes must be of.
    pub(super) codes: Option<&'static ValueSet>,
    /// What its references may point at; empty if anything.
    pub(super) targets: &'static [&'static str],
}

/// What stands in a member.
#[derive(Debug)]
pub(super) enum Content {
    Object(ShapeId),
    Primitive(Primitive),
    Resource,
}

impl Shapes {
    pub(super) fn of(version: FhirVersion) -> &'static Self {
        match version {
            FhirVersion::R4 => &R4,
            FhirVersion::R4B => &R4B,
            FhirVersion::R5 => &R5,
        }
    }

    /// The shape of a concrete resource type.
    pub(super) fn resource(&self, name: &str) -> Option<&Shape> {
        self.by_name.get(name).map(|id| self.at(*id)).filter(|shape| shape.is_resource)
    }

    pub(super) fn at(&self, id: ShapeId) -> &Shape {
        &self.all[usize::from(id.0)]
    }

    /// What stands in members with `_`.
    pub(super) fn element(&self) -> &Shape {
        self.at(self.element)
    }

    fn new(version: FhirVersion) -> Self {
        let definitions = Definitions::of(version);
        let types: Vec<_> =
            definitions.types().filter(|one| one.kind != TypeKind::Primitive).collect();
        let by_name: FxHashMap<_, _> =
            types.iter().zip(0..).map(|(one, index)| (one.name, ShapeId(index))).collect();
        let all = types.iter().map(|one| Shape::new(definitions, one, &by_name)).collect();
        let element = by_name[ELEMENT];
        Self { all, by_name, element }
    }
}

impl Shape {
    fn new(
        definitions: &'static Definitions,
        one: &'static TypeDefinition,
        by_name: &FxHashMap<&'static str, ShapeId>,
    ) -> Self {
        let elements = one.elements();
        assert!(elements.len() <= 128, "{} has more elements than a mask has bits", one.name);
        let mut members = FxHashMap::default();
        let mut required = 0;
        for (index, rule) in (0..).zip(elements) {
            if rule.min > 0 {
                required |= 1 << index;
            }
            for of in &rule.types {
                let member = Member {
                    element: index,
                    rule,
                    type_name: of.name,
                    content: content(definitions, of.name, by_name),
                    codes: rule.binding.and_then(|name| definitions.value_set(name)),
                    targets: &of.targets,
                };
                members.insert(json_name(rule, of.name).into_boxed_str(), member);
            }
        }
        let is_resource = one.kind == TypeKind::Resource && !one.is_abstract;
        let is_extension = one.name == "Extension";
        Self { name: one.name, is_resource, is_extension, required, elements, members }
    }

    pub(super) fn member(&self, json_name: &str) -> Option<&Member> {
        self.members.get(json_name)
    }
}

fn json_name(rule: &Element, type_name: &str) -> String {
    if !rule.choice {
        return rule.name.to_owned();
    }
    let mut name = rule.name.to_owned();
    let mut letters = type_name.chars();
    name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
    name.push_str(letters.as_str());
    name
}

fn content(
    definitions: &Definitions,
    type_name: &str,
    by_name: &FxHashMap<&'static str, ShapeId>,
) -> Content {
    if let Some(primitive) = Primitive::named(type_name) {
        return Content::Primitive(primitive);
    }
    let is_resource = definitions
        .type_named(type_name)
        .is_some_and(|one| one.kind == TypeKind::Resource && one.is_abstract);
    match by_name.get(type_name) {
        Some(id) if !is_resource => Content::Object(*id),
        _ => Content::Resource,
    }
}

//! Types: primitives, data types, backbone elements and resources.

use rustc_hash::FxHashMap;

use crate::element::Element;

/// What kind of thing a type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TypeKind {
    /// The type of an element that has elements of its own, named by its path: `Patient.contact`.
    Backbone,
    /// A data type with elements, such as `HumanName`.
    Complex,
    /// A data type with a value, such as `code`; a scalar in JSON.
    Primitive,
    /// A resource type, abstract ones included.
    Resource,
}

/// One type.
#[derive(Debug, PartialEq, Eq)]
pub struct TypeDefinition {
    /// Its name; a backbone type's is its path.
    pub name: &'static str,
    /// What kind of thing it is.
    pub kind: TypeKind,
    /// Whether it only exists to be specialised.
    pub is_abstract: bool,
    /// The type it specialises.
    pub base: Option<&'static str>,
    elements: Vec<Element>,
    by_name: FxHashMap<&'static str, u16>,
}

impl TypeDefinition {
    pub(crate) fn new(
        name: &'static str,
        kind: TypeKind,
        is_abstract: bool,
        base: Option<&'static str>,
        elements: Vec<Element>,
    ) -> Self {
        let by_name = elements.iter().zip(0..).map(|(one, index)| (one.name, index)).collect();
        Self { name, kind, is_abstract, base, elements, by_name }
    }

    /// Own and inherited elements, in the order they have in XML.
    ///
    /// A primitive type has `id`, `extension` and `value`; the type of `value` is a FHIRPath system
    /// type (`System.String`).
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// The element of this name; a choice is found by its name without `[x]`.
    pub fn element(&self, name: &str) -> Option<&Element> {
        self.by_name.get(name).map(|index| &self.elements[usize::from(*index)])
    }

    /// The element a JSON member (without a leading `_`) is, and its type.
    ///
    /// `valueQuantity` is the element `value` as a `Quantity`; a bare `value` is none where `value`
    /// is a choice.
    pub fn element_for_json(&self, json_name: &str) -> Option<(&Element, &'static str)> {
        if let Some(element) = self.element(json_name) {
            return element.type_for_json(json_name).map(|name| (element, name));
        }
        self.elements
            .iter()
            .filter(|element| element.choice)
            .find_map(|element| Some((element, element.type_for_json(json_name)?)))
    }
}

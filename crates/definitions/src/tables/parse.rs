//! Reads the text tables; their form is told at the head of each.
//!
//! The tables are part of the program, so a fault in one is a fault of the program: reading panics
//! with the line, and the tests read all of them.

use rustc_hash::FxHashMap;

use super::{Compartment, Definitions, is_concrete_resource};
use crate::element::{Element, Representation, TypeRef};
use crate::search_parameter::{Component, SearchKind, SearchParameter};
use crate::type_definition::{TypeDefinition, TypeKind};
use crate::value_set::ValueSet;
use crate::version::FhirVersion;

/// What a table says, before anything is inherited.
#[derive(Default)]
struct Raw {
    types: Vec<RawType>,
    /// What the target `*` stands for.
    any: Vec<&'static str>,
    parameters: Vec<SearchParameter>,
    value_sets: Vec<ValueSet>,
    compartments: Vec<Compartment>,
}

struct RawType {
    name: &'static str,
    kind: TypeKind,
    is_abstract: bool,
    base: Option<&'static str>,
    elements: Vec<Element>,
}

/// What the indented lines belong to.
enum Section {
    Compartment,
    Nothing,
    Parameter,
    Type,
    ValueSet,
}

impl Definitions {
    /// Reads the tables of a version, which are merged.
    ///
    /// # Panics
    ///
    /// When a table breaks its form or names what it does not define.
    pub(super) fn read(version: FhirVersion, tables: &[&'static str]) -> Self {
        let mut raw = Raw::default();
        for table in tables {
            let mut section = Section::Nothing;
            for (number, line) in (1..).zip(table.lines()) {
                let read = raw.line(line, &mut section);
                assert!(read.is_some(), "{version} definitions, line {number}: {line}");
            }
        }
        let types = inherit(raw.types);
        let value_sets: FxHashMap<_, _> =
            raw.value_sets.into_iter().map(|one| (one.name, one)).collect();
        check_bindings(&types, &value_sets);
        let mut resource_types: Vec<_> =
            types.values().filter(|one| is_concrete_resource(one)).map(|one| one.name).collect();
        resource_types.sort_unstable();
        let parameters: &'static [SearchParameter] = Vec::leak(raw.parameters);
        Self {
            version,
            resource_types: Vec::leak(resource_types),
            by_url: parameters.iter().map(|one| (one.url, one)).collect(),
            parameters: parameters_by_type(&types, parameters),
            compartments: raw.compartments,
            types,
            value_sets,
        }
    }
}

impl Raw {
    /// Reads one line; `None` when it breaks the form.
    fn line(&mut self, line: &'static str, section: &mut Section) -> Option<()> {
        if line.is_empty() || line.starts_with('#') {
            return Some(());
        }
        if let Some(rest) = line.strip_prefix(' ') {
            return match section {
                Section::Compartment => self.compartment_line(rest),
                Section::Nothing => None,
                Section::Parameter => parameter_line(self.parameters.last_mut()?, &self.any, rest),
                Section::Type => {
                    self.types.last_mut()?.elements.push(element(rest)?);
                    Some(())
                }
                Section::ValueSet => {
                    let mut words = rest.split(' ');
                    let system = words.next()?;
                    self.value_sets.last_mut()?.systems.push((system, words.collect()));
                    Some(())
                }
            };
        }
        let (word, rest) = line.split_once(' ')?;
        *section = match word {
            "any" => {
                self.any = rest.split(' ').collect();
                Section::Nothing
            }
            "compartment" => {
                self.compartments.push(Compartment { name: rest, codes: FxHashMap::default() });
                Section::Compartment
            }
            "parameter" => {
                self.parameters.push(parameter(rest)?);
                Section::Parameter
            }
            "primitive" | "complex" | "backbone" | "resource" => {
                self.types.push(type_head(word, rest)?);
                Section::Type
            }
            "valueset" => {
                self.value_sets.push(ValueSet { name: rest, systems: Vec::new() });
                Section::ValueSet
            }
            _ => return None,
        };
        Some(())
    }

    fn compartment_line(&mut self, rest: &'static str) -> Option<()> {
        let (resource_type, codes) = rest.split_once(' ')?;
        let compartment = self.compartments.last_mut()?;
        compartment.codes.insert(resource_type, codes.split(' ').collect());
        Some(())
    }
}

/// `NAME [abstract] [: BASE]`
fn type_head(kind: &str, rest: &'static str) -> Option<RawType> {
    let kind = match kind {
        "backbone" => TypeKind::Backbone,
        "complex" => TypeKind::Complex,
        "primitive" => TypeKind::Primitive,
        "resource" => TypeKind::Resource,
        _ => return None,
    };
    let (head, base) = match rest.split_once(" : ") {
        Some((head, base)) => (head, Some(base)),
        None => (rest, None),
    };
    let (name, is_abstract) = match head.strip_suffix(" abstract") {
        Some(name) => (name, true),
        None => (head, false),
    };
    Some(RawType { name, kind, is_abstract, base, elements: Vec::new() })
}

/// `NAME[[x]] MIN..MAX FLAGS TYPE… [{VALUESET}]`
fn element(line: &'static str) -> Option<Element> {
    let bound = line.strip_suffix('}').and_then(|line| line.rsplit_once(" {"));
    let (line, binding) = match bound {
        Some((line, name)) => (line, Some(name)),
        None => (line, None),
    };
    let mut words = line.split(' ');
    let name = words.next()?;
    let (name, choice) = match name.strip_suffix("[x]") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let (min, max) = words.next()?.split_once("..")?;
    let flags = words.next()?;
    let types = words.map(type_ref).collect::<Option<Vec<_>>>()?;
    Some(Element {
        name,
        choice,
        types: if types.is_empty() { return None } else { types },
        min: min.parse().ok()?,
        max: if max == "*" { None } else { Some(max.parse().ok()?) },
        is_modifier: flags.contains('m'),
        is_summary: flags.contains('s'),
        representation: if flags.contains('a') {
            Representation::Attribute
        } else if flags.contains('x') {
            Representation::Xhtml
        } else {
            Representation::Element
        },
        binding,
    })
}

/// `NAME` or `NAME(TARGET|TARGET)`
fn type_ref(text: &'static str) -> Option<TypeRef> {
    let Some((name, rest)) = text.split_once('(') else {
        return Some(TypeRef { name: text, targets: Vec::new() });
    };
    Some(TypeRef { name, targets: rest.strip_suffix(')')?.split('|').collect() })
}

/// `KIND CODE URL BASE…`
fn parameter(rest: &'static str) -> Option<SearchParameter> {
    let mut words = rest.split(' ');
    Some(SearchParameter {
        kind: SearchKind::parse(words.next()?)?,
        code: words.next()?,
        url: words.next()?,
        base: words.collect(),
        expression: None,
        targets: Vec::new(),
        components: Vec::new(),
        comparators: Vec::new(),
        modifiers: Vec::new(),
    })
}

/// The lines below a parameter's head, each with a sign of its own.
fn parameter_line(
    parameter: &mut SearchParameter,
    any: &[&'static str],
    rest: &'static str,
) -> Option<()> {
    let (sign, rest) = rest.split_once(' ')?;
    match sign {
        "=" => parameter.expression = Some(rest),
        ">" if rest == "*" => parameter.targets = any.to_vec(),
        ">" => parameter.targets = rest.split(' ').collect(),
        "&" => {
            let (definition, expression) = rest.split_once(' ')?;
            parameter.components.push(Component { definition, expression });
        }
        "<" => parameter.comparators = rest.split(' ').collect(),
        ":" => parameter.modifiers = rest.split(' ').collect(),
        _ => return None,
    }
    Some(())
}

/// Gives each type the elements of its bases, before its own.
fn inherit(mut raw: Vec<RawType>) -> FxHashMap<&'static str, &'static TypeDefinition> {
    let index: FxHashMap<&'static str, usize> =
        raw.iter().zip(0..).map(|(one, index)| (one.name, index)).collect();
    assert_eq!(index.len(), raw.len(), "a type is defined twice");
    let mut types = FxHashMap::default();
    for at in 0..raw.len() {
        finish(at, &mut raw, &index, &mut types);
    }
    types
}

/// Makes a type of a raw one, and before that of its base; does nothing when that was done.
fn finish(
    at: usize,
    raw: &mut [RawType],
    index: &FxHashMap<&'static str, usize>,
    types: &mut FxHashMap<&'static str, &'static TypeDefinition>,
) {
    let RawType { name, kind, is_abstract, base, .. } = raw[at];
    if types.contains_key(name) {
        return;
    }
    let own = std::mem::take(&mut raw[at].elements);
    check_types(index, name, &own);
    let elements = match base {
        None => own,
        Some(base) => {
            let base_at = *index.get(base).unwrap_or_else(|| panic!("{name} has no base {base}"));
            finish(base_at, raw, index, types);
            merge(types[base].elements(), own)
        }
    };
    let one = TypeDefinition::new(name, kind, is_abstract, base, elements);
    types.insert(name, Box::leak(Box::new(one)));
}

/// An element that a type states again replaces the inherited one where it stands.
fn merge(inherited: &[Element], own: Vec<Element>) -> Vec<Element> {
    let mut elements = Vec::with_capacity(inherited.len() + own.len());
    elements.extend_from_slice(inherited);
    for one in own {
        match elements[..inherited.len()].iter_mut().find(|other| other.name == one.name) {
            Some(other) => *other = one,
            None => elements.push(one),
        }
    }
    elements
}

fn check_types(index: &FxHashMap<&'static str, usize>, of: &str, elements: &[Element]) {
    for element in elements {
        for one in &element.types {
            let known = index.contains_key(one.name) || one.name.starts_with("System.");
            assert!(known, "{of}.{} has the unknown type {}", element.name, one.name);
            for target in &one.targets {
                assert!(index.contains_key(target), "{of}.{}: {target}", element.name);
            }
        }
    }
}

fn check_bindings(
    types: &FxHashMap<&'static str, &'static TypeDefinition>,
    value_sets: &FxHashMap<&'static str, ValueSet>,
) {
    for one in types.values() {
        for name in one.elements().iter().filter_map(|element| element.binding) {
            let set = value_sets.get(name);
            let is_sorted = |set: &ValueSet| set.systems.iter().all(|(_, codes)| codes.is_sorted());
            assert!(set.is_some_and(is_sorted), "{} is bound to {name}", one.name);
        }
    }
}

/// The parameters of each resource type, inherited ones included; the nearest definition of a code
/// counts.
fn parameters_by_type(
    types: &FxHashMap<&'static str, &'static TypeDefinition>,
    parameters: &'static [SearchParameter],
) -> FxHashMap<&'static str, &'static [&'static SearchParameter]> {
    let mut own: FxHashMap<&'static str, Vec<&'static SearchParameter>> = FxHashMap::default();
    for one in parameters {
        for base in &one.base {
            assert!(types.contains_key(base), "{} is for the unknown type {base}", one.url);
            own.entry(base).or_default().push(one);
        }
    }
    let resources = types.values().filter(|one| one.kind == TypeKind::Resource);
    resources
        .map(|resource| {
            let mut all: Vec<&'static SearchParameter> = Vec::new();
            let mut at = Some(*resource);
            while let Some(one) = at {
                all.extend(own.get(one.name).into_iter().flatten());
                at = one.base.and_then(|base| types.get(base).copied());
            }
            // The sort is stable and the nearest type came first, so the first of a code is its.
            all.sort_by_key(|one| one.code);
            all.dedup_by_key(|one| one.code);
            (resource.name, &*Vec::leak(all))
        })
        .collect()
}

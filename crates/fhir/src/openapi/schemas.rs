//! JSON Schemas of resource types and of all types that they are made of.

use std::collections::{BTreeSet, VecDeque};

use cresset_definitions::{Definitions, Element, TypeDefinition, TypeKind};
use serde_json::{Map, Value, json};

use super::component;

/// What every description speaks of, whatever types it is for.
const ALWAYS: [&str; 5] =
    ["Bundle", "CapabilityStatement", "OperationOutcome", "Parameters", "Resource"];

/// What is not described in depth: any type may stand in it.
const OPEN: [&str; 2] = ["Extension", "Resource"];

const YEAR: &str = "[12][0-9]{3}";
const MONTH: &str = "(0[1-9]|1[0-2])";
const DAY: &str = "(0[1-9]|[12][0-9]|3[01])";
const DATE: &str = "[12][0-9]{3}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?";
const TIME: &str = "([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\\.[0-9]+)?";
const ZONE: &str = "(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])";

/// The schemas of these types and of all that they refer to, by name.
pub(super) fn of_types<'t>(
    definitions: &'static Definitions,
    types: impl Iterator<Item = &'t str>,
) -> Map<String, Value> {
    let mut schemas = search_values();
    let mut wanted: VecDeque<String> = types.chain(ALWAYS).map(str::to_owned).collect();
    let mut seen: BTreeSet<String> = wanted.iter().cloned().collect();
    while let Some(name) = wanted.pop_front() {
        let Some(definition) = definitions.type_named(&name) else { continue };
        let schema = match definition.kind {
            TypeKind::Primitive => primitive(definition.name),
            TypeKind::Backbone | TypeKind::Complex | TypeKind::Resource => {
                let (schema, parts) = object(definitions, definition);
                wanted.extend(parts.into_iter().filter(|part| seen.insert(part.clone())));
                schema
            }
        };
        schemas.insert(name, schema);
    }
    schemas
}

/// What values of search parameters look like, by the parameter's type; modifiers and what is
/// behind the first value of a list are not described.
fn search_values() -> Map<String, Value> {
    let date = format!("^(eq|ne|gt|lt|ge|le|sa|eb|ap)?{DATE}$");
    let number = r"^(eq|ne|gt|lt|ge|le|ap)?-?[0-9]{1,6}(\.[0-9]{1,3})?";
    let schemas = [
        ("composite", json!({"type": "string"})),
        ("date", json!({"type": "string", "pattern": date})),
        ("number", json!({"type": "string", "pattern": format!("{number}$")})),
        (
            "quantity",
            json!({"type": "string", "pattern": format!(r"{number}(\|[^|,]*\|[^|,]*)?$")}),
        ),
        ("reference", json!({"type": "string"})),
        ("special", json!({"type": "string"})),
        ("string", json!({"type": "string"})),
        ("token", json!({"type": "string"})),
        ("uri", json!({"type": "string"})),
    ];
    let named = schemas.into_iter().map(|(name, schema)| (format!("search-{name}"), schema));
    named.collect()
}

pub(super) fn primitive(name: &str) -> Value {
    let text = |pattern: &str| json!({"type": "string", "pattern": pattern});
    match name {
        "boolean" => json!({"type": "boolean"}),
        "decimal" => json!({"type": "number"}),
        "integer" => json!({"type": "integer", "minimum": i32::MIN, "maximum": i32::MAX}),
        "positiveInt" => json!({"type": "integer", "minimum": 1, "maximum": i32::MAX}),
        "unsignedInt" => json!({"type": "integer", "minimum": 0, "maximum": i32::MAX}),
        "integer64" => text("^(0|-?[1-9][0-9]{0,17})$"),
        "base64Binary" => text("^[0-9a-zA-Z+/]+={0,2}$"),
        "code" => text("^\\S+( \\S+)*$"),
        "date" => text(&format!("^{DATE}$")),
        "dateTime" => text(&format!("^{YEAR}(-{MONTH}(-{DAY}(T{TIME}{ZONE})?)?)?$")),
        "instant" => text(&format!("^{YEAR}-{MONTH}-{DAY}T{TIME}{ZONE}$")),
        "id" => text("^[A-Za-z0-9.-]{1,64}$"),
        "oid" => text("^urn:oid:[0-2](\\.(0|[1-9][0-9]*))+$"),
        "time" => text(&format!("^{TIME}$")),
        "uuid" => text("^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"),
        "canonical" | "uri" | "url" => text("^\\S+$"),
        "markdown" | "string" => text("\\S"),
        _ => json!({"type": "string"}),
    }
}

/// The schema of a type with elements, and the types of these.
fn object(
    definitions: &'static Definitions,
    definition: &TypeDefinition,
) -> (Value, BTreeSet<String>) {
    let is_open = OPEN.contains(&definition.name);
    let (mut properties, mut required, mut parts) = (Map::new(), Vec::new(), BTreeSet::new());
    if definition.kind == TypeKind::Resource {
        let is_any = definition.name == "Resource";
        let known =
            if is_any { json!({"type": "string"}) } else { json!({"const": definition.name}) };
        properties.insert("resourceType".to_owned(), known);
        required.push("resourceType");
    }
    for element in definition.elements().iter().filter(|one| !is_open || !one.choice) {
        for type_name in element.types.iter().map(|one| one.name) {
            let (name, schema) = property(definitions, element, type_name, &mut parts);
            properties.insert(name, schema);
        }
        if element.min > 0 && !element.choice {
            required.push(element.name);
        }
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !is_open {
        // What stands beside a primitive.
        schema["patternProperties"] = json!({"^_[a-z]": {"type": ["array", "object"]}});
        schema["additionalProperties"] = json!(false);
    }
    (schema, parts)
}

/// An element as a member, of one of its types.
fn property(
    definitions: &'static Definitions,
    element: &Element,
    type_name: &'static str,
    parts: &mut BTreeSet<String>,
) -> (String, Value) {
    let name = match (element.choice, type_name.split_at_checked(1)) {
        (true, Some((first, rest))) => {
            format!("{}{}{rest}", element.name, first.to_ascii_uppercase())
        }
        (true, None) | (false, _) => element.name.to_owned(),
    };
    let codes = element.binding.filter(|_| type_name == "code");
    let codes = codes.and_then(|binding| definitions.value_set(binding));
    let one = match (codes, definitions.type_named(type_name)) {
        (Some(value_set), _) => json!({"enum": value_set.codes().collect::<BTreeSet<_>>()}),
        (None, Some(_)) => {
            parts.insert(type_name.to_owned());
            component("schemas", type_name)
        }
        // The `id` of an element, and the value of a primitive, are of FHIRPath's own types.
        (None, None) => json!({"type": "string", "minLength": 1}),
    };
    let schema =
        if element.is_list() { json!({"type": "array", "minItems": 1, "items": one}) } else { one };
    (name, schema)
}

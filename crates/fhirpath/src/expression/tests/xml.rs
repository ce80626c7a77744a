//! FHIR's XML as JSON, as far as the official test suites need it.

use cresset_definitions::{Definitions, Element, TypeDefinition, TypeKind};
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use serde_json::{Map, Value};

/// An element of an XML document.
#[derive(Debug, Default)]
pub(super) struct Xml {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<Self>,
    pub(super) text: String,
}

impl Xml {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn begun(start: &BytesStart<'_>) -> Xml {
    let attributes = start.attributes().map(|attribute| {
        let attribute = attribute.expect("an attribute");
        let key = attribute.key.as_ref().to_owned();
        let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0);
        (key, value.expect("a value").into_owned())
    });
    Xml {
        name: start.local_name().as_ref().to_owned(),
        attributes: attributes.collect(),
        ..Xml::default()
    }
}

/// Reads a document.
pub(super) fn read(text: &str) -> Xml {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Xml::default()];
    loop {
        match reader.read_event().expect("XML") {
            Event::Start(start) => open.push(begun(&start)),
            Event::Empty(start) => {
                let one = begun(&start);
                open.last_mut().expect("open").children.push(one);
            }
            Event::End(_) => {
                let one = open.pop().expect("open");
                open.last_mut().expect("open").children.push(one);
            }
            Event::Text(text) => {
                let text = text.replace("\r\n", "\n");
                open.last_mut().expect("open").text.push_str(&text);
            }
            Event::GeneralRef(reference) => {
                let name: &str = &reference;
                let one = match reference.resolve_char_ref().expect("a character") {
                    Some(character) => character.to_string(),
                    None => quick_xml::escape::resolve_predefined_entity(name)
                        .expect("a known entity")
                        .to_owned(),
                };
                open.last_mut().expect("open").text.push_str(&one);
            }
            Event::CData(data) => {
                open.last_mut().expect("open").text.push_str(&data);
            }
            Event::Eof => return open.remove(0).children.remove(0),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

/// A resource in XML as FHIR's JSON.
pub(super) fn resource(definitions: &'static Definitions, xml: &Xml) -> Value {
    let definition = definitions.type_named(&xml.name).expect("a resource type");
    let mut members = Map::new();
    members.insert("resourceType".to_owned(), xml.name.clone().into());
    fill(definitions, definition, xml, &mut members);
    Value::Object(members)
}

fn fill(
    definitions: &'static Definitions,
    definition: &TypeDefinition,
    xml: &Xml,
    members: &mut Map<String, Value>,
) {
    for (name, value) in &xml.attributes {
        if name == "url" || name == "id" {
            members.insert(name.clone(), value.clone().into());
        }
    }
    for child in &xml.children {
        let (element, type_name) =
            definition.element_for_json(&child.name).unwrap_or_else(|| panic!("{}", child.name));
        let definition = definitions.type_named(type_name).expect("a type");
        if definition.kind == TypeKind::Primitive {
            primitive(definitions, element, definition, child, members);
            continue;
        }
        let value = if definition.kind == TypeKind::Resource {
            resource(definitions, &child.children[0])
        } else {
            let mut inner = Map::new();
            fill(definitions, definition, child, &mut inner);
            Value::Object(inner)
        };
        add(members, &child.name, value, element.is_list());
    }
}

fn primitive(
    definitions: &'static Definitions,
    element: &Element,
    definition: &TypeDefinition,
    xml: &Xml,
    members: &mut Map<String, Value>,
) {
    if definition.name == "xhtml" {
        members.insert(xml.name.clone(), "<div/>".into());
        return;
    }
    let value = xml.attribute("value").map_or(Value::Null, |text| match definition.name {
        "boolean" | "decimal" | "integer" | "positiveInt" | "unsignedInt" => {
            serde_json::from_str(text).expect("a JSON value")
        }
        _ => text.into(),
    });
    let mut sibling = Map::new();
    let bare = Xml { attributes: Vec::new(), children: Vec::new(), ..Xml::default() };
    fill(definitions, definition, &bare, &mut sibling);
    for extension in &xml.children {
        let mut inner = Map::new();
        let definition = definitions.type_named("Extension").expect("Extension");
        fill(definitions, definition, extension, &mut inner);
        add(&mut sibling, "extension", Value::Object(inner), true);
    }
    let sibling = if sibling.is_empty() { Value::Null } else { Value::Object(sibling) };
    let is_list = element.is_list();
    if is_list || !sibling.is_null() {
        add(members, &format!("_{}", xml.name), sibling, is_list);
    }
    if is_list || !value.is_null() {
        add(members, &xml.name, value, is_list);
    }
}

fn add(members: &mut Map<String, Value>, name: &str, value: Value, is_list: bool) {
    if !is_list {
        members.insert(name.to_owned(), value);
        return;
    }
    let values = members.entry(name).or_insert_with(|| Value::Array(Vec::new()));
    values.as_array_mut().expect("an array").push(value);
}

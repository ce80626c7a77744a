//! From a JSON value to XML.

use cresset_definitions::{Definitions, Element, Representation, TypeDefinition, TypeKind};
use quick_xml::escape::escape;
use serde_json::{Map, Value};

use super::{NAMESPACE, XHTML, markup};

/// Writes a resource as XML to the end of `out`.
///
/// Elements that the version does not define are left out.
pub(crate) fn from_json(definitions: &'static Definitions, resource: &Value, out: &mut String) {
    out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    Writer { definitions, out }.resource(resource, true);
}

struct Writer<'o> {
    definitions: &'static Definitions,
    out: &'o mut String,
}

impl Writer<'_> {
    fn resource(&mut self, resource: &Value, is_root: bool) {
        let Some(members) = resource.as_object() else { return };
        let name = members.get("resourceType").and_then(Value::as_str).unwrap_or_default();
        let Some(one) = self.definitions.type_named(name) else { return };
        let attributes = if is_root { format!(" xmlns=\"{NAMESPACE}\"") } else { String::new() };
        self.element(name, &attributes, members, one);
    }

    /// An element with the elements of its type.
    fn element(
        &mut self,
        tag: &str,
        attributes: &str,
        members: &Map<String, Value>,
        one: &'static TypeDefinition,
    ) {
        self.out.push('<');
        self.out.push_str(tag);
        self.out.push_str(attributes);
        for element in one.elements() {
            if element.representation == Representation::Attribute
                && let Some(value) = members.get(element.name).and_then(Value::as_str)
            {
                self.attribute(element.name, value);
            }
        }
        self.out.push('>');
        let content = self.out.len();
        for element in one.elements() {
            if element.representation != Representation::Attribute {
                self.members(members, element);
            }
        }
        self.close(tag, content);
    }

    /// Ends an element whose content began at `content`; one without content is empty.
    fn close(&mut self, tag: &str, content: usize) {
        if self.out.len() == content {
            self.out.truncate(content - 1);
            self.out.push_str("/>");
        } else {
            self.out.push_str("</");
            self.out.push_str(tag);
            self.out.push('>');
        }
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        for letter in escape(value).chars() {
            // White space in an attribute is read as blanks unless it is written as references.
            match letter {
                '\n' => self.out.push_str("&#10;"),
                '\r' => self.out.push_str("&#13;"),
                '\t' => self.out.push_str("&#9;"),
                other => self.out.push(markup::legal(other)),
            }
        }
        self.out.push('"');
    }

    /// All that an element has in a JSON object.
    fn members(&mut self, members: &Map<String, Value>, element: &'static Element) {
        for of in &element.types {
            let name = json_name(element, of.name);
            let sibling = members.get(&format!("_{name}"));
            let value = members.get(&name);
            if value.is_none() && sibling.is_none() {
                continue;
            }
            let Some(one) = self.definitions.type_named(of.name) else { continue };
            let items = |value: Option<&Value>| match value {
                Some(Value::Array(items)) => items.len(),
                Some(_) => 1,
                None => 0,
            };
            for index in 0..items(value).max(items(sibling)) {
                self.value(&name, item(value, index), item(sibling, index), one);
            }
        }
    }

    fn value(
        &mut self,
        tag: &str,
        value: Option<&Value>,
        sibling: Option<&Value>,
        one: &'static TypeDefinition,
    ) {
        if one.name == XHTML {
            if let Some(text) = value.and_then(Value::as_str) {
                markup::write(text, self.out);
            }
            return;
        }
        match (one.kind, value) {
            (TypeKind::Primitive, _) => self.primitive(tag, value, sibling, one),
            (TypeKind::Resource, Some(resource)) => {
                self.out.push('<');
                self.out.push_str(tag);
                self.out.push('>');
                let content = self.out.len();
                self.resource(resource, false);
                self.close(tag, content);
            }
            (TypeKind::Backbone | TypeKind::Complex, Some(Value::Object(members))) => {
                self.element(tag, "", members, one);
            }
            (TypeKind::Backbone | TypeKind::Complex | TypeKind::Resource, _) => {}
        }
    }

    fn primitive(
        &mut self,
        tag: &str,
        value: Option<&Value>,
        sibling: Option<&Value>,
        one: &'static TypeDefinition,
    ) {
        let nothing = Map::new();
        let extras = sibling.and_then(Value::as_object).unwrap_or(&nothing);
        let start = self.out.len();
        match value {
            Some(Value::String(text)) => self.attribute("value", text),
            Some(Value::Bool(flag)) => {
                self.attribute("value", if *flag { "true" } else { "false" })
            }
            Some(Value::Number(number)) => self.attribute("value", number.as_str()),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => {}
        }
        let attributes = self.out.split_off(start);
        if !attributes.is_empty() || !extras.is_empty() {
            self.element(tag, &attributes, extras, one);
        }
    }
}

/// The item of a list, or the value that is none.
fn item(value: Option<&Value>, index: usize) -> Option<&Value> {
    match value {
        Some(Value::Array(items)) => items.get(index),
        other => other.filter(|_| index == 0),
    }
}

fn json_name(element: &Element, type_name: &str) -> String {
    let mut name = element.name.to_owned();
    if element.choice {
        let mut letters = type_name.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

//! From XML to JSON bytes.

use std::borrow::Cow;

use cresset_definitions::{Definitions, Representation, TypeDefinition, TypeKind};
use cresset_model::{Issue, IssueCode, Issues};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::{NAMESPACE, XHTML, XHTML_NAMESPACE};
use crate::element::shortened;
use crate::json::{self, write_object};

/// Reads a resource in XML and gives its JSON.
///
/// # Errors
/// One issue with line and column and nothing of the content: not UTF-8, not well-formed, a document
/// type or an entity, another namespace, an element or attribute that is not defined, or text where
/// none belongs.
pub(crate) fn to_json(definitions: &'static Definitions, bytes: &[u8]) -> Result<Vec<u8>, Issues> {
    let bytes = json::without_bom(bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|error| at(bytes, error.valid_up_to(), Fault::not_xml("this is not UTF-8")))?;
    let mut parser = Parser { definitions, reader: Reader::from_str(text), depth: 0 };
    let result = parser.document();
    let position =
        usize::try_from(parser.reader.error_position().max(parser.reader.buffer_position()));
    result.map_err(|fault| at(bytes, position.unwrap_or(usize::MAX), fault))
}

/// The issue of a fault, with its place.
fn at(bytes: &[u8], position: usize, fault: Fault) -> Issues {
    let before = &bytes[..position.min(bytes.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let column = before[start..].iter().filter(|byte| (**byte & 0xC0) != 0x80).count() + 1;
    let text = format!("line {line}, column {column}: {}", fault.text);
    Issue::error(fault.code, text).into()
}

struct Fault {
    code: IssueCode,
    text: Cow<'static, str>,
}

impl Fault {
    fn not_xml(text: impl Into<Cow<'static, str>>) -> Self {
        Self { code: IssueCode::NotXml, text: text.into() }
    }

    fn unknown(text: String) -> Self {
        Self { code: IssueCode::UnknownElement, text: text.into() }
    }
}

impl From<quick_xml::Error> for Fault {
    fn from(_: quick_xml::Error) -> Self {
        Self::not_xml("this is not well-formed XML")
    }
}

impl From<quick_xml::events::attributes::AttrError> for Fault {
    fn from(_: quick_xml::events::attributes::AttrError) -> Self {
        Self::not_xml("an attribute is not well-formed or stands twice")
    }
}

struct Parser<'x> {
    definitions: &'static Definitions,
    reader: Reader<&'x [u8]>,
    depth: usize,
}

/// What an element says, as pieces of JSON.
enum Content {
    Object(Vec<u8>),
    /// A primitive: its value, and the object with its id and extensions.
    Primitive {
        value: Option<Vec<u8>>,
        sibling: Option<Vec<u8>>,
    },
}

/// All elements of one name within an element.
struct Group {
    json_name: String,
    is_list: bool,
    contents: Vec<Content>,
}

/// An element's start, kept while its content is read.
struct Start<'x> {
    tag: BytesStart<'x>,
    is_empty: bool,
}

impl<'x> Parser<'x> {
    fn document(&mut self) -> Result<Vec<u8>, Fault> {
        let Some(start) = self.next_start()? else {
            return Err(Fault::not_xml("there is no element"));
        };
        let resource = self.resource(&start)?;
        if self.next_start()?.is_some() {
            return Err(Fault::not_xml("there is more than one element"));
        }
        Ok(resource)
    }

    /// The next element that starts, or none where the element around it, or the document, ends.
    fn next_start(&mut self) -> Result<Option<Start<'x>>, Fault> {
        loop {
            match self.reader.read_event()? {
                Event::Start(tag) => return Ok(Some(Start { tag, is_empty: false })),
                Event::Empty(tag) => return Ok(Some(Start { tag, is_empty: true })),
                Event::End(_) | Event::Eof => return Ok(None),
                Event::Text(text) if text.bytes().all(|byte| byte.is_ascii_whitespace()) => {}
                Event::Comment(_) | Event::PI(_) => {}
                Event::Decl(declaration) => check_encoding(declaration.encoding())?,
                Event::DocType(_) => return Err(Fault::not_xml("a document type is not allowed")),
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {
                    return Err(Fault::not_xml("there is text where only elements belong"));
                }
            }
        }
    }

    /// An element that is a resource.
    fn resource(&mut self, start: &Start<'x>) -> Result<Vec<u8>, Fault> {
        let name = start.tag.name();
        let name = name.as_ref();
        let one = self.definitions.type_named(name).filter(|_| self.definitions.is_resource(name));
        let Some(one) = one else {
            let text = format!("there is no resource type `{}`", shortened(name));
            return Err(Fault { code: IssueCode::WrongResourceType, text: text.into() });
        };
        self.object(start, one, Some(one.name))
    }

    /// An element with elements of its own.
    fn object(
        &mut self,
        start: &Start<'x>,
        one: &'static TypeDefinition,
        resource_type: Option<&str>,
    ) -> Result<Vec<u8>, Fault> {
        self.depth += 1;
        if self.depth > json::DEPTH_MAX {
            return Err(Fault {
                code: IssueCode::NestedTooDeep,
                text: "the body nests too deep".into(),
            });
        }
        let mut groups = self.attributes(start, one)?;
        if !start.is_empty {
            while let Some(child) = self.next_start()? {
                self.child(&child, one, &mut groups)?;
            }
        }
        self.depth -= 1;
        Ok(render(resource_type, &groups))
    }

    /// The attributes that stand for elements; `value` of primitives is not among them.
    fn attributes(&self, start: &Start<'x>, one: &TypeDefinition) -> Result<Vec<Group>, Fault> {
        let mut groups = Vec::new();
        for attribute in start.tag.attributes() {
            let attribute = attribute?;
            let name = attribute.key.as_ref();
            let value = attribute.normalized_value(XmlVersion::Implicit1_0)?;
            if is_namespace(name, &value)? || (name == "value" && one.kind == TypeKind::Primitive) {
                continue;
            }
            let element = one.element(name);
            if element.is_none_or(|one| one.representation != Representation::Attribute) {
                let text = format!("{} has no attribute `{}`", one.name, shortened(name));
                return Err(Fault::unknown(text));
            }
            let content = Content::Primitive { value: Some(quoted(&value)), sibling: None };
            groups.push(Group {
                json_name: name.to_owned(),
                is_list: false,
                contents: vec![content],
            });
        }
        Ok(groups)
    }

    fn child(
        &mut self,
        start: &Start<'x>,
        one: &'static TypeDefinition,
        groups: &mut Vec<Group>,
    ) -> Result<(), Fault> {
        let tag = start.tag.name();
        let name = tag.as_ref();
        let found = one.element_for_json(name);
        let found = found.filter(|(one, _)| one.representation != Representation::Attribute);
        let Some((element, type_name)) = found else {
            let text = format!("{} has no element `{}`", one.name, shortened(name));
            return Err(Fault::unknown(text));
        };
        let content = self.content(start, type_name)?;
        match groups.iter_mut().find(|group| group.json_name == name) {
            Some(group) if group.is_list => group.contents.push(content),
            Some(_) => {
                let text = format!("{}.{} stands twice", one.name, shortened(name));
                return Err(Fault { code: IssueCode::InvalidElement, text: text.into() });
            }
            None => groups.push(Group {
                json_name: name.to_owned(),
                is_list: element.is_list(),
                contents: vec![content],
            }),
        }
        Ok(())
    }

    fn content(&mut self, start: &Start<'x>, type_name: &'static str) -> Result<Content, Fault> {
        if type_name == XHTML {
            let value = Some(quoted(&self.xhtml(start)?));
            return Ok(Content::Primitive { value, sibling: None });
        }
        match self.definitions.type_named(type_name) {
            Some(one) if one.kind == TypeKind::Primitive => self.primitive(start, one),
            Some(one) if one.kind == TypeKind::Resource => {
                self.attributes(start, one)?;
                let inner = if start.is_empty { None } else { self.next_start()? };
                let Some(inner) = inner else {
                    return Err(Fault::not_xml("a resource is missing"));
                };
                let resource = self.resource(&inner)?;
                if self.next_start()?.is_some() {
                    return Err(Fault::not_xml("there is more than one resource"));
                }
                Ok(Content::Object(resource))
            }
            Some(one) => Ok(Content::Object(self.object(start, one, None)?)),
            None => Err(Fault::unknown(format!("the type {type_name} is not defined"))),
        }
    }

    fn primitive(
        &mut self,
        start: &Start<'x>,
        one: &'static TypeDefinition,
    ) -> Result<Content, Fault> {
        let attribute = start.tag.try_get_attribute("value")?;
        let value = match attribute {
            Some(attribute) => {
                Some(scalar(one.name, &attribute.normalized_value(XmlVersion::Implicit1_0)?))
            }
            None => None,
        };
        let sibling = self.object(start, one, None)?;
        let sibling = (sibling != b"{}").then_some(sibling);
        if value.is_none() && sibling.is_none() {
            return Err(Fault {
                code: IssueCode::InvalidElement,
                text: "an element must have a value or children".into(),
            });
        }
        Ok(Content::Primitive { value, sibling })
    }

    /// The markup of a narrative, as it stands.
    fn xhtml(&mut self, start: &Start<'x>) -> Result<String, Fault> {
        let mut markup = format!("<{}", &*start.tag);
        if start.tag.try_get_attribute("xmlns")?.is_none() {
            return Err(Fault::not_xml(format!("a div must be of {XHTML_NAMESPACE}")));
        }
        if start.is_empty {
            markup.push_str("/>");
            return Ok(markup);
        }
        markup.push('>');
        let end = start.tag.to_end();
        markup.push_str(&self.reader.read_text(end.name())?);
        markup.push_str("</");
        markup.push_str(start.tag.name().as_ref());
        markup.push('>');
        Ok(markup)
    }
}

fn check_encoding(
    encoding: Option<Result<Cow<'_, str>, quick_xml::events::attributes::AttrError>>,
) -> Result<(), Fault> {
    match encoding.transpose()? {
        Some(name) if !name.eq_ignore_ascii_case("utf-8") => {
            Err(Fault::not_xml("the encoding must be UTF-8"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether an attribute declares a namespace, which must be FHIR's.
fn is_namespace(name: &str, value: &str) -> Result<bool, Fault> {
    match name {
        "xmlns" if value == NAMESPACE => Ok(true),
        "xmlns" => Err(Fault::not_xml(format!("the namespace must be {NAMESPACE}"))),
        _ => Ok(name.starts_with("xmlns:") || name == "xsi:schemaLocation"),
    }
}

fn quoted(text: &str) -> Vec<u8> {
    json::quoted(text)
}

/// A primitive's JSON; what is no number or boolean stays text, for the check of the form to tell.
fn scalar(type_name: &str, text: &str) -> Vec<u8> {
    let is_bare = match type_name {
        "boolean" => matches!(text, "true" | "false"),
        "decimal" | "integer" | "positiveInt" | "unsignedInt" => {
            text.bytes().all(|byte| byte.is_ascii_graphic())
                && json::parse(text.as_bytes()).is_ok_and(|value| value.is_number())
        }
        _ => false,
    };
    if is_bare { text.as_bytes().to_vec() } else { quoted(text) }
}

fn render(resource_type: Option<&str>, groups: &[Group]) -> Vec<u8> {
    let mut out = Vec::new();
    write_object(&mut out, |object| {
        if let Some(resource_type) = resource_type {
            object.string("resourceType", resource_type);
        }
        for group in groups {
            let values = group.contents.iter().map(|content| match content {
                Content::Object(json) => Some(json),
                Content::Primitive { value, .. } => value.as_ref(),
            });
            member(object, &group.json_name, group.is_list, values);
            let siblings = group.contents.iter().map(|content| match content {
                Content::Object(_) => None,
                Content::Primitive { sibling, .. } => sibling.as_ref(),
            });
            member(object, &format!("_{}", group.json_name), group.is_list, siblings);
        }
    });
    out
}

/// One member; left out where there is no value at all, `null` for items without one.
fn member<'v>(
    object: &mut json::ObjectWriter<'_>,
    name: &str,
    is_list: bool,
    values: impl Iterator<Item = Option<&'v Vec<u8>>> + Clone,
) {
    if !values.clone().any(|value| value.is_some()) {
        return;
    }
    if is_list {
        object.array(name, |array| {
            for value in values {
                array.raw(value.map_or(&b"null"[..], Vec::as_slice));
            }
        });
    } else {
        for value in values.flatten() {
            object.raw(name, value);
        }
    }
}

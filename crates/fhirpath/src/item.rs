//! Items: what collections are made of, elements of resources and values computed from them.
//!
//! `Debug` shows an item's type only, never its content.

use std::borrow::Cow;
use std::fmt;

use cresset_definitions::{Definitions, TypeDefinition, TypeKind};
use rust_decimal::Decimal;
use serde_json::Value;

use crate::quantity::{Quantity, UNITY, Unit};
use crate::temporal::{CalendarUnit, Date, DateTime, Time};
use crate::types::{ItemType, SystemType, is_quantity, primitive_value_type};

static NULL: Value = Value::Null;

/// One item of a collection.
#[derive(Clone)]
pub enum Item<'a> {
    /// A computed `System.Boolean`.
    Boolean(bool),
    /// A computed `System.Date`.
    Date(Date),
    /// A computed `System.DateTime`.
    DateTime(DateTime),
    /// A computed `System.Decimal`.
    Decimal(Decimal),
    /// A computed `System.Integer`.
    Integer(i32),
    /// A computed `System.Long`.
    Long(i64),
    /// An element of a resource, or a resource.
    Node(Node<'a>),
    /// A computed `System.Quantity`.
    Quantity(Box<Quantity>),
    /// A computed `System.String`.
    String(Cow<'a, str>),
    /// A computed `System.Time`.
    Time(Time),
    /// What `type()` yields.
    Type {
        /// Whether it is one of FHIRPath's own types, of the namespace `System`, and none of FHIR's.
        is_system: bool,
        /// The name in the namespace.
        name: &'static str,
    },
}

/// An element of a resource, or a resource, with the type the definitions give it.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    /// Its JSON; `null` for a primitive that has only extensions.
    value: &'a Value,
    /// What the member with an underscore holds beside it: `id` and `extension` of a primitive.
    sibling: Option<&'a Value>,
    definition: &'static TypeDefinition,
}

impl<'a> Node<'a> {
    pub(crate) fn new(
        value: Option<&'a Value>,
        sibling: Option<&'a Value>,
        definition: &'static TypeDefinition,
    ) -> Self {
        Self { value: value.unwrap_or(&NULL), sibling, definition }
    }

    /// The JSON; `null` for a primitive that has only extensions.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// The object in the member with an underscore, which holds a primitive's extensions.
    pub fn sibling(&self) -> Option<&'a Value> {
        self.sibling
    }

    /// Its type.
    pub fn definition(&self) -> &'static TypeDefinition {
        self.definition
    }

    /// The object its elements are in; of a primitive the sibling.
    pub(crate) fn members(&self) -> Option<&'a serde_json::Map<String, Value>> {
        match self.value {
            Value::Object(members) => Some(members),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                self.sibling?.as_object()
            }
            Value::Array(_) => None,
        }
    }
}

/// The type of a resource by what it says of itself, else a fallback.
pub(crate) fn resource_definition(
    definitions: &'static Definitions,
    value: &Value,
    fallback: &'static TypeDefinition,
) -> &'static TypeDefinition {
    value
        .get("resourceType")
        .and_then(Value::as_str)
        .and_then(|name| definitions.type_named(name))
        .filter(|one| one.kind == TypeKind::Resource)
        .unwrap_or(fallback)
}

impl<'a> Item<'a> {
    /// The JSON of an element that has a value; `None` for computed values.
    pub fn json(&self) -> Option<&'a Value> {
        self.node().map(|node| node.value).filter(|value| !value.is_null())
    }

    /// The element it is; `None` for computed values.
    pub fn node(&self) -> Option<&Node<'a>> {
        if let Self::Node(node) = self { Some(node) } else { None }
    }

    /// The exact type: FHIR's for elements (`code`, `Quantity`, `Patient.contact`, `Patient`), and
    /// for computed values the system type's name (`Boolean`, `String`).
    pub fn type_name(&self) -> &'static str {
        self.item_type().name()
    }

    pub(crate) fn item_type(&self) -> ItemType {
        ItemType::System(match self {
            Self::Node(node) => return ItemType::Fhir(node.definition),
            Self::Boolean(_) => SystemType::Boolean,
            Self::Date(_) => SystemType::Date,
            Self::DateTime(_) => SystemType::DateTime,
            Self::Decimal(_) => SystemType::Decimal,
            Self::Integer(_) => SystemType::Integer,
            Self::Long(_) => SystemType::Long,
            Self::Quantity(_) => SystemType::Quantity,
            Self::String(_) => SystemType::String,
            Self::Time(_) => SystemType::Time,
            Self::Type { .. } => SystemType::TypeInfo,
        })
    }

    /// The text of a string, or of a primitive that JSON writes as one (a `code`, a `date`).
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self {
            return Some(text);
        }
        self.node()?.value.as_str()
    }

    /// Its value as text for people: a string without quotes, a structure as JSON.
    ///
    /// This is content of the resource, which must not reach a log.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Boolean(value) => value.to_string().into(),
            Self::Date(value) => value.to_string().into(),
            Self::DateTime(value) => value.to_string().into(),
            Self::Decimal(value) => value.to_string().into(),
            Self::Integer(value) => value.to_string().into(),
            Self::Long(value) => value.to_string().into(),
            Self::Node(node) => match node.value.as_str() {
                Some(text) => text.into(),
                None => node.value.to_string().into(),
            },
            Self::Quantity(value) => value.to_string().into(),
            Self::String(text) => text.as_ref().into(),
            Self::Time(value) => value.to_string().into(),
            Self::Type { name, .. } => (*name).into(),
        }
    }

    /// The value of a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Boolean(value) = self {
            return Some(*value);
        }
        self.node()?.value.as_bool()
    }

    /// The value of a number.
    pub fn as_decimal(&self) -> Option<Decimal> {
        self.scalar()?.as_decimal()
    }

    /// The value it has in an operation; `None` for structures and for primitives without value.
    pub(crate) fn scalar(&self) -> Option<Scalar<'_>> {
        Some(match self {
            Self::Boolean(value) => Scalar::Boolean(*value),
            Self::Date(value) => Scalar::Date(*value),
            Self::DateTime(value) => Scalar::DateTime(*value),
            Self::Decimal(value) => Scalar::Decimal(*value),
            Self::Integer(value) => Scalar::Integer((*value).into()),
            Self::Long(value) => Scalar::Long(*value),
            Self::Node(node) => return node.scalar(),
            Self::Quantity(value) => Scalar::Quantity(Cow::Borrowed(value)),
            Self::String(text) => Scalar::String(text),
            Self::Time(value) => Scalar::Time(*value),
            Self::Type { .. } => return None,
        })
    }
}

impl fmt::Debug for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.item_type().fmt(f)
    }
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ItemType::Fhir(self.definition).fmt(f)
    }
}

/// The value of an item in an operation.
#[derive(Clone, PartialEq)]
pub(crate) enum Scalar<'v> {
    Boolean(bool),
    Date(Date),
    DateTime(DateTime),
    Decimal(Decimal),
    Integer(i64),
    Long(i64),
    Quantity(Cow<'v, Quantity>),
    String(&'v str),
    Time(Time),
}

impl<'v> Scalar<'v> {
    pub(crate) fn as_decimal(&self) -> Option<Decimal> {
        match self {
            Self::Decimal(value) => Some(*value),
            Self::Integer(value) | Self::Long(value) => Some((*value).into()),
            Self::Boolean(_)
            | Self::Date(_)
            | Self::DateTime(_)
            | Self::Quantity(_)
            | Self::String(_)
            | Self::Time(_) => None,
        }
    }

    /// A quantity, or a number as one without unit.
    pub(crate) fn as_quantity(&self) -> Option<Quantity> {
        if let Self::Quantity(one) = self {
            return Some(one.clone().into_owned());
        }
        self.as_decimal().map(Quantity::unitless)
    }

    /// A date or a date-time, as a date-time.
    pub(crate) fn as_date_time(&self) -> Option<DateTime> {
        match self {
            Self::Date(date) => Some((*date).into()),
            Self::DateTime(date_time) => Some(*date_time),
            Self::Boolean(_)
            | Self::Decimal(_)
            | Self::Integer(_)
            | Self::Long(_)
            | Self::Quantity(_)
            | Self::String(_)
            | Self::Time(_) => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    pub(crate) fn into_item(self) -> Item<'v> {
        match self {
            Self::Boolean(value) => Item::Boolean(value),
            Self::Date(value) => Item::Date(value),
            Self::DateTime(value) => Item::DateTime(value),
            Self::Decimal(value) => Item::Decimal(value),
            Self::Integer(value) => integer(value),
            Self::Long(value) => Item::Long(value),
            Self::Quantity(value) => Item::Quantity(Box::new(value.into_owned())),
            Self::String(text) => Item::String(Cow::Borrowed(text)),
            Self::Time(value) => Item::Time(value),
        }
    }
}

/// An integer; a long where it does not fit.
pub(crate) fn integer<'a>(value: i64) -> Item<'a> {
    i32::try_from(value).map_or(Item::Long(value), Item::Integer)
}

impl<'a> Node<'a> {
    /// The value of a primitive or a quantity; text that is not of its type stays a string.
    pub(crate) fn scalar(&self) -> Option<Scalar<'a>> {
        match self.value {
            Value::Bool(value) => Some(Scalar::Boolean(*value)),
            Value::Number(number) => {
                let text = number.as_str();
                let declared = primitive_value_type(self.definition.name);
                let whole = match text.parse() {
                    Ok(value) if declared == SystemType::Integer => Some(Scalar::Integer(value)),
                    Ok(value) if declared == SystemType::Long => Some(Scalar::Long(value)),
                    Ok(_) | Err(_) => None,
                };
                whole.or_else(|| json_decimal(text).map(Scalar::Decimal))
            }
            Value::String(text) => Some(self.text_scalar(text)),
            Value::Object(members) if is_quantity(self.definition) => {
                quantity(members).map(|one| Scalar::Quantity(Cow::Owned(one)))
            }
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    fn text_scalar(&self, text: &'a str) -> Scalar<'a> {
        let parsed = match primitive_value_type(self.definition.name) {
            SystemType::Date => Date::parse(text).map(Scalar::Date),
            SystemType::DateTime => DateTime::parse(text).map(Scalar::DateTime),
            SystemType::Time => Time::parse(text).map(Scalar::Time),
            SystemType::Long => text.parse().ok().map(Scalar::Long),
            SystemType::Any
            | SystemType::Boolean
            | SystemType::Decimal
            | SystemType::Integer
            | SystemType::Quantity
            | SystemType::String
            | SystemType::TypeInfo => None,
        };
        parsed.unwrap_or(Scalar::String(text))
    }
}

/// A decimal as JSON writes it, exponents included.
pub(crate) fn json_decimal(text: &str) -> Option<Decimal> {
    text.parse().ok().or_else(|| Decimal::from_scientific(text).ok())
}

/// The system quantity a FHIR `Quantity` is; `None` with a comparator, which makes it a range.
fn quantity(members: &serde_json::Map<String, Value>) -> Option<Quantity> {
    if members.contains_key("comparator") {
        return None;
    }
    let Value::Number(value) = members.get("value")? else { return None };
    let value = json_decimal(value.as_str())?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let system = text("system").filter(|system| *system != "http://unitsofmeasure.org");
    let unit = match (system, text("code").or_else(|| text("unit"))) {
        (_, None) => Unit::Ucum(UNITY.into()),
        // Another system's code is no UCUM code, whatever it looks like.
        (Some(system), Some(code)) => Unit::Ucum(format!("{system}|{code}").into()),
        (None, Some(code)) => match CalendarUnit::from_ucum(code) {
            Some(unit) => Unit::Calendar(unit),
            None => Unit::Ucum(code.into()),
        },
    };
    Some(Quantity { value, unit })
}

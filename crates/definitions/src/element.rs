//! Elements of types and the types they may have.

/// One element of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Its name, without `[x]`.
    pub name: &'static str,
    /// Whether it is a choice (`value[x]`): in JSON and XML its type is part of its name.
    pub choice: bool,
    /// The types it may have; exactly one unless it is a choice.
    pub types: Vec<TypeRef>,
    /// The fewest there may be.
    pub min: u16,
    /// The most there may be; `None` is `*`. It is an array in JSON unless this is `Some(1)`.
    pub max: Option<u16>,
    /// Whether it may change the meaning of what contains it.
    pub is_modifier: bool,
    /// Whether it belongs to summaries.
    pub is_summary: bool,
    /// What it is in XML.
    pub representation: Representation,
    /// Name of the value set that all its codes must be of, if that is one of
    /// [`Definitions::value_set`](crate::Definitions::value_set).
    pub binding: Option<&'static str>,
}

impl Element {
    /// Whether it is an array in JSON.
    pub fn is_list(&self) -> bool {
        self.max.is_none_or(|max| max > 1)
    }

    /// The type a JSON name such as `valueQuantity` gives this element, if the name is one of its.
    pub(crate) fn type_for_json(&self, json_name: &str) -> Option<&'static str> {
        if !self.choice {
            return (self.name == json_name).then(|| self.types[0].name);
        }
        let suffix = json_name.strip_prefix(self.name)?;
        self.types.iter().map(|one| one.name).find(|name| is_capitalized(suffix, name))
    }
}

/// Whether `text` is `name` with its first letter in upper case.
fn is_capitalized(text: &str, name: &str) -> bool {
    let (Some(first), Some(wanted)) = (text.as_bytes().first(), name.as_bytes().first()) else {
        return false;
    };
    *first == wanted.to_ascii_uppercase() && text.as_bytes()[1..] == name.as_bytes()[1..]
}

/// What an element is in XML; in JSON all are members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Representation {
    /// An attribute of the element that contains it.
    Attribute,
    /// An element.
    Element,
    /// XHTML markup.
    Xhtml,
}

/// A type an element may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeRef {
    /// `Quantity`, `code`, `Patient.contact`; `System.String` and the like only for the `value` of
    /// primitive types.
    pub name: &'static str,
    /// The types a `Reference`, `canonical` or `CodeableReference` may point at, sorted; empty where
    /// it is not restricted or the type is none of these. `Resource` means any.
    pub targets: Vec<&'static str>,
}

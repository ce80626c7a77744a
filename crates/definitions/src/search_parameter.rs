//! Search parameters as HL7 defines them.

/// The type of a search parameter (`SearchParameter.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SearchKind {
    /// `composite`
    Composite,
    /// `date`
    Date,
    /// `number`
    Number,
    /// `quantity`
    Quantity,
    /// `reference`
    Reference,
    /// `special`
    Special,
    /// `string`
    String,
    /// `token`
    Token,
    /// `uri`
    Uri,
}

impl SearchKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Composite,
        Self::Date,
        Self::Number,
        Self::Quantity,
        Self::Reference,
        Self::Special,
        Self::String,
        Self::Token,
        Self::Uri,
    ];

    /// FHIR's code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Composite => "composite",
            Self::Date => "date",
            Self::Number => "number",
            Self::Quantity => "quantity",
            Self::Reference => "reference",
            Self::Special => "special",
            Self::String => "string",
            Self::Token => "token",
            Self::Uri => "uri",
        }
    }

    pub(crate) fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// One search parameter.
#[derive(Debug, PartialEq, Eq)]
pub struct SearchParameter {
    /// Its canonical URL.
    pub url: &'static str,
    /// Its name in a search, such as `patient` or `_lastUpdated`.
    pub code: &'static str,
    /// The types it is defined for, sorted; `Resource` and `DomainResource` mean all.
    pub base: Vec<&'static str>,
    /// Its type.
    pub kind: SearchKind,
    /// The FHIRPath that finds its values; `None` for what cannot be said so, such as `_text`.
    pub expression: Option<&'static str>,
    /// The resource types a reference may point at, sorted.
    pub targets: Vec<&'static str>,
    /// What a composite is made of, in order.
    pub components: Vec<Component>,
    /// The comparators HL7 lists; empty where it lists none, which forbids none.
    pub comparators: Vec<&'static str>,
    /// The modifiers HL7 lists; empty where it lists none, which forbids none.
    pub modifiers: Vec<&'static str>,
}

/// One part of a composite search parameter.
#[derive(Debug, PartialEq, Eq)]
pub struct Component {
    /// Canonical URL of the search parameter it is like.
    pub definition: &'static str,
    /// The FHIRPath that finds its values, relative to a value of the composite's expression.
    pub expression: &'static str,
}

//! One value of a resource, as a search parameter's type sees it.

use std::fmt;
use std::sync::Arc;

use crate::{DateRange, NumberRange, Quantity, Reference, Text, Token, Uri};

/// What a search parameter found in a resource, borrowed from it where possible.
///
/// The search index on disk is made of these too: each variant holds what its row needs.
#[derive(Clone, PartialEq)]
pub enum SearchValue<'a> {
    /// Of a `composite` parameter: what each of its components finds in one place, which parameters
    /// share.
    Composite(Vec<Arc<[Self]>>),
    /// Of a `date` parameter.
    Date(DateRange),
    /// Of a `number` parameter.
    Number(NumberRange),
    /// Of a `quantity` parameter.
    Quantity(Quantity<'a>),
    /// Of a `reference` parameter.
    Reference(Reference<'a>),
    /// Of a `string` parameter.
    String(Text<'a>),
    /// Of a `token` parameter.
    Token(Token<'a>),
    /// Of a `uri` parameter.
    Uri(Uri<'a>),
}

/// Implements `Debug` so that it tells the type and nothing of what it holds: search values and
/// resource content must not reach a log.
macro_rules! redact {
    ($($name:ty),+ $(,)?) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )+};
}
pub(crate) use redact;

impl fmt::Debug for SearchValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Composite(_) => "Composite(…)",
            Self::Date(_) => "Date(…)",
            Self::Number(_) => "Number(…)",
            Self::Quantity(_) => "Quantity(…)",
            Self::Reference(_) => "Reference(…)",
            Self::String(_) => "String(…)",
            Self::Token(_) => "Token(…)",
            Self::Uri(_) => "Uri(…)",
        })
    }
}

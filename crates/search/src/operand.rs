//! One alternative of a criterion: what a value is compared with.

use std::ops::Deref;

use cresset_definitions::SearchKind;
use cresset_model::{Comparator, Modifier};
use smallvec::SmallVec;

use crate::parameter::Component;
use crate::syntax;
use crate::text::{StringOperand, StringTest};
use crate::token::TokenOperand;
use crate::uri::{UriOperand, UriTest};
use crate::value::redact;
use crate::version::VersionTest;
use crate::words::Words;
use crate::{
    DateOperand, DateRange, NumberOperand, Parameter, QuantityOperand, ReferenceOperand, Scope,
    SearchValue,
};

/// The most alternatives (separated by commas) of one criterion (I10).
pub const ALTERNATIVES_MAX: usize = 1_000;

/// What one value of a resource is compared with.
#[derive(Clone, PartialEq, Eq)]
pub enum Operand {
    /// Of a `composite` parameter: what each of its components is compared with.
    Composite(Box<[(&'static Parameter, Self)]>),
    /// Of a `date` parameter.
    Date(DateOperand),
    /// Of a `number` parameter.
    Number(Box<NumberOperand>),
    /// Of a `quantity` parameter.
    Quantity(Box<QuantityOperand>),
    /// Of a `reference` parameter.
    Reference(ReferenceOperand),
    /// Of a `string` parameter.
    String(StringOperand),
    /// Of a `token` parameter.
    Token(TokenOperand),
    /// Of a `uri` parameter.
    Uri(Box<UriOperand>),
    /// Words in a string, or in the text for people of a token or reference.
    Words(Box<Words>),
}

redact!(Operand);

impl Operand {
    /// Whether the value fits. A value of another type never does.
    pub fn matches(&self, value: &SearchValue<'_>, targets: &[&str]) -> bool {
        match (self, value) {
            (Self::Composite(parts), SearchValue::Composite(values)) => {
                parts.len() == values.len()
                    && parts.iter().zip(values).all(|((parameter, part), values)| {
                        values.iter().any(|value| part.matches(value, parameter.targets()))
                    })
            }
            (Self::Date(operand), SearchValue::Date(value)) => operand.matches(*value),
            (Self::Number(operand), SearchValue::Number(value)) => operand.matches(*value),
            (Self::Quantity(operand), SearchValue::Quantity(value)) => operand.matches(value),
            (Self::Reference(operand), SearchValue::Reference(value)) => {
                operand.matches(value, targets)
            }
            (Self::String(operand), SearchValue::String(value)) => operand.matches(value),
            (Self::Token(operand), SearchValue::Token(value)) => operand.matches(value),
            (Self::Uri(operand), SearchValue::Uri(value)) => operand.matches(value),
            (Self::Words(words), SearchValue::String(value)) => words.matches(value.text),
            (Self::Words(words), SearchValue::Token(value)) => {
                value.text.is_some_and(|text| words.matches(text))
            }
            (Self::Words(words), SearchValue::Reference(value)) => {
                value.display.is_some_and(|text| words.matches(text))
            }
            (
                Self::Composite(_)
                | Self::Date(_)
                | Self::Number(_)
                | Self::Quantity(_)
                | Self::Reference(_)
                | Self::String(_)
                | Self::Token(_)
                | Self::Uri(_)
                | Self::Words(_),
                _,
            ) => false,
        }
    }

    /// The comparators in it.
    pub(crate) fn comparators(&self) -> Vec<Comparator> {
        match self {
            Self::Composite(parts) => {
                parts.iter().flat_map(|(_, part)| part.comparators()).collect()
            }
            Self::Date(date) => vec![date.comparator],
            Self::Number(number) => vec![number.comparator],
            Self::Quantity(quantity) => vec![quantity.number.comparator],
            Self::Reference(_)
            | Self::String(_)
            | Self::Token(_)
            | Self::Uri(_)
            | Self::Words(_) => Vec::new(),
        }
    }
}

/// The alternatives of a criterion; one, which is the rule, lies in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operands {
    /// Any other number.
    Many(Box<[Operand]>),
    /// One.
    One(Operand),
}

impl Deref for Operands {
    type Target = [Operand];

    fn deref(&self) -> &[Operand] {
        match self {
            Self::Many(many) => many,
            Self::One(one) => std::slice::from_ref(one),
        }
    }
}

impl FromIterator<Operand> for Operands {
    fn from_iter<I: IntoIterator<Item = Operand>>(operands: I) -> Self {
        let operands: SmallVec<[Operand; 1]> = operands.into_iter().collect();
        match operands.into_inner() {
            Ok([one]) => Self::One(one),
            Err(many) => Self::Many(many.into_vec().into_boxed_slice()),
        }
    }
}

/// How the alternatives of a criterion are to be read.
pub(crate) struct Reader<'s> {
    pub(crate) scope: &'s Scope<'s>,
    pub(crate) parameter: &'static Parameter,
    pub(crate) modifier: Option<Modifier>,
    /// The type that the modifier names (`:Patient`).
    pub(crate) only: Option<&'static str>,
    /// Given beside the value; then the value has no prefix of its own (RQ-FL-08).
    pub(crate) comparator: Option<Comparator>,
}

impl Reader<'_> {
    /// Reads one alternative, still with its escapes; the error says what is expected instead.
    pub(crate) fn read(&self, text: &str) -> Result<Operand, &'static str> {
        if self.asks_for_words() {
            return self.read_words(text);
        }
        const STRING: &str = "a text of more than punctuation, with `\\` before each of , $ | \\";
        const URI: &str = "a URI (a URL for above and below), with `\\` before each of , $ \\";
        match self.parameter.kind() {
            SearchKind::Date => self.read_date(text).ok_or(
                "a date such as 2013-01-14 or \
                2013-01-14T10:00:00Z, perhaps after one of eq, ne, gt, lt, ge, le, sa, eb, ap",
            ),
            SearchKind::Number => self.read_number(text).ok_or(
                "a number such as 5.4 or 1e2, \
                perhaps after one of eq, ne, gt, lt, ge, le, sa, eb, ap",
            ),
            SearchKind::Quantity => self.read_quantity(text).ok_or(
                "a number, number|system|code \
                or number||unit, perhaps after one of eq, ne, gt, lt, ge, le, sa, eb, ap",
            ),
            SearchKind::Reference => self.read_reference(text),
            SearchKind::String => self.read_string(text).ok_or(STRING),
            SearchKind::Token => self.read_token(text),
            SearchKind::Uri => self.read_uri(text).ok_or(URI),
            SearchKind::Composite => self.read_composite(text),
            SearchKind::Special => Err("another type of parameter"),
        }
    }

    /// Whether it is a search for words, whose language FHIR leaves to the server.
    fn asks_for_words(&self) -> bool {
        match self.modifier {
            Some(Modifier::Text) => self.parameter.kind() == SearchKind::String,
            modifier => modifier == Some(Modifier::TextAdvanced),
        }
    }

    fn read_words(&self, text: &str) -> Result<Operand, &'static str> {
        let text = syntax::unescape(text).ok_or("text with `\\` before each of , $ | \\")?;
        Ok(Operand::Words(Box::new(Words::parse(&text)?)))
    }

    /// The comparator, from beside the value or from its first two letters, and the rest.
    fn comparator<'t>(&self, text: &'t str) -> Option<(Comparator, &'t str)> {
        if let Some(comparator) = self.comparator {
            return Some((comparator, text));
        }
        if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Some((Comparator::Eq, text));
        }
        let (prefix, rest) = text.split_at_checked(2)?;
        Some((Comparator::from_code(prefix)?, rest))
    }

    fn read_composite(&self, text: &str) -> Result<Operand, &'static str> {
        const EXPECTED: &str = "a value for each component, with `$` between them";
        let components = self.parameter.components();
        let parts: SmallVec<[&str; 4]> = syntax::split(text, '$').collect();
        if components.is_empty() || parts.len() != components.len() {
            return Err(EXPECTED);
        }
        let read = |(component, part): (&Component, &str)| {
            let parameter = component.parameter;
            let reader = Self { parameter, modifier: None, only: None, ..*self };
            Ok((parameter, if part.is_empty() { Err(EXPECTED) } else { reader.read(part) }?))
        };
        let parts: Result<_, &'static str> = components.iter().zip(parts).map(read).collect();
        Ok(Operand::Composite(parts?))
    }

    fn read_date(&self, text: &str) -> Option<Operand> {
        let (comparator, text) = self.comparator(text)?;
        Some(Operand::Date(DateOperand { comparator, range: DateRange::parse(text)? }))
    }

    fn read_number(&self, text: &str) -> Option<Operand> {
        let (comparator, text) = self.comparator(text)?;
        Some(Operand::Number(Box::new(NumberOperand::parse(comparator, text)?)))
    }

    fn read_quantity(&self, text: &str) -> Option<Operand> {
        let (comparator, text) = self.comparator(text)?;
        Some(Operand::Quantity(Box::new(QuantityOperand::parse(comparator, text)?)))
    }

    fn read_reference(&self, text: &str) -> Result<Operand, &'static str> {
        const TOKEN: &str = "an identifier: value, |value, system| or system|value";
        const TEXT: &str = "a text of more than punctuation";
        let plain = || syntax::unescape(text).ok_or("text with `\\` before each of , $ | \\");
        let operand = match self.modifier {
            Some(Modifier::Identifier) => {
                ReferenceOperand::Identifier(TokenOperand::parse(text).ok_or(TOKEN)?)
            }
            // The code as text of what has no code is its text for people.
            Some(Modifier::CodeText | Modifier::Text) => ReferenceOperand::Text(
                StringOperand::new(StringTest::StartsWith, &plain()?).ok_or(TEXT)?,
            ),
            modifier => {
                let text = plain()?;
                if text.contains('|') && !self.parameter.may_be_canonical() {
                    return Err("an id, Type/id or an absolute URL; system|value asks for an \
                                identifier, with the modifier `identifier`");
                }
                let operand = ReferenceOperand::parse(
                    &text,
                    self.scope.base_url.trim_end_matches('/'),
                    self.scope.parameters.definitions(),
                    self.only,
                    modifier == Some(Modifier::Type),
                )?;
                match modifier {
                    Some(Modifier::Above) => operand.about_versions(VersionTest::After)?,
                    Some(Modifier::Below) => operand.about_versions(VersionTest::Within)?,
                    _ => operand,
                }
            }
        };
        Ok(Operand::Reference(operand))
    }

    fn read_string(&self, text: &str) -> Option<Operand> {
        let test = match self.modifier {
            Some(Modifier::Contains) => StringTest::Contains,
            Some(Modifier::Exact) => StringTest::Exact,
            _ => StringTest::StartsWith,
        };
        StringOperand::new(test, &syntax::unescape(text)?).map(Operand::String)
    }

    fn read_token(&self, text: &str) -> Result<Operand, &'static str> {
        const TEXT: &str = "a text of more than punctuation";
        let start = || StringOperand::new(StringTest::StartsWith, &syntax::unescape(text)?);
        let operand =
            match self.modifier {
                Some(Modifier::Below) => TokenOperand::parse_mime_type(text)
                    .ok_or("a MIME type or the first part of one")?,
                Some(Modifier::CodeText) => {
                    TokenOperand::parse_code_text(text).ok_or("the start of a code")?
                }
                Some(Modifier::OfType) => TokenOperand::parse_of_type(text)
                    .ok_or("system|code|value, each of them given")?,
                Some(Modifier::Text) => TokenOperand::Text(start().ok_or(TEXT)?.into()),
                _ => TokenOperand::parse(text).ok_or("code, |code, system| or system|code")?,
            };
        Ok(Operand::Token(operand))
    }

    fn read_uri(&self, text: &str) -> Option<Operand> {
        let test = match self.modifier {
            Some(Modifier::Above) => UriTest::Above,
            Some(Modifier::Below) => UriTest::Below,
            Some(Modifier::Contains) => UriTest::Contains,
            _ => UriTest::Exact,
        };
        UriOperand::new(test, &syntax::unescape(text)?).map(|uri| Operand::Uri(Box::new(uri)))
    }
}

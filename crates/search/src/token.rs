//! Tokens: codes, identifiers and other exact texts, with the system that scopes them.

use serde_json::Value;
use smol_str::SmolStr;

use crate::syntax;
use crate::text::{StringOperand, Text, fold_code};
use crate::value::redact;

/// A code with its system.
#[derive(Clone, Copy, PartialEq)]
pub struct Token<'a> {
    /// What scopes the code.
    pub system: TokenSystem<'a>,
    /// The code, or an identifier's value; `None` where only a system or text is known.
    pub code: Option<&'a str>,
    /// The text for people: `Coding.display`, `CodeableConcept.text` or `Identifier.type.text`.
    pub text: Option<&'a str>,
    /// Whether the code is compared without case: FHIR says so for elements of type `string`.
    pub ignores_case: bool,
    /// `Identifier.type`.
    pub(crate) identifier_type: Option<&'a Value>,
}

/// The system of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TokenSystem<'a> {
    /// None is given.
    Absent,
    /// None is written since the element's definition implies it: one of these, as far as known.
    Implied(&'static [&'static str]),
    /// The one given.
    Named(&'a str),
}

impl TokenSystem<'_> {
    pub(crate) fn is(self, system: &str) -> bool {
        match self {
            Self::Absent => false,
            Self::Implied(systems) => systems.contains(&system),
            Self::Named(named) => named == system,
        }
    }

    /// Whether no system is written.
    pub fn is_unwritten(self) -> bool {
        match self {
            Self::Absent | Self::Implied(_) => true,
            Self::Named(_) => false,
        }
    }
}

impl<'a> Token<'a> {
    /// A code of this system.
    pub(crate) fn new(system: TokenSystem<'a>, code: &'a str) -> Self {
        Self { system, code: Some(code), text: None, ignores_case: false, identifier_type: None }
    }

    /// A text of an element of type `string`.
    pub(crate) fn ignoring_case(code: &'a str) -> Self {
        Self { ignores_case: true, ..Self::new(TokenSystem::Absent, code) }
    }

    /// `Coding`; `None` where it is empty.
    pub(crate) fn of_coding(coding: &'a Value) -> Option<Self> {
        let mut token = Self {
            system: TokenSystem::Absent,
            code: None,
            text: None,
            ignores_case: false,
            identifier_type: None,
        };
        for (name, value) in coding.as_object()? {
            let Value::String(text) = value else { continue };
            match name.as_str() {
                "code" => token.code = Some(text),
                "display" => token.text = Some(text),
                "system" => token.system = TokenSystem::Named(text),
                _ => {}
            }
        }
        token.is_something().then_some(token)
    }

    /// `CodeableConcept`: each coding, and the text as a token without a code.
    pub(crate) fn of_concept(concept: &'a Value) -> impl Iterator<Item = Self> {
        let codings = concept.get("coding").and_then(Value::as_array).into_iter().flatten();
        let text = concept.get("text").and_then(Value::as_str).map(|text| Self {
            system: TokenSystem::Absent,
            code: None,
            text: Some(text),
            ignores_case: false,
            identifier_type: None,
        });
        codings.filter_map(Self::of_coding).chain(text)
    }

    /// `Identifier`; `None` where it has neither system nor value.
    pub(crate) fn of_identifier(identifier: &'a Value) -> Option<Self> {
        let part = |name: &str| identifier.get(name).and_then(Value::as_str);
        let identifier_type = identifier.get("type");
        let token = Self {
            system: part("system").map_or(TokenSystem::Absent, TokenSystem::Named),
            code: part("value"),
            text: identifier_type.and_then(|concept| concept.get("text")).and_then(Value::as_str),
            ignores_case: false,
            identifier_type,
        };
        token.is_something().then_some(token)
    }

    fn is_something(&self) -> bool {
        self.code.is_some() || self.text.is_some() || !self.system.is_unwritten()
    }

    fn has_code(&self, code: &str) -> bool {
        self.code.is_some_and(|own| {
            own == code
                || self.ignores_case
                    && (own.eq_ignore_ascii_case(code) || own.to_lowercase() == code.to_lowercase())
        })
    }

    fn has_type(&self, system: &str, code: &str) -> bool {
        let codings = self.identifier_type.and_then(|concept| concept.get("coding"));
        codings.and_then(Value::as_array).into_iter().flatten().any(|coding| {
            let is =
                |name: &str, text: &str| coding.get(name).and_then(Value::as_str) == Some(text);
            is("system", system) && is("code", code)
        })
    }
}

/// A token to compare with.
#[derive(Clone, PartialEq, Eq)]
pub enum TokenOperand {
    /// This code in any system.
    Code(SmolStr),
    /// A code that begins so, in upper or lower case (`:code-text`); folded.
    CodeText(SmolStr),
    /// This code where no system is written.
    CodeWithoutSystem(SmolStr),
    /// This MIME type with any parameters, or any type of this kind (`:below`); in lower case.
    MimeType(SmolStr),
    /// This value of an identifier that has this type (`:of-type`).
    OfType(Box<[SmolStr; 3]>),
    /// Any code of this system.
    System(SmolStr),
    /// This code of this system.
    SystemCode(Box<[SmolStr; 2]>),
    /// The text for people (`:text`).
    Text(Box<StringOperand>),
}

impl TokenOperand {
    /// Reads `code`, `|code`, `system|` or `system|code`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = syntax::split(text, '|').map(syntax::unescape);
        let first = parts.next()??;
        let Some(second) = parts.next() else { return nonempty(first).map(Self::Code) };
        let code = second?;
        if parts.next().is_some() {
            return None;
        }
        match (first.is_empty(), code.is_empty()) {
            (true, true) => None,
            (true, false) => Some(Self::CodeWithoutSystem(code)),
            (false, true) => Some(Self::System(first)),
            (false, false) => Some(Self::SystemCode(Box::new([first, code]))),
        }
    }

    /// Reads the start of a code; `None` if nothing is left of it.
    pub(crate) fn parse_code_text(text: &str) -> Option<Self> {
        nonempty(SmolStr::new(fold_code(&syntax::unescape(text)?))).map(Self::CodeText)
    }

    /// Reads `image` or `image/png`, without parameters.
    pub(crate) fn parse_mime_type(text: &str) -> Option<Self> {
        let is_name = |part: &str| {
            let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
            !part.is_empty() && part.bytes().all(of_name)
        };
        let text = syntax::unescape(text)?;
        let is_type = match text.split_once('/') {
            Some((kind, subtype)) => is_name(kind) && is_name(subtype),
            None => is_name(&text),
        };
        is_type.then(|| Self::MimeType(text.to_ascii_lowercase().into()))
    }

    /// Reads `system|code|value`, of which no part may be missing.
    pub(crate) fn parse_of_type(text: &str) -> Option<Self> {
        let mut parts =
            syntax::split(text, '|').map(|part| syntax::unescape(part).and_then(nonempty));
        let operand = Self::OfType(Box::new([parts.next()??, parts.next()??, parts.next()??]));
        parts.next().is_none().then_some(operand)
    }

    /// Whether the token fits.
    pub fn matches(&self, value: &Token<'_>) -> bool {
        match self {
            Self::Code(code) => value.has_code(code),
            Self::CodeText(start) => {
                value.code.is_some_and(|code| fold_code(code).starts_with(start.as_str()))
            }
            Self::CodeWithoutSystem(code) => value.system.is_unwritten() && value.has_code(code),
            Self::MimeType(wanted) => value.code.is_some_and(|code| is_mime_type(code, wanted)),
            Self::OfType(parts) => {
                let [system, code, number] = &**parts;
                value.has_code(number) && value.has_type(system, code)
            }
            Self::System(system) => value.system.is(system),
            Self::SystemCode(parts) => {
                let [system, code] = &**parts;
                value.has_code(code) && value.system.is(system)
            }
            Self::Text(text) => value.text.is_some_and(|own| text.matches(&Text::new(own))),
        }
    }
}

/// Whether a MIME type is this one whatever its parameters, or is of this kind; case means nothing.
fn is_mime_type(code: &str, wanted: &str) -> bool {
    let start = code.split_at_checked(wanted.len());
    start.is_some_and(|(start, rest)| {
        let ends = match wanted.contains('/') {
            true => rest.is_empty() || rest.trim_start().starts_with(';'),
            false => rest.starts_with('/'),
        };
        ends && start.eq_ignore_ascii_case(wanted)
    })
}

fn nonempty(text: SmolStr) -> Option<SmolStr> {
    (!text.is_empty()).then_some(text)
}

redact!(Token<'_>, TokenOperand, TokenSystem<'_>);

#[cfg(test)]
mod tests;

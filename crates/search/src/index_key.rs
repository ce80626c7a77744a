//! Keys under which criteria can be found by the values of a resource.
//!
//! For every criterion that has keys: if it matches a resource, the resource has one of them for
//! the criterion's parameter. The reverse does not hold (hashes collide, versions and case are left
//! out), so whoever finds a criterion by key asks it again. Tests: `src/tests/properties.rs`.

use std::hash::Hasher;

use rustc_hash::FxHasher;
use smallvec::SmallVec;

use crate::reference::{ReferenceOperand, Target};
use crate::text::{StringOperand, StringTest};
use crate::token::{Token, TokenOperand, TokenSystem};
use crate::uri::UriTest;
use crate::{Operand, SearchValue};

/// A stable hash of a parameter and a normalised value: equal from run to run on one platform.
///
/// For use in memory; nothing on disk may depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexKey(u64);

/// The keys of one parameter of one resource.
pub type IndexKeys = SmallVec<[IndexKey; 8]>;

/// What a key is made of besides the parameter. A reference's identifier is a token of its own kind.
#[derive(Clone, Copy)]
enum Form {
    Code = 1,
    Exact,
    Id,
    IdentifierCode,
    IdentifierSystem,
    IdentifierSystemCode,
    Local,
    System,
    SystemCode,
    Uri,
}

/// The bits of a key that tell its form.
const FORMS: u64 = 0xf;

/// Codes up to this length are put into lower case without allocating.
const CODE_BYTES_INLINE: usize = 64;

/// A set of forms of keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyForms(u16);

impl KeyForms {
    /// Every form.
    pub const ALL: Self = Self(u16::MAX);

    /// Adds these forms.
    pub fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    fn have(self, form: Form) -> bool {
        self.0 & 1 << form as u16 != 0
    }
}

impl IndexKey {
    /// The hash.
    pub fn get(self) -> u64 {
        self.0
    }

    fn new(parameter: u64, form: Form, parts: [&str; 2]) -> Self {
        let mut hasher = FxHasher::default();
        hasher.write_u64(parameter ^ form as u64);
        for part in parts {
            hasher.write(part.as_bytes());
        }
        // The form takes the place of the lowest bits.
        Self(hasher.finish() & !FORMS | form as u64)
    }

    /// Its form.
    ///
    /// Keys of different forms are never equal: whoever keeps the set of those that it has need not
    /// look for others.
    pub fn form(self) -> KeyForms {
        KeyForms(1 << (self.0 & FORMS))
    }

    /// A key in which the case of `code` does not matter: some elements are compared without case.
    fn of_code(parameter: u64, form: Form, system: &str, code: &str) -> Self {
        let mut inline = [0; CODE_BYTES_INLINE];
        if code.is_ascii()
            && let Some(lower) = inline.get_mut(..code.len())
        {
            lower.copy_from_slice(code.as_bytes());
            lower.make_ascii_lowercase();
            if let Ok(lower) = std::str::from_utf8(lower) {
                return Self::new(parameter, form, [lower, system]);
            }
        }
        Self::new(parameter, form, [&code.to_lowercase(), system])
    }

    /// A hash of a parameter's URL, from which all its keys are made.
    pub(crate) fn seed(url: &str) -> u64 {
        let mut hasher = FxHasher::default();
        hasher.write(url.as_bytes());
        hasher.finish()
    }
}

/// The forms of the keys of a token, by whose token it is.
struct TokenForms {
    code: Form,
    system: Form,
    system_code: Form,
}

const TOKEN: TokenForms =
    TokenForms { code: Form::Code, system: Form::System, system_code: Form::SystemCode };
const IDENTIFIER: TokenForms = TokenForms {
    code: Form::IdentifierCode,
    system: Form::IdentifierSystem,
    system_code: Form::IdentifierSystemCode,
};

impl TokenForms {
    fn of_operand(&self, parameter: u64, token: &TokenOperand) -> Option<IndexKey> {
        match token {
            TokenOperand::Code(code) | TokenOperand::CodeWithoutSystem(code) => {
                Some(IndexKey::of_code(parameter, self.code, "", code))
            }
            TokenOperand::OfType(parts) => {
                Some(IndexKey::of_code(parameter, self.code, "", &parts[2]))
            }
            TokenOperand::System(system) => {
                Some(IndexKey::new(parameter, self.system, [system, ""]))
            }
            TokenOperand::SystemCode(parts) => {
                let [system, code] = &**parts;
                Some(IndexKey::of_code(parameter, self.system_code, system, code))
            }
            TokenOperand::CodeText(_) | TokenOperand::MimeType(_) | TokenOperand::Text(_) => None,
        }
    }
}

/// The keys of a resource's values, of some forms.
pub(crate) struct KeySink {
    parameter: u64,
    forms: KeyForms,
    keys: IndexKeys,
}

impl KeySink {
    /// For the values of the parameter with this seed.
    pub(crate) fn new(parameter: u64, forms: KeyForms) -> Self {
        Self { parameter, forms, keys: IndexKeys::new() }
    }

    pub(crate) fn into_keys(self) -> IndexKeys {
        self.keys
    }

    /// Adds the keys of a value.
    pub(crate) fn push_value(&mut self, value: &SearchValue<'_>) {
        match value {
            SearchValue::Composite(_)
            | SearchValue::Date(_)
            | SearchValue::Number(_)
            | SearchValue::Quantity(_) => {}
            SearchValue::Reference(reference) => {
                match reference.target {
                    Target::Local { resource_type, id, .. } => {
                        self.push(Form::Local, [id, resource_type]);
                        self.push(Form::Id, [id, ""]);
                    }
                    Target::Url { url, .. } => self.push(Form::Uri, [url, ""]),
                    Target::Contained | Target::Logical => {}
                }
                if let Some(identifier) = &reference.identifier {
                    self.push_token(&IDENTIFIER, identifier);
                }
            }
            SearchValue::String(text) => self.push(Form::Exact, [text.text, ""]),
            SearchValue::Token(token) => self.push_token(&TOKEN, token),
            SearchValue::Uri(uri) => self.push(Form::Uri, [uri.url, ""]),
        }
    }

    fn push_token(&mut self, forms: &TokenForms, token: &Token<'_>) {
        if let Some(code) = token.code {
            self.push_code(forms.code, "", code);
        }
        let mut in_system = |system: &str| {
            self.push(forms.system, [system, ""]);
            if let Some(code) = token.code {
                self.push_code(forms.system_code, system, code);
            }
        };
        match token.system {
            TokenSystem::Absent => {}
            TokenSystem::Implied(systems) => systems.iter().copied().for_each(in_system),
            TokenSystem::Named(system) => in_system(system),
        }
    }

    fn push(&mut self, form: Form, parts: [&str; 2]) {
        if self.forms.have(form) {
            self.keys.push(IndexKey::new(self.parameter, form, parts));
        }
    }

    fn push_code(&mut self, form: Form, system: &str, code: &str) {
        if self.forms.have(form) {
            self.keys.push(IndexKey::of_code(self.parameter, form, system, code));
        }
    }
}

/// The key that every value has which matches the operand; `None` if there is no such key.
pub(crate) fn operand_key(parameter: u64, operand: &Operand) -> Option<IndexKey> {
    match operand {
        Operand::Composite(_)
        | Operand::Date(_)
        | Operand::Number(_)
        | Operand::Quantity(_)
        | Operand::Words(_) => None,
        Operand::Reference(reference) => match reference {
            ReferenceOperand::Id(id) => Some(IndexKey::new(parameter, Form::Id, [id, ""])),
            ReferenceOperand::Identifier(token) => IDENTIFIER.of_operand(parameter, token),
            ReferenceOperand::Local { resource_type, id } => {
                Some(IndexKey::new(parameter, Form::Local, [id, resource_type.name]))
            }
            ReferenceOperand::LocalVersion(wanted) => {
                let parts = [&*wanted.id, wanted.resource_type.name];
                Some(IndexKey::new(parameter, Form::Local, parts))
            }
            ReferenceOperand::Text(_) => None,
            ReferenceOperand::Url { url, .. } => {
                Some(IndexKey::new(parameter, Form::Uri, [url, ""]))
            }
        },
        Operand::String(StringOperand { test: StringTest::Exact, text }) => {
            Some(IndexKey::new(parameter, Form::Exact, [text, ""]))
        }
        Operand::String(_) => None,
        Operand::Token(token) => TOKEN.of_operand(parameter, token),
        Operand::Uri(uri) if uri.test == UriTest::Exact => {
            Some(IndexKey::new(parameter, Form::Uri, [&uri.url, ""]))
        }
        Operand::Uri(_) => None,
    }
}

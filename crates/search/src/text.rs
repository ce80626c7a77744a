//! Strings: compared without case, combining marks, punctuation and repeated white space.

use std::borrow::Cow;

use smol_str::SmolStr;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::value::redact;

/// A text of a resource.
#[derive(Clone, PartialEq, Eq)]
pub struct Text<'a> {
    /// As written.
    pub text: &'a str,
    /// As it is compared, see [`fold`].
    pub folded: Cow<'a, str>,
}

impl<'a> Text<'a> {
    /// The text and its folded form.
    pub fn new(text: &'a str) -> Self {
        Self { text, folded: fold(text) }
    }
}

/// How a text is compared with the searched one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StringTest {
    /// It contains it, folded (`:contains`).
    Contains,
    /// It is the same, as written (`:exact`).
    Exact,
    /// It starts with it, folded.
    StartsWith,
}

/// A string to compare with.
#[derive(Clone, PartialEq, Eq)]
pub struct StringOperand {
    /// How to compare.
    pub test: StringTest,
    /// With what: folded, unless the test is exact.
    pub text: SmolStr,
}

impl StringOperand {
    /// `None` if nothing is left of the text to compare with: it would match everything.
    pub(crate) fn new(test: StringTest, text: &str) -> Option<Self> {
        let text = match test {
            StringTest::Contains | StringTest::StartsWith => SmolStr::new(fold(text)),
            StringTest::Exact => SmolStr::new(text),
        };
        (!text.is_empty()).then_some(Self { test, text })
    }

    /// Whether the test holds for the text.
    pub fn matches(&self, value: &Text<'_>) -> bool {
        match self.test {
            StringTest::Contains => value.folded.contains(self.text.as_str()),
            StringTest::Exact => value.text == self.text,
            StringTest::StartsWith => value.folded.starts_with(self.text.as_str()),
        }
    }
}

/// The form in which strings are compared: lower case, without combining marks and punctuation,
/// white space as single spaces and none at the ends.
///
/// Symbols such as `+` and `<` stay; folding what is folded changes nothing.
pub fn fold(text: &str) -> Cow<'_, str> {
    if is_folded(text) {
        return Cow::Borrowed(text);
    }
    let mut folded = String::with_capacity(text.len());
    for c in decomposed(text) {
        if c.is_whitespace() {
            if !folded.is_empty() && !folded.ends_with(' ') {
                folded.push(' ');
            }
        } else if !is_punctuation(c) {
            push_folded(c, &mut folded);
        }
    }
    folded.truncate(folded.trim_end_matches(' ').len());
    Cow::Owned(folded)
}

/// The form in which codes are compared as text: lower case and without combining marks, the rest as
/// it is.
pub(crate) fn fold_code(code: &str) -> String {
    let mut folded = String::with_capacity(code.len());
    decomposed(code).for_each(|c| push_folded(c, &mut folded));
    folded
}

/// The words of a text, folded: what is between characters that are neither letters nor digits.
pub(crate) fn words(text: &str) -> impl Iterator<Item = SmolStr> {
    let separates = |c: char| !c.is_alphanumeric() && !is_combining_mark(c);
    let words = text.split(separates).map(|word| SmolStr::new(fold(word)));
    words.filter(|word| !word.is_empty())
}

/// Lower case first: some upper-case letters have a mark only in their lower-case form.
fn decomposed(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase).nfkd().filter(|c| !is_combining_mark(*c))
}

fn push_folded(c: char, folded: &mut String) {
    match c {
        'ß' => folded.push_str("ss"),
        'ς' => folded.push('σ'),
        // Compatibility forms such as `㎯` decompose into capitals.
        _ => folded.extend(c.to_lowercase()),
    }
}

/// Whether `text` is plain lower-case ASCII that `fold` would leave as it is.
fn is_folded(text: &str) -> bool {
    let mut previous = b' ';
    for byte in text.bytes() {
        let spaced = byte == b' ' && previous != b' ';
        let plain = byte.is_ascii_graphic()
            && !byte.is_ascii_uppercase()
            && !is_punctuation(char::from(byte));
        if !spaced && !plain {
            return false;
        }
        previous = byte;
    }
    text.is_empty() || previous != b' '
}

/// Punctuation of ASCII and Latin-1, general and CJK punctuation.
fn is_punctuation(c: char) -> bool {
    match c {
        '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~' => false,
        '¡' | '§' | '«' | '¶' | '·' | '»' | '¿' | '、' | '。' => true,
        '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3008}'..='\u{3011}' => true,
        _ => c.is_ascii_punctuation(),
    }
}

redact!(StringOperand, Text<'_>);

#[cfg(test)]
mod tests;

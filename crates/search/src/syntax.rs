//! The syntax shared by all search values: percent encoding, `\` escapes, `,` and `|` as separators.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use smol_str::{SmolStr, SmolStrBuilder};

/// The characters a `\` makes literal.
const ESCAPABLE: [char; 4] = [',', '$', '|', '\\'];

/// Text that is not UTF-8 once decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("percent-encoded text must be UTF-8")]
pub struct NotUtf8;

/// Decodes `%XX` in a name or value of a query string.
///
/// Text that is not encoded comes back as it is, so both forms that RQ-TP-31 allows are read: `%`
/// without two hexadecimal digits after it stands for itself, and `+` is always a plus. (Forms
/// encode a space as `+`; search strings in topics and subscriptions are not forms, and a time zone
/// such as `+02:00` is written raw in many of them. A space is `%20` or a space.)
///
/// # Errors
/// [`NotUtf8`] if the decoded bytes are not UTF-8.
pub fn decode(text: &str) -> Result<Cow<'_, str>, NotUtf8> {
    percent_decode_str(text).decode_utf8().map_err(|_| NotUtf8)
}

/// Writes a `\` before each character that has a meaning in search values.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(ESCAPABLE) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 4);
    for c in text.chars() {
        if ESCAPABLE.contains(&c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    Cow::Owned(escaped)
}

/// The text without its escapes; `None` if a `\` stands before anything it cannot escape.
pub(crate) fn unescape(text: &str) -> Option<SmolStr> {
    if !text.contains('\\') {
        return Some(SmolStr::new(text));
    }
    let mut plain = SmolStrBuilder::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.push(chars.next().filter(|next| ESCAPABLE.contains(next))?),
            _ => plain.push(c),
        }
    }
    Some(plain.finish())
}

/// The parts between separators that no `\` escapes; the parts keep their escapes.
pub(crate) fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |c: char| {
        let separates = !escaped && c == separator;
        escaped = !escaped && c == '\\';
        separates
    })
}

#[cfg(test)]
mod tests;

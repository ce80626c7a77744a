//! The markup of a narrative in XML.
//!
//! In JSON it is a text, which nobody but the check of the form has read, and there it may be switched
//! off or know less than XML does. In XML it stands among the elements, so it must be well-formed and
//! end where it ends: a text that is not would break, or forge, all that is around it.

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_xml_entity};
use quick_xml::events::{BytesStart, Event};

use super::XHTML_NAMESPACE;
use super::entities::character;

/// Writes a narrative's markup: as it is where it is one well-formed `div`, with the characters that
/// HTML has names for; as a text in a `div` otherwise.
pub(super) fn write(markup: &str, out: &mut String) {
    let start = out.len();
    if (Copied { out, depth: 0, has_ended: false }).all_of(markup).is_none() {
        out.truncate(start);
        out.push_str("<div xmlns=\"");
        out.push_str(XHTML_NAMESPACE);
        out.push_str("\">");
        out.extend(escape(markup).chars().map(legal));
        out.push_str("</div>");
    }
}

/// The character, or what stands for one that XML cannot have.
pub(super) fn legal(letter: char) -> char {
    if is_legal(letter) { letter } else { char::REPLACEMENT_CHARACTER }
}

fn is_legal(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r')
        || letter >= ' ' && !matches!(letter, '\u{FFFE}' | '\u{FFFF}')
}

/// Whether all references in a text are to characters, by their numbers or the names that HTML has.
pub(crate) fn has_known_references(text: &str) -> bool {
    text.split('&').skip(1).all(|rest| rest.split_once(';').is_some_and(|(name, _)| is_known(name)))
}

/// Whether a reference of this name is to a character.
pub(crate) fn is_known(name: &str) -> bool {
    is_xmls(name) || character(name).is_some()
}

/// Whether XML itself knows the name: one of its five, or the number of a character.
fn is_xmls(name: &str) -> bool {
    let Some(number) = name.strip_prefix('#') else { return resolve_xml_entity(name).is_some() };
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |digits| (digits, 16));
    let is_number = digits.chars().all(|digit| digit.is_digit(radix));
    let letter = u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    is_number && letter.is_some_and(is_legal)
}

/// Markup on its way into a document.
struct Copied<'o> {
    out: &'o mut String,
    depth: usize,
    has_ended: bool,
}

impl Copied<'_> {
    /// Copies it; none where it is not one well-formed `div`.
    fn all_of(mut self, markup: &str) -> Option<()> {
        if !markup.chars().all(is_legal) {
            return None;
        }
        let mut reader = Reader::from_str(markup);
        loop {
            match reader.read_event().ok()? {
                Event::Start(tag) => {
                    self.start(&tag)?;
                    self.out.push('>');
                    self.depth += 1;
                }
                Event::Empty(tag) => {
                    self.start(&tag)?;
                    self.out.push_str("/>");
                    self.has_ended |= self.depth == 0;
                }
                Event::End(tag) => {
                    self.depth = self.depth.checked_sub(1)?;
                    self.has_ended |= self.depth == 0;
                    self.piece(["</", &tag, ">"])?;
                }
                Event::Text(text) if self.is_outside() => {
                    text.trim_ascii().is_empty().then_some(())?;
                }
                Event::Text(text) => {
                    (!text.contains("]]>")).then_some(())?;
                    self.piece(["", &text, ""])?;
                }
                Event::CData(text) => self.piece(["<![CDATA[", &text, "]]>"])?,
                Event::Comment(text) => {
                    (!text.contains("--") && !text.ends_with('-')).then_some(())?;
                    self.piece(["<!--", &text, "-->"])?;
                }
                Event::GeneralRef(name) => self.reference(&name)?,
                Event::Decl(_) | Event::DocType(_) | Event::PI(_) => return None,
                Event::Eof => return (self.has_ended && self.depth == 0).then_some(()),
            }
        }
    }

    /// Whether the `div` has ended, or has not begun.
    fn is_outside(&self) -> bool {
        self.depth == 0
    }

    fn piece(&mut self, parts: [&str; 3]) -> Option<()> {
        // The end of the root has left it already.
        (!self.is_outside() || parts[0] == "</").then_some(())?;
        self.out.extend(parts);
        Some(())
    }

    /// An element's start but for its end.
    fn start(&mut self, tag: &BytesStart<'_>) -> Option<()> {
        let name = tag.name();
        let name = name.as_ref();
        let is_root = self.depth == 0;
        if self.has_ended || !is_name(name) || is_root && name != "div" {
            return None;
        }
        self.out.push('<');
        self.out.push_str(name);
        let mut has_namespace = false;
        for attribute in tag.attributes() {
            let attribute = attribute.ok()?;
            if is_root && attribute.key.as_ref() == "xmlns" {
                has_namespace = true;
                (attribute.value.as_ref() == XHTML_NAMESPACE).then_some(())?;
            }
        }
        if is_root && !has_namespace {
            for part in [" xmlns=\"", XHTML_NAMESPACE, "\""] {
                self.out.push_str(part);
            }
        }
        self.attributes(tag.attributes_raw())
    }

    /// Attributes, each after white space, with a name and a value in quotes.
    fn attributes(&mut self, mut rest: &str) -> Option<()> {
        loop {
            let spaces = rest.len() - rest.trim_ascii_start().len();
            let (space, more) = rest.split_at(spaces);
            self.out.push_str(space);
            if more.is_empty() {
                return Some(());
            }
            let (key, more) = more.split_once('=')?;
            let name = key.trim_ascii_end();
            if space.is_empty() || !is_name(name.strip_prefix("xml:").unwrap_or(name)) {
                return None;
            }
            let more = more.trim_ascii_start();
            let quote = more.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
            let (value, more) = more[1..].split_once(quote)?;
            (!value.contains('<')).then_some(())?;
            self.out.push_str(name);
            self.out.push('=');
            self.out.push(quote);
            let mut parts = value.split('&');
            self.out.push_str(parts.next().unwrap_or_default());
            for part in parts {
                let (name, text) = part.split_once(';')?;
                self.reference(name)?;
                self.out.push_str(text);
            }
            self.out.push(quote);
            rest = more;
        }
    }

    /// A reference: what XML does not know is the character itself, or else the text as it stands.
    fn reference(&mut self, name: &str) -> Option<()> {
        if self.has_ended {
            return None;
        }
        match character(name) {
            Some(character) => self.out.push(character),
            None if is_xmls(name) => self.out.extend(["&", name, ";"]),
            None if is_name(name) => self.out.extend(["&amp;", name, ";"]),
            None => return None,
        }
        Some(())
    }
}

/// Whether a name needs no namespace but the one around it.
fn is_name(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

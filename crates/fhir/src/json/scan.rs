//! Where members and elements stand in bytes that [`super::parse`] has accepted.
//!
//! On other bytes the answers are none or meaningless, never a panic.

use std::borrow::Cow;
use std::ops::Range;

use super::parser::unescape;

/// One member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// The name, without its quotes, escapes and all.
    pub(crate) name: Range<usize>,
    /// The value.
    pub(crate) value: Range<usize>,
}

impl Member {
    /// From the opening quote of the name to the end of the value.
    pub(crate) fn span(&self) -> Range<usize> {
        self.name.start - 1..self.value.end
    }

    /// The name with its escapes decoded.
    pub(crate) fn name_in<'b>(&self, bytes: &'b [u8]) -> Cow<'b, str> {
        let raw = bytes.get(self.name.clone()).unwrap_or_default();
        let text = std::str::from_utf8(raw).unwrap_or_default();
        match raw.contains(&b'\\').then(|| unescape(text)).flatten() {
            Some(decoded) => Cow::Owned(decoded),
            None => Cow::Borrowed(text),
        }
    }
}

/// An object and where its members stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// Just after the opening brace.
    pub(crate) open: usize,
    /// In order.
    pub(crate) members: Vec<Member>,
}

impl Object {
    /// The member with this name. If there are several, the first.
    pub(crate) fn member(&self, bytes: &[u8], name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name_in(bytes) == name)
    }
}

/// The object that stands in `bytes` within `range`; positions count from the start of `bytes`.
pub(crate) fn object(bytes: &[u8], range: Range<usize>) -> Option<Object> {
    let mut cursor = Cursor::new(bytes, range)?;
    cursor.skip_space();
    cursor.eat(b'{')?;
    let open = cursor.at;
    let mut members = Vec::new();
    cursor.skip_space();
    if cursor.eat(b'}').is_some() {
        return Some(Object { open, members });
    }
    loop {
        cursor.skip_space();
        let quoted = cursor.string()?;
        cursor.skip_space();
        cursor.eat(b':')?;
        cursor.skip_space();
        let value = cursor.value()?;
        members.push(Member { name: quoted.start + 1..quoted.end - 1, value });
        cursor.skip_space();
        if cursor.eat(b'}').is_some() {
            return Some(Object { open, members });
        }
        cursor.eat(b',')?;
    }
}

/// The elements of the array that stands in `bytes` within `range`.
pub(crate) fn elements(bytes: &[u8], range: Range<usize>) -> Option<Vec<Range<usize>>> {
    let mut cursor = Cursor::new(bytes, range)?;
    cursor.skip_space();
    cursor.eat(b'[')?;
    let mut elements = Vec::new();
    cursor.skip_space();
    if cursor.eat(b']').is_some() {
        return Some(elements);
    }
    loop {
        cursor.skip_space();
        elements.push(cursor.value()?);
        cursor.skip_space();
        if cursor.eat(b']').is_some() {
            return Some(elements);
        }
        cursor.eat(b',')?;
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn new(bytes: &'a [u8], range: Range<usize>) -> Option<Self> {
        Some(Self { bytes: bytes.get(..range.end)?, at: range.start })
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// A string with its quotes.
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        self.eat(b'"')?;
        loop {
            let rest = self.bytes.get(self.at..)?;
            let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            let quote = rest[length] == b'"';
            // Behind a backslash stands at least one more byte of the escape.
            self.at += length + if quote { 1 } else { 2 };
            if quote {
                return Some(start..self.at);
            }
        }
    }

    /// Any value. Counts brackets instead of recursing: the bytes may nest as deep as they like.
    fn value(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' if depth > 0 => self.at += 1,
                _ => self.scalar()?,
            }
            if depth == 0 {
                return Some(start..self.at);
            }
        }
    }

    fn scalar(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E')) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

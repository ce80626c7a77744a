//! A strict JSON parser: RFC 8259, UTF-8 only, no member twice, bounded depth.
//!
//! Our own, and not serde's: with `arbitrary_precision` a visitor sees numbers as maps with a
//! magic member, which a client could send too; and a duplicate member must be told with its
//! place, not silently dropped.

use cresset_model::{Issue, IssueCode, Issues};
use serde_json::{Map, Number, Value};

use super::without_bom;

/// How deep a body may nest. The deepest of HL7's examples has 18 levels.
pub const DEPTH_MAX: usize = 64;
/// How much deeper a body nests in what this server writes around it: a notification in a message is
/// 8 levels.
const FRAMES_DEPTH_MAX: usize = 16;

/// Reads one JSON value. A byte order mark in front is ignored.
///
/// # Errors
/// One issue (`NotJson` or `NestedTooDeep`) with line and column and nothing of the content: not
/// UTF-8, not JSON, a member twice in one object, deeper than [`DEPTH_MAX`].
pub fn parse(bytes: &[u8]) -> Result<Value, Issues> {
    parse_within(bytes, DEPTH_MAX)
}

/// Reads what this server has written: bodies that may nest up to [`DEPTH_MAX`], within others.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_written(bytes: &[u8]) -> Result<Value, Issues> {
    parse_within(bytes, DEPTH_MAX + FRAMES_DEPTH_MAX)
}

fn parse_within(bytes: &[u8], room: usize) -> Result<Value, Issues> {
    let bytes = without_bom(bytes);
    let result = match std::str::from_utf8(bytes) {
        Ok(text) => Parser { text, at: 0, room }.document(),
        Err(error) => Err(Fault { at: error.valid_up_to(), what: What::NotUtf8 }),
    };
    result.map_err(|fault| fault.into_issue(bytes).into())
}

/// Decodes the inside of a JSON string that has escapes; none if it is not valid.
pub(super) fn unescape(inside: &str) -> Option<String> {
    let mut parser = Parser { text: inside, at: 0, room: 0 };
    let mut decoded = String::with_capacity(inside.len());
    while parser.at < inside.len() {
        let run = parser.plain_run();
        decoded.push_str(&inside[run..parser.at]);
        match parser.peek() {
            Some(b'\\') => decoded.push(parser.escape().ok()?),
            Some(_) => return None,
            None => {}
        }
    }
    Some(decoded)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// How much deeper it may nest.
    room: usize,
}

struct Fault {
    at: usize,
    what: What,
}

enum What {
    DuplicateMember,
    NotJson,
    NotUtf8,
    TooDeep,
}

impl Fault {
    fn into_issue(self, bytes: &[u8]) -> Issue {
        let before = &bytes[..self.at.min(bytes.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        // Characters, not bytes: continuation bytes of UTF-8 do not count.
        let column = before[start..].iter().filter(|byte| (**byte & 0xC0) != 0x80).count() + 1;
        let (code, what) = match self.what {
            What::DuplicateMember => (IssueCode::NotJson, "a member stands twice in one object"),
            What::NotJson => (IssueCode::NotJson, "this is not JSON"),
            What::NotUtf8 => (IssueCode::NotJson, "this is not UTF-8"),
            What::TooDeep => (IssueCode::NestedTooDeep, "the body nests too deep"),
        };
        Issue::error(code, format!("line {line}, column {column}: {what}"))
    }
}

impl Parser<'_> {
    fn document(mut self) -> Result<Value, Fault> {
        let value = self.value()?;
        self.skip_space();
        if self.at == self.text.len() { Ok(value) } else { Err(self.not_json()) }
    }

    fn value(&mut self) -> Result<Value, Fault> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Null),
            _ => Err(self.not_json()),
        }
    }

    fn nested(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<Value, Fault>,
    ) -> Result<Value, Fault> {
        if self.room == 0 {
            return Err(Fault { at: self.at, what: What::TooDeep });
        }
        self.room -= 1;
        self.at += 1;
        let value = parse(self)?;
        self.room += 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, Fault> {
        let mut members = Map::new();
        self.skip_space();
        if self.eat(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.skip_space();
            let start = self.at;
            let name = self.string()?;
            self.skip_space();
            self.expect(b':')?;
            let value = self.value()?;
            if members.insert(name, value).is_some() {
                return Err(Fault { at: start, what: What::DuplicateMember });
            }
            self.skip_space();
            if self.eat(b'}') {
                return Ok(Value::Object(members));
            }
            self.expect(b',')?;
        }
    }

    fn array(&mut self) -> Result<Value, Fault> {
        let mut items = Vec::new();
        self.skip_space();
        if self.eat(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.skip_space();
            if self.eat(b']') {
                return Ok(Value::Array(items));
            }
            self.expect(b',')?;
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        self.expect(b'"')?;
        let start = self.plain_run();
        if self.peek() == Some(b'"') {
            let text = self.text[start..self.at].to_owned();
            self.at += 1;
            return Ok(text);
        }
        let mut text = self.text[start..self.at].to_owned();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                _ => return Err(self.not_json()),
            }
            let start = self.plain_run();
            text.push_str(&self.text[start..self.at]);
        }
    }

    /// Goes to the next quote, backslash or control character; returns where it began.
    fn plain_run(&mut self) -> usize {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F));
        self.at = length.map_or(self.text.len(), |length| start + length);
        start
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let start = self.at;
        self.at += 1;
        let escape = self.peek();
        self.at += 1;
        Ok(match escape {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{C}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(start),
            _ => return Err(Fault { at: start, what: What::NotJson }),
        })
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, Fault> {
        let fault = Fault { at: start, what: What::NotJson };
        let Some(first) = self.four_hex_digits() else { return Err(fault) };
        let scalar = match first {
            0xD800..=0xDBFF => {
                if !(self.eat(b'\\') && self.eat(b'u')) {
                    return Err(fault);
                }
                match self.four_hex_digits() {
                    Some(second @ 0xDC00..=0xDFFF) => {
                        0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)
                    }
                    _ => return Err(fault),
                }
            }
            other => other,
        };
        char::from_u32(scalar).ok_or(fault)
    }

    fn four_hex_digits(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') && self.digits() == 0 {
            return Err(self.not_json());
        }
        if self.eat(b'.') && self.digits() == 0 {
            return Err(self.not_json());
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            if self.digits() == 0 {
                return Err(self.not_json());
            }
        }
        let text = &self.text[start..self.at];
        serde_json::from_str::<Number>(text)
            .map(Value::Number)
            .map_err(|_| Fault { at: start, what: What::NotJson })
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn literal(&mut self, word: &str, value: Value) -> Result<Value, Fault> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(self.not_json())
        }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.at += 1;
        }
        there
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.eat(byte) { Ok(()) } else { Err(self.not_json()) }
    }

    fn not_json(&self) -> Fault {
        Fault { at: self.at, what: What::NotJson }
    }
}

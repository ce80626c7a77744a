//! The lexer: from text to tokens, one at a time.
//!
//! Tests: `token/tests.rs`.

#[cfg(test)]
mod tests;

use crate::ast::Literal;
use crate::error::{CompileError, CompileErrorKind};
use crate::temporal::{Date, DateTime, Time};

/// A token and where it is, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) offset: usize,
    pub(crate) kind: TokenKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind {
    /// An identifier in backticks, which is never a keyword.
    Delimited(String),
    /// `$this` and its like, without `$`.
    Dollar(String),
    End,
    /// An identifier or keyword.
    Identifier(String),
    /// Anything but booleans, which are keywords, and quantities, which are two tokens.
    Literal(Literal),
    /// An operator or a bracket.
    Symbol(&'static str),
}

/// Operators and brackets, longest first where one begins another.
const SYMBOLS: [&str; 24] = [
    "<=", ">=", "!=", "!~", ".", ",", "(", ")", "[", "]", "{", "}", "+", "-", "*", "/", "&", "|",
    "=", "~", "<", ">", "%", "$",
];

/// Reads tokens off a text.
pub(crate) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

fn syntax(offset: usize, text: impl Into<String>) -> CompileError {
    CompileError::new(CompileErrorKind::Syntax, offset, text)
}

impl<'t> Lexer<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// Where the last token ends.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.bytes().position(|byte| !accept(byte)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// The next token.
    pub(crate) fn next(&mut self) -> Result<Token, CompileError> {
        self.skip_blanks()?;
        let offset = self.at;
        let kind = match self.peek() {
            None => TokenKind::End,
            Some(b'0'..=b'9') => TokenKind::Literal(self.number()?),
            Some(b'\'') => TokenKind::Literal(Literal::String(self.quoted(b'\'')?)),
            Some(b'`') => TokenKind::Delimited(self.quoted(b'`')?),
            Some(b'@') => TokenKind::Literal(self.temporal()?),
            Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => TokenKind::Identifier(self.word()),
            Some(_) => self.symbol()?,
        };
        Ok(Token { offset, kind })
    }

    fn word(&mut self) -> String {
        self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_').to_owned()
    }

    fn skip_blanks(&mut self) -> Result<(), CompileError> {
        loop {
            self.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
            if self.rest().starts_with("//") {
                self.take_while(|byte| byte != b'\n' && byte != b'\r');
            } else if self.rest().starts_with("/*") {
                let Some(end) = self.rest()[2..].find("*/") else {
                    return Err(syntax(self.at, "the comment has no end `*/`"));
                };
                self.at += 2 + end + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn symbol(&mut self) -> Result<TokenKind, CompileError> {
        let rest = self.rest();
        let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) else {
            let found = rest.chars().next().unwrap_or_default();
            return Err(syntax(self.at, format!("unexpected character {found:?}")));
        };
        self.at += symbol.len();
        if symbol == "$" {
            return Ok(TokenKind::Dollar(self.word()));
        }
        Ok(TokenKind::Symbol(symbol))
    }

    fn number(&mut self) -> Result<Literal, CompileError> {
        let start = self.at;
        self.take_while(|byte| byte.is_ascii_digit());
        let is_decimal =
            self.peek() == Some(b'.') && self.peek_at(1).is_some_and(|byte| byte.is_ascii_digit());
        if is_decimal {
            self.at += 1;
            self.take_while(|byte| byte.is_ascii_digit());
        }
        let text = &self.text[start..self.at];
        let too_large = || syntax(start, "the number is too large");
        if is_decimal {
            return text.parse().map(Literal::Decimal).map_err(|_| too_large());
        }
        let value: i64 = text.parse().map_err(|_| too_large())?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if self.peek() == Some(b'L') && !self.peek_at(1).is_some_and(is_name) {
            self.at += 1;
            return Ok(Literal::Long(value));
        }
        Ok(i32::try_from(value).map_or(Literal::Long(value), Literal::Integer))
    }

    /// What `@` begins: the longest run of characters that a date or time may hold.
    fn temporal(&mut self) -> Result<Literal, CompileError> {
        let start = self.at;
        self.at += 1;
        let from = self.at;
        let is_time = self.peek() == Some(b'T');
        if is_time {
            self.at += 1;
            self.time_of_day();
            let text = &self.text[from + 1..self.at];
            let time = Time::parse(text).ok_or_else(|| syntax(start, "not a time (@Thh:mm:ss)"));
            return time.map(Literal::Time);
        }
        self.take_while(|byte| byte.is_ascii_digit() || byte == b'-');
        if self.peek() != Some(b'T') {
            let date = Date::parse(&self.text[from..self.at]);
            return date
                .map(Literal::Date)
                .ok_or_else(|| syntax(start, "not a date (@YYYY-MM-DD)"));
        }
        self.at += 1;
        self.time_of_day();
        if self.peek() == Some(b'Z') {
            self.at += 1;
        } else if matches!(self.peek(), Some(b'+' | b'-'))
            && self.peek_at(3) == Some(b':')
            && self.peek_at(1).is_some_and(|byte| byte.is_ascii_digit())
        {
            self.at = (self.at + 6).min(self.text.len());
        }
        let text = self.text.get(from..self.at);
        let moment = text.and_then(DateTime::parse);
        moment
            .map(Literal::DateTime)
            .ok_or_else(|| syntax(start, "not a date-time (@YYYY-MM-DDThh:mm:ss+zz:zz)"))
    }

    /// Moves over `hh:mm:ss.fff`, as much of it as there is; a point without digits is navigation.
    fn time_of_day(&mut self) {
        self.take_while(|byte| byte.is_ascii_digit() || byte == b':');
        if self.peek() == Some(b'.') && self.peek_at(1).is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
            self.take_while(|byte| byte.is_ascii_digit());
        }
    }

    /// Text between quotes, its escapes resolved.
    fn quoted(&mut self, quote: u8) -> Result<String, CompileError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let plain = self.take_while(|byte| byte != quote && byte != b'\\');
            text.push_str(plain);
            match self.peek() {
                None => return Err(syntax(start, "the quoted text has no end")),
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => {
                    self.at += 1;
                    return Ok(text);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, CompileError> {
        let start = self.at;
        let unknown = || syntax(start, "unknown escape in quoted text");
        let escape = self.peek_at(1).ok_or_else(unknown)?;
        self.at += 2;
        Ok(match escape {
            b'\'' | b'"' | b'`' | b'\\' | b'/' => char::from(escape),
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hexadecimal().ok_or_else(unknown)?;
                let is_pair = (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u");
                let code = if is_pair {
                    self.at += 2;
                    let second = self.hexadecimal().ok_or_else(unknown)?;
                    0x1_0000 + ((first - 0xd800) << 10) + (second.wrapping_sub(0xdc00) & 0x3ff)
                } else {
                    first
                };
                char::from_u32(code).ok_or_else(unknown)?
            }
            _ => {
                // Step back onto a whole character: the offset must stay a boundary of the text.
                self.at = start;
                return Err(unknown());
            }
        })
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}

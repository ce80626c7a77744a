//! Searches for words in texts (`:text` on strings, `:text-advanced`).
//!
//! FHIR leaves their language to the server. Here it is that of OData's `$search`, as FHIR advises:
//! words, which begin a word of the text; phrases in quotes, whose words stand there whole and side by
//! side; `NOT`, `AND` (also unwritten) and `OR`, binding in this order, in capitals or small letters;
//! parentheses. Nothing is ranked and no synonyms are known. Tests: `words/tests.rs`.

use smol_str::SmolStr;

use crate::text;
use crate::value::redact;

#[cfg(test)]
mod tests;

/// The most words and phrases of one search (I10).
pub const WORDS_MAX: usize = 50;
/// How deep parentheses and `NOT`s may be nested (I10).
pub const WORDS_NESTING_MAX: usize = 20;

/// What is asked of the words of a text.
#[derive(Clone, PartialEq, Eq)]
pub enum Words {
    /// All of these.
    All(Box<[Self]>),
    /// One of these at least.
    Any(Box<[Self]>),
    /// Not this.
    None(Box<Self>),
    /// That these words stand in it side by side.
    Phrase {
        /// The words, folded; one at least.
        words: Box<[SmolStr]>,
        /// Whether the last one may go on.
        is_open: bool,
    },
}

redact!(Words);

impl Words {
    /// Reads a search; the error says what is expected.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "words or \"phrases\", perhaps with AND, OR and NOT before them and \
                                parentheses around them; not too many, nor nested too deeply";
        let mut reader = Reader { rest: text, words_left: WORDS_MAX };
        let words = reader.any(WORDS_NESTING_MAX).ok_or(EXPECTED)?;
        if reader.next().is_some() { Err(EXPECTED) } else { Ok(words) }
    }

    /// Whether a text is as asked.
    pub fn matches(&self, text: &str) -> bool {
        let words: Vec<_> = text::words(text).collect();
        self.hold(&words)
    }

    fn hold(&self, text: &[SmolStr]) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.hold(text)),
            Self::Any(any) => any.iter().any(|one| one.hold(text)),
            Self::None(not) => !not.hold(text),
            Self::Phrase { words, is_open } => text.windows(words.len()).any(|window| {
                let mut pairs = words.iter().zip(window).rev();
                let is_last = |(word, own): (&SmolStr, &SmolStr)| {
                    own == word || *is_open && own.starts_with(word.as_str())
                };
                pairs.next().is_some_and(is_last) && pairs.all(|(word, own)| word == own)
            }),
        }
    }
}

/// A piece of a search.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece<'t> {
    And,
    Close,
    Not,
    Open,
    Or,
    Phrase(&'t str),
    /// A quote that nothing closes.
    Unclosed,
    Word(&'t str),
}

struct Reader<'t> {
    rest: &'t str,
    words_left: usize,
}

impl<'t> Reader<'t> {
    /// The next piece, and what is left after it.
    fn peek(&self) -> Option<(Piece<'t>, &'t str)> {
        let text = self.rest.trim_start();
        let first = text.chars().next()?;
        let rest = &text[first.len_utf8()..];
        Some(match first {
            '(' => (Piece::Open, rest),
            ')' => (Piece::Close, rest),
            '"' => match rest.split_once('"') {
                Some((phrase, rest)) => (Piece::Phrase(phrase), rest),
                None => (Piece::Unclosed, ""),
            },
            _ => {
                let ends = |c: char| c.is_whitespace() || ['(', ')', '"'].contains(&c);
                let (word, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
                let piece = match word {
                    "AND" | "and" => Piece::And,
                    "NOT" | "not" => Piece::Not,
                    "OR" | "or" => Piece::Or,
                    _ => Piece::Word(word),
                };
                (piece, rest)
            }
        })
    }

    fn next(&mut self) -> Option<Piece<'t>> {
        let (piece, rest) = self.peek()?;
        self.rest = rest;
        Some(piece)
    }

    /// Takes the next piece if it is this one.
    fn takes(&mut self, wanted: Piece<'_>) -> bool {
        let rest = self.peek().filter(|(piece, _)| *piece == wanted).map(|(_, rest)| rest);
        rest.map(|rest| self.rest = rest).is_some()
    }

    /// What `OR` joins; `None` if it is not well-formed or too much.
    fn any(&mut self, depth: usize) -> Option<Words> {
        let mut any = vec![self.all(depth)?];
        while self.takes(Piece::Or) {
            any.push(self.all(depth)?);
        }
        Some(one_or(any, Words::Any))
    }

    /// What `AND` joins, or nothing.
    fn all(&mut self, depth: usize) -> Option<Words> {
        let mut all = vec![self.one(depth)?];
        loop {
            let is_joined = self.takes(Piece::And);
            let ends = matches!(self.peek(), None | Some((Piece::Close | Piece::Or, _)));
            if ends && !is_joined {
                return Some(one_or(all, Words::All));
            }
            all.push(self.one(depth)?);
        }
    }

    fn one(&mut self, depth: usize) -> Option<Words> {
        let below = depth.checked_sub(1)?;
        match self.next()? {
            Piece::Not => Some(Words::None(Box::new(self.one(below)?))),
            Piece::Open => {
                let words = self.any(below)?;
                self.takes(Piece::Close).then_some(words)
            }
            Piece::Phrase(text) => self.phrase(text, false),
            Piece::Word(text) => self.phrase(text, true),
            Piece::And | Piece::Close | Piece::Or | Piece::Unclosed => None,
        }
    }

    /// The words of a phrase, or of one that punctuation divides.
    fn phrase(&mut self, text: &str, is_open: bool) -> Option<Words> {
        self.words_left = self.words_left.checked_sub(1)?;
        let words: Box<[_]> = text::words(text).collect();
        (!words.is_empty()).then_some(Words::Phrase { words, is_open })
    }
}

/// The one there is, or all as one.
fn one_or(mut words: Vec<Words>, join: fn(Box<[Words]>) -> Words) -> Words {
    match (words.pop(), words.is_empty()) {
        (Some(one), true) => one,
        (last, _) => {
            words.extend(last);
            join(words.into())
        }
    }
}

//! The parts of an expression that decide it, as they are written: what `and`, `or`, `xor`,
//! `implies` and `|` join, and of each the sides it compares.
//!
//! For people who want to see what each part yields; nothing is computed here. Parts of an
//! expression that compiles compile in the same scope, unless they use a variable that another part
//! defines. Tests: `parts/tests.rs`.

use crate::token::{Lexer, TokenKind};

#[cfg(test)]
mod tests;

/// Most parts that are told apart.
pub const PARTS_MAX: usize = 50;

/// One part of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'s> {
    /// The whole of it, as written.
    pub text: &'s str,
    /// The operands of a comparison in it that are no literals, as written.
    pub sides: Vec<&'s str>,
}

/// A token, from where to where.
struct Span {
    start: usize,
    end: usize,
    kind: TokenKind,
}

/// The parts of an expression, at most [`PARTS_MAX`]; the whole of it where it has no parts.
pub fn parts(source: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut pending = vec![spans(source)];
    // A list of work instead of recursion; the last is done first, so the order is kept.
    while let Some(tokens) = pending.pop() {
        if tokens.is_empty() {
            continue;
        }
        let pieces = split(tokens, is_joint);
        if parts.len() + pending.len() + pieces.len() > PARTS_MAX {
            return vec![Part { text: source, sides: Vec::new() }];
        }
        match <[_; 1]>::try_from(pieces) {
            Ok([piece]) if is_enclosed(&piece) => pending.push(unwrapped(piece)),
            Ok([piece]) => parts.push(part(source, piece)),
            Err(pieces) => pending.extend(pieces.into_iter().rev()),
        }
    }
    parts
}

fn spans(source: &str) -> Vec<Span> {
    let mut lexer = Lexer::new(source);
    let mut spans = Vec::new();
    while let Ok(token) = lexer.next() {
        if token.kind == TokenKind::End {
            break;
        }
        spans.push(Span { start: token.offset, end: lexer.position(), kind: token.kind });
    }
    spans
}

fn part(source: &str, tokens: Vec<Span>) -> Part<'_> {
    let text = slice(source, &tokens);
    let is_literal = |side: &[Span]| {
        matches!(side, [Span { kind: TokenKind::Literal(_), .. }])
            || matches!(side, [Span { kind: TokenKind::Identifier(word), .. }]
                if matches!(word.as_str(), "true" | "false"))
    };
    let sides = split(tokens, is_comparison);
    let compared = sides.len() > 1;
    let sides = sides.iter().filter(|side| compared && !side.is_empty() && !is_literal(side));
    Part { text, sides: sides.map(|side| slice(source, side)).collect() }
}

fn slice<'s>(source: &'s str, tokens: &[Span]) -> &'s str {
    match (tokens.first(), tokens.last()) {
        (Some(first), Some(last)) => source[first.start..last.end].trim(),
        _ => "",
    }
}

/// The runs between the separators that stand in no bracket.
fn split(tokens: Vec<Span>, is_separator: fn(&TokenKind) -> bool) -> Vec<Vec<Span>> {
    let mut pieces = vec![Vec::new()];
    let (mut depth, mut after_dot) = (0_usize, false);
    for token in tokens {
        depth = depth_after(depth, &token.kind);
        // After a point a word is an element or a function, also `contains` and `is`.
        let separates = depth == 0 && !after_dot && is_separator(&token.kind);
        after_dot = token.kind == TokenKind::Symbol(".");
        match pieces.last_mut() {
            Some(piece) if !separates => piece.push(token),
            _ => pieces.push(Vec::new()),
        }
    }
    pieces
}

fn is_joint(kind: &TokenKind) -> bool {
    match kind {
        TokenKind::Identifier(word) => matches!(word.as_str(), "and" | "implies" | "or" | "xor"),
        TokenKind::Symbol(symbol) => *symbol == "|",
        TokenKind::Delimited(_) | TokenKind::Dollar(_) | TokenKind::End | TokenKind::Literal(_) => {
            false
        }
    }
}

fn is_comparison(kind: &TokenKind) -> bool {
    match kind {
        TokenKind::Identifier(word) => matches!(word.as_str(), "contains" | "in"),
        TokenKind::Symbol(symbol) => {
            matches!(*symbol, "=" | "!=" | "~" | "!~" | "<" | "<=" | ">" | ">=")
        }
        TokenKind::Delimited(_) | TokenKind::Dollar(_) | TokenKind::End | TokenKind::Literal(_) => {
            false
        }
    }
}

/// How many brackets are open after a token.
fn depth_after(depth: usize, kind: &TokenKind) -> usize {
    if matches!(kind, TokenKind::Symbol("(" | "[" | "{")) {
        depth + 1
    } else if matches!(kind, TokenKind::Symbol(")" | "]" | "}")) {
        depth.saturating_sub(1)
    } else {
        depth
    }
}

/// Whether its first token opens a parenthesis that its last one closes.
fn is_enclosed(tokens: &[Span]) -> bool {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        depth = depth_after(depth, &token.kind);
        if depth == 0 {
            return index > 0
                && index + 1 == tokens.len()
                && tokens[0].kind == TokenKind::Symbol("(");
        }
    }
    false
}

fn unwrapped(mut tokens: Vec<Span>) -> Vec<Span> {
    tokens.pop();
    tokens.remove(0);
    tokens
}

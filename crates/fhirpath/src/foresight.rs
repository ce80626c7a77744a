//! What can be said of an expression without evaluating it.
//!
//! For warnings only: it knows when an operand that is empty makes the whole not true, as far as that
//! follows from the form of the expression alone. Tests: `foresight/tests.rs`.

use crate::ast::{Ast, AstKind, BinaryOperator, ChainOperator, Literal, Relation, SegmentKind};
use crate::parser::parse;

#[cfg(test)]
mod tests;

/// Functions that yield nothing where they are called on nothing.
const KEEP_EMPTY: [&str; 32] = [
    "as",
    "contains",
    "distinct",
    "endsWith",
    "extension",
    "first",
    "getValue",
    "indexOf",
    "is",
    "last",
    "length",
    "lower",
    "matches",
    "not",
    "ofType",
    "replace",
    "resolve",
    "select",
    "single",
    "skip",
    "startsWith",
    "substring",
    "tail",
    "take",
    "toDate",
    "toDateTime",
    "toInteger",
    "toString",
    "trim",
    "type",
    "upper",
    "where",
];

/// Functions that yield false where they are called on nothing.
const FALSE_IF_EMPTY: [&str; 4] = ["anyFalse", "anyTrue", "exists", "hasValue"];

/// Functions that yield true or false.
const BOOLEAN: [&str; 14] = [
    "all",
    "allTrue",
    "anyFalse",
    "anyTrue",
    "contains",
    "empty",
    "endsWith",
    "exists",
    "hasValue",
    "is",
    "matches",
    "not",
    "startsWith",
    "subsetOf",
];

/// Whether the expression can never be true while this variable is empty.
///
/// `false` if that does not follow from its form, or if it is no expression.
pub fn never_holds_without(source: &str, variable: &str) -> bool {
    parse(source).is_ok_and(|ast| never_holds(&ast, variable))
}

/// Whether a `|` joins what is true or false by its form: then `or` is meant, since two different
/// booleans joined are no single one.
pub fn joins_booleans(source: &str) -> bool {
    let Ok(ast) = parse(source) else { return false };
    let mut pending = vec![&ast];
    while let Some(one) = pending.pop() {
        match &one.kind {
            AstKind::Empty | AstKind::External(_) | AstKind::Literal(_) => {}
            AstKind::Path(head, segments) => {
                pending.extend(head.as_deref());
                for segment in segments {
                    match &segment.kind {
                        SegmentKind::Call(_, arguments) => pending.extend(arguments),
                        SegmentKind::Index(index) => pending.push(index),
                        SegmentKind::Name(_) | SegmentKind::Special(_) => {}
                    }
                }
            }
            AstKind::Negate(operand) | AstKind::Is(operand, _) | AstKind::As(operand, _) => {
                pending.push(operand);
            }
            AstKind::Binary(_, left, right) => pending.extend([&**left, &**right]),
            AstKind::Chain(operator, operands) => {
                if *operator == ChainOperator::Union && operands.iter().any(is_boolean) {
                    return true;
                }
                pending.extend(operands);
            }
        }
    }
    false
}

/// Whether it yields a boolean, by its form.
fn is_boolean(ast: &Ast) -> bool {
    match &ast.kind {
        AstKind::Binary(operator, ..) => matches!(operator, BinaryOperator::Relation(_)),
        AstKind::Chain(operator, _) => *operator != ChainOperator::Union,
        AstKind::Is(..) => true,
        AstKind::Path(head, segments) => match segments.last().map(|one| &one.kind) {
            None => head.as_deref().is_some_and(is_boolean),
            Some(SegmentKind::Call(name, _)) => BOOLEAN.contains(&name.as_str()),
            Some(SegmentKind::Index(_) | SegmentKind::Name(_) | SegmentKind::Special(_)) => false,
        },
        AstKind::As(..)
        | AstKind::Empty
        | AstKind::External(_)
        | AstKind::Literal(_)
        | AstKind::Negate(_) => false,
    }
}

fn never_holds(ast: &Ast, variable: &str) -> bool {
    match &ast.kind {
        AstKind::Chain(ChainOperator::And, operands) => {
            operands.iter().any(|one| never_holds(one, variable))
        }
        AstKind::Chain(ChainOperator::Or, operands) => {
            operands.iter().all(|one| never_holds(one, variable))
        }
        AstKind::Literal(Literal::Boolean(false)) => true,
        AstKind::Path(Some(head), segments) => match segments.split_last() {
            None => never_holds(head, variable),
            Some((last, before)) => {
                let kept = || before.iter().all(|one| keeps_empty(&one.kind));
                let asks = matches!(&last.kind, SegmentKind::Call(name, _)
                    if FALSE_IF_EMPTY.contains(&name.as_str()));
                (asks && is_empty(head, variable) && kept()) || is_empty(ast, variable)
            }
        },
        // On the right of `in`, and on the left of `contains`, nothing means false.
        AstKind::Binary(
            BinaryOperator::Relation(Relation::In | Relation::Contains),
            left,
            right,
        ) => is_empty(left, variable) || is_empty(right, variable),
        AstKind::As(..)
        | AstKind::Binary(..)
        | AstKind::Chain(ChainOperator::Union, _)
        | AstKind::Empty
        | AstKind::External(_)
        | AstKind::Is(..)
        | AstKind::Literal(_)
        | AstKind::Negate(_)
        | AstKind::Path(None, _) => is_empty(ast, variable),
    }
}

/// Whether it yields nothing while the variable is empty.
fn is_empty(ast: &Ast, variable: &str) -> bool {
    let empty = |one: &Ast| is_empty(one, variable);
    match &ast.kind {
        AstKind::Empty => true,
        AstKind::External(name) => name == variable,
        AstKind::Literal(_) | AstKind::Path(None, _) => false,
        AstKind::Path(Some(head), segments) => {
            empty(head) && segments.iter().all(|one| keeps_empty(&one.kind))
        }
        AstKind::Negate(operand) | AstKind::Is(operand, _) | AstKind::As(operand, _) => {
            empty(operand)
        }
        AstKind::Binary(operator, left, right) => match operator {
            BinaryOperator::Arithmetic(_) => empty(left) || empty(right),
            BinaryOperator::Concatenate => false,
            BinaryOperator::Relation(relation) => match relation {
                Relation::Equal
                | Relation::Greater
                | Relation::GreaterOrEqual
                | Relation::Less
                | Relation::LessOrEqual
                | Relation::NotEqual
                | Relation::Xor => empty(left) || empty(right),
                Relation::In => empty(left),
                Relation::Contains => empty(right),
                Relation::Equivalent | Relation::Implies | Relation::NotEquivalent => false,
            },
        },
        AstKind::Chain(ChainOperator::Union, operands) => operands.iter().all(empty),
        AstKind::Chain(ChainOperator::And | ChainOperator::Or, _) => false,
    }
}

fn keeps_empty(segment: &SegmentKind) -> bool {
    match segment {
        SegmentKind::Name(_) | SegmentKind::Index(_) => true,
        SegmentKind::Call(name, _) => KEEP_EMPTY.contains(&name.as_str()),
        SegmentKind::Special(_) => false,
    }
}

//! Between search values and the rows of the index on disk.
//!
//! The index narrows down, the search crate decides: whatever a clause lets through is looked at
//! again with the criterion itself, so a clause may let too much through, never too little.

use std::ops::Bound;

use cresset_definitions::TypeDefinition;
use cresset_model::Comparator;
use cresset_search::{
    Criterion, DateOperand, Line, Operand, Parameter, Reference, ReferenceOperand, SearchValue,
    Span, StringOperand, StringTest, Target, Token, TokenOperand, TokenSystem, UriOperand, UriTest,
    fold,
};
use cresset_store::{Clause, Condition, IndexRow, IndexedValue, SystemTest, Test};
use jiff::Timestamp;
use smol_str::{SmolStr, StrExt, format_smolstr};

/// A value of which nothing is known but that there is one.
const EVERYWHERE: Span = Span { low: i64::MIN, high: i64::MAX };

/// Beside a parameter's code: the identifiers of its references.
const IDENTIFIER: &str = ":identifier";
/// Beside a parameter's code: where its quantities lie in base units, whatever unit they are in.
const MEASURED: &str = ":measured";
/// Beside the code of a composite parameter: what its first component finds.
const FIRST: &str = "$";

/// The rows of one search value; none for what no search can find.
pub(crate) fn rows(parameter: &str, value: &SearchValue<'_>, rows: &mut Vec<IndexRow>) {
    let code = SmolStr::new(parameter);
    let mut push = |parameter: &SmolStr, value| {
        rows.push(IndexRow { parameter: parameter.clone(), value });
    };
    match value {
        SearchValue::Composite(parts) => {
            push(&code, IndexedValue::Uri(SmolStr::default()));
            let first = format_smolstr!("{code}{FIRST}");
            for value in parts.first().into_iter().flat_map(|part| &**part) {
                self::rows(&first, value, rows);
            }
        }
        SearchValue::Date(_) | SearchValue::Number(_) => push(&code, written(value)),
        SearchValue::Quantity(_) => {
            push(&code, written(value));
            if let Some(span) = Span::of_value(value, Line::Measured) {
                push(&format_smolstr!("{code}{MEASURED}"), stretch(span));
            }
        }
        SearchValue::Reference(reference) => {
            match reference_row(reference) {
                Some(value) => push(&code, value),
                // Found by `:missing` and `:text`, which only ask whether there is a value.
                None => push(&code, IndexedValue::Uri(SmolStr::default())),
            }
            if let Some(identifier) = &reference.identifier {
                push(&format_smolstr!("{code}{IDENTIFIER}"), token_row(identifier));
            }
        }
        SearchValue::String(text) => push(
            &code,
            IndexedValue::Text {
                folded: SmolStr::new(&text.folded),
                exact: SmolStr::new(text.text),
            },
        ),
        SearchValue::Token(token) => push(&code, token_row(token)),
        SearchValue::Uri(uri) => push(&code, IndexedValue::Uri(SmolStr::new(uri.url))),
    }
}

/// Where a date or a number lies, as it is written.
fn written(value: &SearchValue<'_>) -> IndexedValue {
    stretch(Span::of_value(value, Line::Written).unwrap_or(EVERYWHERE))
}

fn stretch(span: Span) -> IndexedValue {
    IndexedValue::Stretch { low: span.low, high: span.high }
}

fn reference_row(reference: &Reference<'_>) -> Option<IndexedValue> {
    match reference.target {
        Target::Contained | Target::Logical => None,
        Target::Local { resource_type, id, .. } => Some(IndexedValue::Reference {
            resource_type: SmolStr::new(resource_type),
            id: SmolStr::new(id),
        }),
        Target::Url { url, .. } => Some(IndexedValue::ReferenceUrl(SmolStr::new(url))),
    }
}

/// Codes are kept in lower case, since some are compared so; the criterion looks at the rest.
fn token_row(token: &Token<'_>) -> IndexedValue {
    let system = match token.system {
        TokenSystem::Named(system) => Some(SmolStr::new(system)),
        TokenSystem::Absent | TokenSystem::Implied(_) => None,
    };
    IndexedValue::Token { system, code: token.code.unwrap_or_default().to_lowercase_smolstr() }
}

/// What narrows a search down to where the criterion may hold; none if nothing does.
pub(crate) fn clause(criterion: &Criterion) -> Option<Clause> {
    let parameter = SmolStr::new(criterion.parameter().code());
    let built_in = matches!(parameter.as_str(), "_id" | "_lastUpdated");
    if built_in && criterion.modifier().is_some() {
        // The index has no rows of these; the criterion itself looks at every resource.
        return None;
    }
    let operands = match criterion.test() {
        cresset_search::Test::Any(operands) => operands,
        cresset_search::Test::Missing(missing) => {
            let condition = Condition::Missing { parameter, missing: *missing };
            return Some(Clause { any: vec![condition], negated: false });
        }
        cresset_search::Test::Chained(_)
        | cresset_search::Test::Has(_)
        | cresset_search::Test::In(_)
        | cresset_search::Test::None(_)
        | cresset_search::Test::NotIn(_) => return None,
    };
    let any = operands.iter().flat_map(|operand| conditions(&parameter, operand)).collect();
    Some(Clause { any, negated: false })
}

fn conditions(parameter: &SmolStr, operand: &Operand) -> Vec<Condition> {
    if let ("_id", Operand::Token(TokenOperand::Code(id))) = (parameter.as_str(), operand) {
        return cresset_model::ResourceId::new(id).ok().map(Condition::Id).into_iter().collect();
    }
    if let ("_lastUpdated", Operand::Date(date)) = (parameter.as_str(), operand) {
        let (from, to) = last_updated(date);
        return vec![Condition::LastUpdated(from, to)];
    }
    let some = || Condition::Missing { parameter: parameter.clone(), missing: false };
    let found = match operand {
        Operand::Composite(parts) => return first_conditions(parameter, parts, some()),
        Operand::Date(_) | Operand::Number(_) | Operand::Quantity(_) => {
            return stretch_conditions(parameter, operand).unwrap_or_else(|| vec![some()]);
        }
        Operand::Reference(ReferenceOperand::Identifier(token)) => {
            token_test(token).map(|test| (format_smolstr!("{parameter}{IDENTIFIER}"), test))
        }
        Operand::Reference(reference) => {
            reference_test(reference).map(|test| (parameter.clone(), test))
        }
        Operand::String(text) => Some((parameter.clone(), text_test(text))),
        Operand::Token(token) => token_test(token).map(|test| (parameter.clone(), test)),
        Operand::Uri(uri) => uri_test(uri).map(|test| (parameter.clone(), test)),
        Operand::Words(_) => None,
    };
    vec![found.map_or_else(some, |(parameter, test)| Condition::Value { parameter, test })]
}

/// What the first component of a composite parameter has to fit; `some` if that narrows nothing.
fn first_conditions(
    parameter: &SmolStr,
    parts: &[(&'static Parameter, Operand)],
    some: Condition,
) -> Vec<Condition> {
    let Some((_, part)) = parts.first() else { return vec![some] };
    let found = conditions(&format_smolstr!("{parameter}{FIRST}"), part);
    // A component may find what has no row, which only the whole value has.
    let narrows = |one: &Condition| matches!(one, Condition::Value { .. });
    if found.iter().all(narrows) { found } else { vec![some] }
}

/// Where a date, number or quantity has to lie; `None` if that is anywhere.
fn stretch_conditions(parameter: &SmolStr, operand: &Operand) -> Option<Vec<Condition>> {
    let (line, Span { low, high }) = Span::of_operand(operand)?;
    let at =
        |parameter, low, high| Condition::Value { parameter, test: Test::Stretch { low, high } };
    match line {
        Line::Written => Some(vec![at(parameter.clone(), low, high)]),
        Line::Measured => Some(vec![at(format_smolstr!("{parameter}{MEASURED}"), low, high)]),
    }
}

fn last_updated(date: &DateOperand) -> (Bound<Timestamp>, Bound<Timestamp>) {
    let start = Timestamp::from_microsecond(date.range.start).map(Bound::Included);
    let end = Timestamp::from_microsecond(date.range.end).map(Bound::Included);
    let start = start.unwrap_or(Bound::Unbounded);
    let end = end.unwrap_or(Bound::Unbounded);
    match date.comparator {
        Comparator::Eq => (start, end),
        Comparator::Ge | Comparator::Gt | Comparator::Sa => (start, Bound::Unbounded),
        Comparator::Eb | Comparator::Le | Comparator::Lt => (Bound::Unbounded, end),
        Comparator::Ap | Comparator::Ne => (Bound::Unbounded, Bound::Unbounded),
    }
}

fn reference_test(reference: &ReferenceOperand) -> Option<Test> {
    match reference {
        ReferenceOperand::Id(id) => Some(Test::Reference { resource_type: None, id: id.clone() }),
        ReferenceOperand::Local { resource_type, id } => Some(local_test(resource_type, id)),
        ReferenceOperand::LocalVersion(wanted) => {
            Some(local_test(wanted.resource_type, &wanted.id))
        }
        ReferenceOperand::Url { url, .. } => Some(Test::ReferenceUrl(url.clone())),
        ReferenceOperand::Identifier(_) | ReferenceOperand::Text(_) => None,
    }
}

fn local_test(resource_type: &TypeDefinition, id: &SmolStr) -> Test {
    Test::Reference { resource_type: Some(SmolStr::new_static(resource_type.name)), id: id.clone() }
}

fn text_test(text: &StringOperand) -> Test {
    match text.test {
        StringTest::Contains => Test::TextContains(text.text.clone()),
        StringTest::Exact => {
            Test::TextExact { folded: SmolStr::new(fold(&text.text)), exact: text.text.clone() }
        }
        StringTest::StartsWith => Test::TextPrefix(text.text.clone()),
    }
}

fn token_test(token: &TokenOperand) -> Option<Test> {
    let any = |code: &SmolStr| Test::Token {
        system: SystemTest::Any,
        code: Some(code.to_lowercase_smolstr()),
    };
    match token {
        TokenOperand::Code(code) | TokenOperand::CodeWithoutSystem(code) => Some(any(code)),
        // The system may be implied by the element, so only the code narrows.
        TokenOperand::SystemCode(parts) => Some(any(&parts[1])),
        TokenOperand::OfType(parts) => Some(any(&parts[2])),
        TokenOperand::CodeText(_)
        | TokenOperand::MimeType(_)
        | TokenOperand::System(_)
        | TokenOperand::Text(_) => None,
    }
}

fn uri_test(uri: &UriOperand) -> Option<Test> {
    match uri.test {
        UriTest::Exact => Some(Test::Uri(uri.url.clone())),
        // What is at the URL counts as below it, with or without a slash at the end.
        UriTest::Below => Some(Test::UriPrefix(SmolStr::new(uri.url.trim_end_matches('/')))),
        UriTest::Above | UriTest::Contains => None,
    }
}

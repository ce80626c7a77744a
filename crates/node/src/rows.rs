//! Between search values and the rows of the index on disk.
//!
//! The index narrows down, the search crate decides: whatever a clause lets through is looked at
//! again with the criterion itself, so a clause may let too much through, never too little.

use std::ops::Bound;

use cresset_definitions::TypeDefinition;
use cresset_model::Comparator;
use cresset_search::{
    Criterion, DateOperand, DateRange, Operand, Reference, ReferenceOperand, SearchValue,
    StringOperand, StringTest, Target, Token, TokenOperand, TokenSystem, UriOperand, UriTest, fold,
};
use cresset_store::{Clause, Condition, IndexRow, IndexedValue, Span, SystemTest, Test, Within};
use jiff::Timestamp;
use smol_str::{SmolStr, StrExt};

/// Nanoseconds of a microsecond.
const NANOS: i64 = 1_000;

/// The rows of one search value; none for what no search can find.
pub(crate) fn rows(parameter: &str, value: &SearchValue<'_>, rows: &mut Vec<IndexRow>) {
    let mut push = |parameter: SmolStr, value| rows.push(IndexRow { parameter, value });
    let code = SmolStr::new(parameter);
    match value {
        SearchValue::Date(range) => {
            let (low, high) = nanos(*range);
            push(code, IndexedValue::Date { low, high });
        }
        SearchValue::Reference(reference) => {
            if let Some(value) = reference_row(reference) {
                push(code.clone(), value);
            }
            if reference.identifier.is_some() || reference.display.is_some() {
                // Found by `:identifier`, `:text` and the like, which only ask whether there is a value.
                push(code, IndexedValue::Uri(SmolStr::default()));
            }
        }
        SearchValue::String(text) => push(
            code,
            IndexedValue::Text {
                folded: SmolStr::new(&text.folded),
                exact: SmolStr::new(text.text),
            },
        ),
        SearchValue::Token(token) => push(code, token_row(token)),
        SearchValue::Uri(uri) => push(code, IndexedValue::Uri(SmolStr::new(uri.url))),
        // Their searches only ask whether there is a value, and compare the resource itself.
        SearchValue::Composite(_) | SearchValue::Number(_) | SearchValue::Quantity(_) => {
            push(code, IndexedValue::Uri(SmolStr::default()));
        }
    }
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
    let test = match operand {
        Operand::Date(date) => date_test(date),
        Operand::Reference(reference) => reference_test(reference),
        Operand::String(text) => text_test(text),
        Operand::Token(token) => token_test(token),
        Operand::Uri(uri) => uri_test(uri),
        Operand::Composite(_) | Operand::Number(_) | Operand::Quantity(_) | Operand::Words(_) => {
            None
        }
    };
    let parameter = parameter.clone();
    vec![match test {
        Some(test) => Condition::Value { parameter, test },
        None => Condition::Missing { parameter, missing: false },
    }]
}

/// First and last nanosecond.
fn nanos(range: DateRange) -> (i64, i64) {
    let low = range.start.saturating_mul(NANOS);
    (low, range.end.saturating_mul(NANOS).saturating_sub(1).max(low))
}

fn date_test(date: &DateOperand) -> Option<Test> {
    let (low, high) = nanos(date.range);
    let from_here = Span { from: Bound::Included(low), to: Bound::Unbounded };
    let up_to_here = Span { from: Bound::Unbounded, to: Bound::Included(high) };
    let within = match date.comparator {
        Comparator::Eq => Within { low: up_to_here, high: from_here },
        Comparator::Ge | Comparator::Gt | Comparator::Sa => {
            Within { low: Span::ALL, high: from_here }
        }
        Comparator::Eb | Comparator::Le | Comparator::Lt => {
            Within { low: up_to_here, high: Span::ALL }
        }
        Comparator::Ap | Comparator::Ne => return None,
    };
    Some(Test::Date(within))
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

fn text_test(text: &StringOperand) -> Option<Test> {
    match text.test {
        StringTest::Contains => Some(Test::TextContains(text.text.clone())),
        StringTest::Exact => Some(Test::TextExact {
            folded: SmolStr::new(fold(&text.text)),
            exact: text.text.clone(),
        }),
        StringTest::StartsWith => Some(Test::TextPrefix(text.text.clone())),
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

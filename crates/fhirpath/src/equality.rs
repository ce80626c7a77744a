//! Equality, equivalence and order of items and collections.
//!
//! Equality may have no answer (dates of different precision); then a collection does not contain the
//! item. Every comparison costs a step. Tests: `expression/tests.rs`.

use std::cmp::Ordering;

use rust_decimal::Decimal;
use serde_json::Value;

use crate::error::EvaluationError;
use crate::evaluate::Budget;
use crate::item::{Item, Scalar, json_decimal};
use crate::quantity::{Quantity, decimals_equivalent};

type Result<T> = std::result::Result<T, EvaluationError>;

/// Whether two collections are equal; `None` if there is no answer, as for empty ones.
pub(crate) fn equal(a: &[Item<'_>], b: &[Item<'_>], budget: &mut Budget) -> Result<Option<bool>> {
    if a.is_empty() || b.is_empty() {
        return Ok(None);
    }
    if a.len() != b.len() {
        return Ok(Some(false));
    }
    let mut undecided = false;
    for (a, b) in a.iter().zip(b) {
        match items_equal(a, b, budget)? {
            Some(true) => {}
            Some(false) => return Ok(Some(false)),
            None => undecided = true,
        }
    }
    Ok((!undecided).then_some(true))
}

/// Whether two collections are equivalent, in any order.
pub(crate) fn equivalent(a: &[Item<'_>], b: &[Item<'_>], budget: &mut Budget) -> Result<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    let mut left: Vec<_> = b.iter().collect();
    for item in a {
        let mut found = None;
        for (index, other) in left.iter().enumerate() {
            if items_equivalent(item, other, budget)? {
                found = Some(index);
                break;
            }
        }
        match found {
            Some(index) => drop(left.swap_remove(index)),
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// Whether a collection contains an item equal to this one.
pub(crate) fn contains(items: &[Item<'_>], item: &Item<'_>, budget: &mut Budget) -> Result<bool> {
    for one in items {
        if items_equal(one, item, budget)? == Some(true) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether no two items are equal.
pub(crate) fn is_distinct(items: &[Item<'_>], budget: &mut Budget) -> Result<bool> {
    for (index, item) in items.iter().enumerate() {
        if contains(&items[..index], item, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn items_equal(a: &Item<'_>, b: &Item<'_>, budget: &mut Budget) -> Result<Option<bool>> {
    budget.spend(1)?;
    if let (Item::Node(a), Item::Node(b)) = (a, b)
        && std::ptr::eq(a.value(), b.value())
        && !a.value().is_null()
    {
        return Ok(Some(true));
    }
    Ok(match (a.scalar(), b.scalar()) {
        (Some(a), Some(b)) => scalars_equal(&a, &b),
        (None, None) => match (a, b) {
            (Item::Node(a), Item::Node(b)) => {
                let siblings = match (a.sibling(), b.sibling()) {
                    (Some(a), Some(b)) => json_equal(a, b, budget)?,
                    (None, None) => true,
                    (None, Some(_)) | (Some(_), None) => false,
                };
                Some(siblings && json_equal(a.value(), b.value(), budget)?)
            }
            (
                Item::Type { is_system: a, name: a_name },
                Item::Type { is_system: b, name: b_name },
            ) => Some(a == b && a_name == b_name),
            _ => Some(false),
        },
        (None, Some(_)) | (Some(_), None) => Some(false),
    })
}

fn scalars_equal(a: &Scalar<'_>, b: &Scalar<'_>) -> Option<bool> {
    match (a, b) {
        (Scalar::String(a), Scalar::String(b)) => Some(a == b),
        (Scalar::Boolean(a), Scalar::Boolean(b)) => Some(a == b),
        (Scalar::Quantity(_), _) | (_, Scalar::Quantity(_)) => {
            let (Some(a), Some(b)) = (a.as_quantity(), b.as_quantity()) else { return Some(false) };
            match a.compare(&b) {
                Some(order) => Some(order == Ordering::Equal),
                // Units of different kinds differ; calendar and definite durations do not say.
                None if a.is_comparable(&b) || is_duration(&a) && is_duration(&b) => None,
                None => Some(false),
            }
        }
        _ => match scalars_compared(a, b) {
            Some(order) => order.map(|order| order == Ordering::Equal),
            None => Some(false),
        },
    }
}

/// The order of two scalars of types that compare; `Some(None)` if it is undecided.
#[expect(clippy::option_option, reason = "the outer says whether the types compare")]
fn scalars_compared(a: &Scalar<'_>, b: &Scalar<'_>) -> Option<Option<Ordering>> {
    match (a, b) {
        (Scalar::Time(a), Scalar::Time(b)) => return Some(a.compare(*b)),
        (Scalar::Integer(a) | Scalar::Long(a), Scalar::Integer(b) | Scalar::Long(b)) => {
            return Some(Some(a.cmp(b)));
        }
        (Scalar::Quantity(_), _) | (_, Scalar::Quantity(_)) => {
            return Some(a.as_quantity()?.compare(&b.as_quantity()?));
        }
        _ => {}
    }
    if let Some((a, b)) = a.as_text().zip(b.as_text()) {
        return Some(Some(a.cmp(b)));
    }
    if let Some((a, b)) = a.as_decimal().zip(b.as_decimal()) {
        return Some(Some(a.cmp(&b)));
    }
    let (a, b) = a.as_date_time().zip(b.as_date_time())?;
    Some(a.compare(b))
}

fn is_duration(quantity: &Quantity) -> bool {
    use crate::quantity::Unit;
    match &quantity.unit {
        Unit::Calendar(_) => true,
        Unit::Ucum(code) => {
            quantity.is_comparable(&Quantity { value: Decimal::ONE, unit: Unit::Ucum("s".into()) })
                && !code.is_empty()
        }
    }
}

/// The order of two items; `None` if it is undecided.
pub(crate) fn compare(a: &Item<'_>, b: &Item<'_>, offset: usize) -> Result<Option<Ordering>> {
    let order = a.scalar().zip(b.scalar()).and_then(|(a, b)| match (&a, &b) {
        (Scalar::Boolean(_), _) | (_, Scalar::Boolean(_)) => None,
        _ => scalars_compared(&a, &b),
    });
    order.ok_or_else(|| {
        let (a, b) = (a.item_type().name(), b.item_type().name());
        EvaluationError::Type { text: format!("{a} and {b} have no order"), offset }
    })
}

fn items_equivalent(a: &Item<'_>, b: &Item<'_>, budget: &mut Budget) -> Result<bool> {
    budget.spend(1)?;
    Ok(match (a.scalar(), b.scalar()) {
        (Some(a), Some(b)) => scalars_equivalent(&a, &b),
        (None, None) => match (a, b) {
            (Item::Node(a), Item::Node(b)) => json_equivalent(a.value(), b.value(), budget)?,
            _ => items_equal(a, b, budget)? == Some(true),
        },
        (None, Some(_)) | (Some(_), None) => false,
    })
}

fn scalars_equivalent(a: &Scalar<'_>, b: &Scalar<'_>) -> bool {
    match (a, b) {
        (Scalar::String(a), Scalar::String(b)) => texts_equivalent(a, b),
        (Scalar::Quantity(_), _) | (_, Scalar::Quantity(_)) => {
            let quantities = a.as_quantity().zip(b.as_quantity());
            quantities.is_some_and(|(a, b)| a.is_equivalent(&b))
        }
        _ => match (a.as_decimal(), b.as_decimal()) {
            (Some(a), Some(b)) => decimals_equivalent(a, b),
            _ => scalars_equal(a, b) == Some(true),
        },
    }
}

/// Whether texts are the same but for case and for how blanks are written.
fn texts_equivalent(a: &str, b: &str) -> bool {
    let words =
        |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_lowercase).collect() };
    words(a) == words(b)
}

/// Whether two structures are equal: members in any order, arrays in theirs, numbers by value.
fn json_equal(a: &Value, b: &Value, budget: &mut Budget) -> Result<bool> {
    budget.spend(1)?;
    Ok(match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (key, value) in a {
                match b.get(key) {
                    Some(other) if json_equal(value, other, budget)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (Value::Array(a), Value::Array(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.iter().zip(b) {
                if !json_equal(a, b, budget)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Number(a), Value::Number(b)) => {
            a == b || json_decimal(a.as_str()).is_some_and(|a| Some(a) == json_decimal(b.as_str()))
        }
        _ => a == b,
    })
}

/// Whether two structures are equivalent: as equal, but arrays in any order, texts but for case, and
/// without the ids of elements.
fn json_equivalent(a: &Value, b: &Value, budget: &mut Budget) -> Result<bool> {
    budget.spend(1)?;
    Ok(match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let counted = |key: &&String| *key != "id";
            if a.keys().filter(counted).count() != b.keys().filter(counted).count() {
                return Ok(false);
            }
            for (key, value) in a.iter().filter(|(key, _)| *key != "id") {
                match b.get(key) {
                    Some(other) if json_equivalent(value, other, budget)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut left: Vec<_> = b.iter().collect();
            for one in a {
                let mut found = None;
                for (index, other) in left.iter().enumerate() {
                    if json_equivalent(one, other, budget)? {
                        found = Some(index);
                        break;
                    }
                }
                match found {
                    Some(index) => drop(left.swap_remove(index)),
                    None => return Ok(false),
                }
            }
            true
        }
        (Value::Number(a), Value::Number(b)) => {
            let numbers = json_decimal(a.as_str()).zip(json_decimal(b.as_str()));
            numbers.is_some_and(|(a, b)| decimals_equivalent(a, b))
        }
        (Value::String(a), Value::String(b)) => texts_equivalent(a, b),
        _ => a == b,
    })
}

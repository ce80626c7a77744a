//! Spans: where on a line of ordered values a criterion may be met, and where a resource's values lie.
//!
//! For every criterion that has a span: if it matches a resource, its span and the resource's for the
//! criterion's parameter overlap. The reverse does not hold (bounds are rounded outwards, units left
//! out, several values taken as one stretch), so whoever finds a criterion by its span asks it again.
//! Tests: `src/tests/properties.rs`.

use std::ops::Bound;

use cresset_model::Comparator;
use rust_decimal::Decimal;

use crate::{DateOperand, DateRange, NumberOperand, NumberRange, Operand, SearchValue, UnitTest};

/// The code system of units that have a common measure.
const UCUM: &str = "http://unitsofmeasure.org";
/// Digits after the point that tell numbers apart; finer ones share a place.
const DIGITS: u32 = 6;

/// A stretch of the line, both ends in it; `i64::MIN` and `i64::MAX` stand for no end.
///
/// Dates lie at their microsecond, numbers and quantities at their millionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first place.
    pub low: i64,
    /// Its last place.
    pub high: i64,
}

impl Span {
    fn between(one: i64, other: i64) -> Self {
        Self { low: one.min(other), high: one.max(other) }
    }

    fn from(low: i64) -> Self {
        Self { low, high: i64::MAX }
    }

    fn up_to(high: i64) -> Self {
        Self { low: i64::MIN, high }
    }

    /// Whether they have a place in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }

    /// The places that both have, if there are any.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        let (low, high) = (self.low.max(other.low), self.high.min(other.high));
        (low <= high).then_some(Self { low, high })
    }

    /// The shortest stretch with both in it.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// Where values may lie that the operand matches; `None` where that is anywhere.
    pub(crate) fn of_operand(operand: &Operand) -> Option<Self> {
        match operand {
            Operand::Date(date) => Self::of_date(date),
            Operand::Number(number) => Self::of_number(number),
            Operand::Quantity(quantity) => match &quantity.unit {
                // Converted into other units where they are not the same: its number says nothing.
                UnitTest::Coded { system, .. } if system == UCUM => None,
                UnitTest::Any | UnitTest::Coded { .. } | UnitTest::Named(_) => {
                    Self::of_number(&quantity.number)
                }
            },
            Operand::Composite(_)
            | Operand::Reference(_)
            | Operand::String(_)
            | Operand::Token(_)
            | Operand::Uri(_) => None,
        }
    }

    fn of_date(operand: &DateOperand) -> Option<Self> {
        let DateRange { start, end } = operand.range;
        match operand.comparator {
            Comparator::Ap | Comparator::Eq => Some(Self::between(start, end)),
            Comparator::Eb => Some(Self::up_to(start)),
            Comparator::Ge | Comparator::Gt => Some(Self::from(start)),
            Comparator::Le | Comparator::Lt => Some(Self::up_to(end)),
            Comparator::Ne => None,
            Comparator::Sa => Some(Self::from(end)),
        }
    }

    fn of_number(operand: &NumberOperand) -> Option<Self> {
        let number = place(operand.number);
        match operand.comparator {
            Comparator::Ap => {
                let (low, high) = operand.approximately();
                Some(Self::between(place(low), place(high)))
            }
            Comparator::Eb | Comparator::Le | Comparator::Lt => Some(Self::up_to(number)),
            Comparator::Eq => Some(Self::between(place(operand.low), place(operand.high))),
            Comparator::Ge | Comparator::Gt | Comparator::Sa => Some(Self::from(number)),
            Comparator::Ne => None,
        }
    }

    /// Where a value lies; `None` for one of a type without order.
    pub(crate) fn of_value(value: &SearchValue<'_>) -> Option<Self> {
        match value {
            SearchValue::Date(date) => Some(Self::between(date.start, date.end)),
            SearchValue::Number(number) => Some(Self::of_numbers(*number)),
            SearchValue::Quantity(quantity) => Some(Self::of_numbers(quantity.number)),
            SearchValue::Composite(_)
            | SearchValue::Reference(_)
            | SearchValue::String(_)
            | SearchValue::Token(_)
            | SearchValue::Uri(_) => None,
        }
    }

    fn of_numbers(range: NumberRange) -> Self {
        let end = |bound, open| match bound {
            Bound::Included(number) | Bound::Excluded(number) => place(number),
            Bound::Unbounded => open,
        };
        Self::between(end(range.low, i64::MIN), end(range.high, i64::MAX))
    }
}

/// Where a number lies. Exact arithmetic: a smaller number never lies above a greater one.
fn place(number: Decimal) -> i64 {
    let (digits, scale) = (number.mantissa(), number.scale());
    // A mantissa has 96 bits, so that six digits more still fit.
    let place = match scale.checked_sub(DIGITS) {
        Some(finer) => digits.div_euclid(10_i128.pow(finer)),
        None => digits * 10_i128.pow(DIGITS - scale),
    };
    let clamped = place.clamp(i64::MIN.into(), i64::MAX.into());
    i64::try_from(clamped).unwrap_or(i64::MAX)
}

//! Spans: where on a line of ordered values a criterion may be met, and where a resource's values lie.
//!
//! For every criterion that has a span: if it matches a resource, its span and the resource's for the
//! criterion's parameter overlap. The reverse does not hold (bounds are rounded outwards, units left
//! out, several values taken as one stretch), so whoever finds a criterion by its span asks it again.
//! Tests: `src/tests/properties.rs`.

use std::ops::Bound;

use cresset_fhirpath::Scale;
use cresset_model::Comparator;
use rust_decimal::Decimal;

use crate::{DateOperand, DateRange, NumberOperand, NumberRange, Operand, SearchValue, UnitTest};

/// Digits after the point that tell numbers apart; finer ones share a place.
const DIGITS: u32 = 6;

/// How far apart the places of two measures may lie that are one, converted this way and that: far
/// more than rounding makes, far less than what anybody asks apart.
const MEASURE_SLACK: i64 = 1 << 12;
/// The digits that a number keeps when it is converted, and one to spare.
const MEASURE_DIGITS: u32 = 22;

/// A line of ordered values; places on different lines say nothing of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// Dates lie at their microsecond, numbers and quantities, as they are written, at their
    /// millionth.
    Written,
    /// Quantities with a unit of UCUM that converts lie where they do in base units, whatever is
    /// measured, in the order of binary fractions.
    Measured,
}

/// A stretch of a line, both ends in it; `i64::MIN` and `i64::MAX` stand for no end.
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
    pub fn of_operand(operand: &Operand) -> Option<(Line, Self)> {
        let written = |number| Self::of_number(number, |number| Some(between(number, number)));
        let span = match operand {
            Operand::Date(date) => Self::of_date(date),
            Operand::Number(number) => written(number),
            Operand::Quantity(quantity) => match &quantity.unit {
                UnitTest::Coded { scale: Some(scale), .. } => {
                    let span = Self::of_number(&quantity.number, |number| around(number, scale));
                    return Some((Line::Measured, span?));
                }
                // Without a scale only the same unit fits, and the numbers compare as written.
                UnitTest::Any | UnitTest::Coded { .. } | UnitTest::Named(_) => {
                    written(&quantity.number)
                }
            },
            Operand::Composite(_)
            | Operand::Reference(_)
            | Operand::String(_)
            | Operand::Token(_)
            | Operand::Uri(_)
            | Operand::Words(_) => None,
        };
        Some((Line::Written, span?))
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

    /// `around` tells where numbers may lie that compare as equal to one.
    fn of_number(
        operand: &NumberOperand,
        around: impl Fn(Decimal) -> Option<Self>,
    ) -> Option<Self> {
        let number = || around(operand.number);
        let both = |low, high| Some(around(low)?.hull(around(high)?));
        match operand.comparator {
            Comparator::Ap => {
                let (low, high) = operand.approximately();
                both(low, high)
            }
            Comparator::Eb | Comparator::Le | Comparator::Lt => Some(Self::up_to(number()?.high)),
            Comparator::Eq => both(operand.low, operand.high),
            Comparator::Ge | Comparator::Gt | Comparator::Sa => Some(Self::from(number()?.low)),
            Comparator::Ne => None,
        }
    }

    /// Where a value lies on a line; `None` for one that is not on it.
    pub fn of_value(value: &SearchValue<'_>, line: Line) -> Option<Self> {
        match (line, value) {
            (Line::Written, SearchValue::Date(date)) => Some(Self::between(date.start, date.end)),
            (Line::Written, SearchValue::Number(number)) => Some(Self::of_numbers(*number, place)),
            (Line::Written, SearchValue::Quantity(quantity)) => {
                Some(Self::of_numbers(quantity.number, place))
            }
            (Line::Measured, SearchValue::Quantity(quantity)) => {
                let scale = quantity.scale()?;
                // What is too large to be measured may be anywhere.
                let measured = |number| scale.in_base_order(number).map(in_order);
                let NumberRange { low, high } = quantity.number;
                let end = |bound| match bound {
                    Bound::Included(number) | Bound::Excluded(number) => measured(number),
                    Bound::Unbounded => None,
                };
                let (low, high) = (end(low).unwrap_or(i64::MIN), end(high).unwrap_or(i64::MAX));
                Some(Self::between(low, high))
            }
            (
                _,
                SearchValue::Composite(_)
                | SearchValue::Date(_)
                | SearchValue::Number(_)
                | SearchValue::Reference(_)
                | SearchValue::String(_)
                | SearchValue::Token(_)
                | SearchValue::Uri(_),
            ) => None,
        }
    }

    fn of_numbers(range: NumberRange, place: impl Fn(Decimal) -> i64) -> Self {
        let end = |bound, open| match bound {
            Bound::Included(number) | Bound::Excluded(number) => place(number),
            Bound::Unbounded => open,
        };
        Self::between(end(range.low, i64::MIN), end(range.high, i64::MAX))
    }
}

fn between(low: Decimal, high: Decimal) -> Span {
    Span::between(place(low), place(high))
}

/// Where measures may lie that are so many of a unit once they are converted into it, with what is
/// rounded then; `None` where that cannot be told.
fn around(number: Decimal, scale: &Scale) -> Option<Span> {
    let smallest = Decimal::try_from_i128_with_scale(10, Decimal::MAX_SCALE).ok()?;
    let slack = number.abs() * Decimal::try_from_i128_with_scale(1, MEASURE_DIGITS).ok()?;
    let slack = slack.checked_add(smallest)?;
    let place = |number: Option<Decimal>| scale.in_base_order(number?).map(in_order);
    let low = place(number.checked_sub(slack))?.saturating_sub(MEASURE_SLACK);
    let high = place(number.checked_add(slack))?.saturating_add(MEASURE_SLACK);
    Some(Span::between(low, high))
}

/// The number of a binary fraction, counted in their order.
fn in_order(number: f64) -> i64 {
    let bits = number.to_bits().cast_signed();
    if bits < 0 { i64::MIN - bits } else { bits }
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

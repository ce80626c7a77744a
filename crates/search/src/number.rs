//! Numbers, the precision their digits imply, and the comparators over them.

use std::ops::Bound;

use cresset_model::Comparator;
use rust_decimal::Decimal;
use serde_json::Value;

use crate::date::Malformed;

/// Longest text that is read as a number.
const TEXT_BYTES_MAX: usize = 64;
/// The most digits after the point that a `Decimal` keeps; smaller parts are rounded away.
const SCALE_MAX: i32 = 28;

/// The numbers a value of a resource stands for: one number, or a range of them.
///
/// An open or excluded bound comes from `Range` and from `Quantity.comparator` (`< 5.4`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NumberRange {
    /// The smallest.
    pub low: Bound<Decimal>,
    /// The largest.
    pub high: Bound<Decimal>,
}

impl NumberRange {
    /// Exactly this number.
    pub fn exactly(number: Decimal) -> Self {
        Self { low: Bound::Included(number), high: Bound::Included(number) }
    }

    /// The numbers of `Range` from its `low` to its `high`; `None` without either.
    pub(crate) fn of_range(range: &Value) -> Result<Option<Self>, Malformed> {
        let bound = |name: &str| match range.get(name).and_then(|part| part.get("value")) {
            None => Ok(Bound::Unbounded),
            Some(value) => decimal(value).ok_or(Malformed("Range")).map(Bound::Included),
        };
        let (low, high) = (bound("low")?, bound("high")?);
        let empty = low == Bound::Unbounded && high == Bound::Unbounded;
        Ok((!empty).then_some(Self { low, high }))
    }

    /// Whether some number of the range is greater than `number`.
    fn reaches_above(self, number: Decimal) -> bool {
        match self.high {
            Bound::Included(high) | Bound::Excluded(high) => high > number,
            Bound::Unbounded => true,
        }
    }

    fn reaches(self, number: Decimal) -> bool {
        match self.high {
            Bound::Included(high) => high >= number,
            Bound::Excluded(high) => high > number,
            Bound::Unbounded => true,
        }
    }

    fn mirrored(self) -> Self {
        let mirror = |bound: Bound<Decimal>| bound.map(|number| -number);
        Self { low: mirror(self.high), high: mirror(self.low) }
    }

    /// Whether all of it is at least `low` and less than `high`.
    fn is_within(self, low: Decimal, high: Decimal) -> bool {
        let from = match self.low {
            Bound::Included(number) | Bound::Excluded(number) => number >= low,
            Bound::Unbounded => false,
        };
        from && match self.high {
            Bound::Included(number) => number < high,
            Bound::Excluded(number) => number <= high,
            Bound::Unbounded => false,
        }
    }
}

/// A number to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberOperand {
    /// How to compare.
    pub comparator: Comparator,
    /// The number as written.
    pub number: Decimal,
    /// The first number that rounds to it at the precision of its digits: 99.5 for `100`.
    pub low: Decimal,
    /// The first number above that does not: 100.5 for `100`.
    pub high: Decimal,
}

impl NumberOperand {
    /// Reads `100`, `-5.40`, `1e2`; `None` for anything else or what is beyond 28 digits.
    pub(crate) fn parse(comparator: Comparator, text: &str) -> Option<Self> {
        let Written { number, step } = Written::parse(text)?;
        let half = step.checked_div(Decimal::TWO)?;
        let (low, high) = (number.checked_sub(half)?, number.checked_add(half)?);
        Some(Self { comparator, number, low, high })
    }

    /// FHIR's table of prefixes: only `eq` and `ne` use the implied precision, the others take the
    /// number to be exact, and `ap` allows 10 %.
    pub fn matches(&self, value: NumberRange) -> bool {
        let number = self.number;
        match self.comparator {
            Comparator::Ap => {
                let tolerance = number.abs() / Decimal::TEN;
                value.reaches(number.saturating_sub(tolerance))
                    && value.mirrored().reaches(-number.saturating_add(tolerance))
            }
            Comparator::Eb => !value.reaches(number),
            Comparator::Eq => value.is_within(self.low, self.high),
            Comparator::Ge => value.reaches(number),
            Comparator::Gt => value.reaches_above(number),
            Comparator::Le => value.mirrored().reaches(-number),
            Comparator::Lt => value.mirrored().reaches_above(-number),
            Comparator::Ne => !value.is_within(self.low, self.high),
            Comparator::Sa => !value.mirrored().reaches(-number),
        }
    }
}

/// The number in a JSON value: a number, or the string R5 writes an `integer64` as.
pub(crate) fn decimal(value: &Value) -> Option<Decimal> {
    let text = match value {
        Value::Number(number) => number.as_str(),
        Value::String(text) => text,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    decimal_of_text(text)
}

/// The number a text is.
pub(crate) fn decimal_of_text(text: &str) -> Option<Decimal> {
    Written::parse(text).map(|written| written.number)
}

/// A number and the weight of its last written digit.
struct Written {
    number: Decimal,
    step: Decimal,
}

impl Written {
    fn parse(text: &str) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        let negative = whole.starts_with('-');
        let digits = whole.strip_prefix(['-', '+']).unwrap_or(whole);
        if digits.is_empty() {
            return None;
        }
        let unscaled = integer(digits.bytes().chain(fraction.bytes()))?;
        let unscaled = if negative { -unscaled } else { unscaled };
        let scale = i32::try_from(fraction.len()).ok()? - i32::from(exponent);
        Some(Self { number: scaled(unscaled, scale)?, step: scaled(1, scale)? })
    }
}

fn integer(mut digits: impl Iterator<Item = u8>) -> Option<i128> {
    digits.try_fold(0_i128, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// `unscaled` × 10^-`scale`; what is beyond 28 digits after the point is cut off, `None` where the
/// number is too large.
fn scaled(unscaled: i128, scale: i32) -> Option<Decimal> {
    let excess = scale.saturating_sub(SCALE_MAX).max(0).unsigned_abs();
    let surplus = scale.min(0).unsigned_abs();
    let unscaled = match 10_i128.checked_pow(surplus) {
        Some(power) => unscaled.checked_mul(power)?,
        None if unscaled == 0 => 0,
        None => return None,
    };
    // No i128 has more than 39 digits: dividing by more leaves nothing.
    let unscaled = 10_i128.checked_pow(excess).map_or(0, |power| unscaled / power);
    let scale = scale.clamp(0, SCALE_MAX).unsigned_abs();
    Decimal::try_from_i128_with_scale(unscaled, scale).ok()
}

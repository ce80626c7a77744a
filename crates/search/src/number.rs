//! Numbers, the precision their digits imply, and the comparators over them.

use std::ops::Bound;

use cresset_fhirpath::Scale;
use cresset_model::Comparator;
use rust_decimal::Decimal;
use serde_json::Value;

use crate::date::Malformed;

/// Longest text that is read as a number.
const TEXT_BYTES_MAX: usize = 1_024;
/// The most digits after the point that a `Decimal` keeps.
const SCALE_MAX: i32 = 28;
/// The most a `Decimal` counts in its last digit.
const DIGITS_MAX: i128 = (1 << 96) - 1;

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

    /// The number in a JSON value: a number, or the string R5 writes an `integer64` as.
    ///
    /// What has more digits than fit is the range in which it lies.
    pub(crate) fn of_json(value: &Value) -> Option<Self> {
        let text = match value {
            Value::Number(number) => number.as_str(),
            Value::String(text) => text,
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
        };
        let written = Written::parse(text)?;
        let (near, far) = match written.magnitude() {
            Magnitude::Between(near, far) => (Bound::Excluded(near), Bound::Excluded(far)),
            Magnitude::Exact(number) => return Some(Self::exactly(number)),
            Magnitude::Huge(number) => (Bound::Excluded(number), Bound::Unbounded),
        };
        Some(if written.is_negative {
            Self { low: far, high: near }
        } else {
            Self { low: near, high: far }
        })
    }

    /// The numbers of `Range` from its `low` to its `high`; `None` without either.
    pub(crate) fn of_range(range: &Value) -> Result<Option<Self>, Malformed> {
        let end = |name: &str| match range.get(name).and_then(|part| part.get("value")) {
            None => Ok(None),
            Some(value) => Self::of_json(value).ok_or(Malformed("Range")).map(Some),
        };
        let (low, high) = (end("low")?, end("high")?);
        if low.is_none() && high.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            low: low.map_or(Bound::Unbounded, |low| low.low),
            high: high.map_or(Bound::Unbounded, |high| high.high),
        }))
    }

    /// The same in another unit; `None` where a bound does not convert.
    pub(crate) fn converted(self, from: &Scale, to: &Scale) -> Option<Self> {
        let bound = |bound: Bound<Decimal>| {
            Some(match bound {
                Bound::Included(number) => Bound::Included(from.convert(number, to)?),
                Bound::Excluded(number) => Bound::Excluded(from.convert(number, to)?),
                Bound::Unbounded => Bound::Unbounded,
            })
        };
        // Every scale rises, so that low stays low.
        Some(Self { low: bound(self.low)?, high: bound(self.high)? })
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
        let written = Written::parse(text)?;
        let Magnitude::Exact(number) = written.magnitude() else { return None };
        let half = written.step()?.checked_div(Decimal::TWO)?;
        let (low, high) = (number.checked_sub(half)?, number.checked_add(half)?);
        Some(Self { comparator, number, low, high })
    }

    /// The smallest and the largest number that `ap` takes for about this one.
    pub(crate) fn approximately(&self) -> (Decimal, Decimal) {
        let tolerance = self.number.abs() / Decimal::TEN;
        (self.number.saturating_sub(tolerance), self.number.saturating_add(tolerance))
    }

    /// FHIR's table of prefixes: only `eq` and `ne` use the implied precision, the others take the
    /// number to be exact, and `ap` allows 10 %.
    pub fn matches(&self, value: NumberRange) -> bool {
        let number = self.number;
        match self.comparator {
            Comparator::Ap => {
                let (low, high) = self.approximately();
                value.reaches(low) && value.mirrored().reaches(-high)
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

/// The number a text is, with what does not fit into 28 digits cut off; `None` for what is no number
/// or too large.
pub(crate) fn cut(text: &str) -> Option<Decimal> {
    match Written::parse(text)?.magnitude() {
        Magnitude::Between(number, _) | Magnitude::Exact(number) => Some(number),
        Magnitude::Huge(_) => None,
    }
}

/// A number as written: digits × 10^-`scale`.
#[derive(Clone, Copy)]
struct Written {
    digits: i128,
    scale: i32,
    /// Whether digits were left out that are not 0.
    is_cut: bool,
    has_fraction: bool,
    is_negative: bool,
}

/// What of a number can be computed with.
#[derive(Clone, Copy)]
enum Magnitude {
    /// Something between these, both excluded, the one nearer to 0 first.
    Between(Decimal, Decimal),
    /// This.
    Exact(Decimal),
    /// Something further from 0 than this, the largest number there is.
    Huge(Decimal),
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
        let unsigned = whole.strip_prefix(['-', '+']).unwrap_or(whole);
        if unsigned.is_empty() {
            return None;
        }
        let mut written = Self {
            digits: 0,
            scale: i32::try_from(fraction.len()).ok()? - i32::from(exponent),
            is_cut: false,
            has_fraction: !fraction.is_empty(),
            is_negative: whole.starts_with('-'),
        };
        for digit in unsigned.bytes().chain(fraction.bytes()) {
            written.push(digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?);
        }
        Some(written)
    }

    fn push(&mut self, digit: i128) {
        match self.digits.checked_mul(10).and_then(|digits| digits.checked_add(digit)) {
            Some(digits) => self.digits = digits,
            None => {
                self.scale -= 1;
                self.is_cut |= digit != 0;
            }
        }
    }

    /// The weight of the last digit written; `None` where it cannot be computed with.
    fn step(self) -> Option<Decimal> {
        // FHIR's own example takes 1e2 for [95, 105): ten times more exact than its digit says.
        let finer = !self.has_fraction && self.scale < 0;
        let scale = if finer { self.scale + 1 } else { self.scale };
        match (Self { digits: 1, scale, is_cut: false, ..self }).unsigned() {
            Magnitude::Exact(step) => Some(step),
            Magnitude::Between(..) | Magnitude::Huge(_) => None,
        }
    }

    fn magnitude(self) -> Magnitude {
        let unsigned = self.unsigned();
        if !self.is_negative {
            return unsigned;
        }
        match unsigned {
            Magnitude::Between(near, far) => Magnitude::Between(-near, -far),
            Magnitude::Exact(number) => Magnitude::Exact(-number),
            Magnitude::Huge(number) => Magnitude::Huge(-number),
        }
    }

    fn unsigned(self) -> Magnitude {
        let Self { mut digits, mut scale, mut is_cut, .. } = self;
        while scale < 0 && digits != 0 {
            let Some(shifted) = digits.checked_mul(10) else {
                return Magnitude::Huge(Decimal::MAX);
            };
            digits = shifted;
            scale += 1;
        }
        while digits != 0 && scale > 0 && (scale > SCALE_MAX || digits > DIGITS_MAX) {
            is_cut |= digits % 10 != 0;
            digits /= 10;
            scale -= 1;
        }
        let scale = scale.clamp(0, SCALE_MAX).unsigned_abs();
        let decimal = |digits| Decimal::try_from_i128_with_scale(digits, scale).ok();
        match (decimal(digits), is_cut) {
            (None, _) => Magnitude::Huge(Decimal::MAX),
            (Some(number), false) => Magnitude::Exact(number),
            (Some(number), true) => {
                Magnitude::Between(number, decimal(digits + 1).unwrap_or(Decimal::MAX))
            }
        }
    }
}

#[cfg(test)]
mod tests;

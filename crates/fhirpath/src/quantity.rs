//! Quantities: a decimal with a UCUM code or a calendar unit.
//!
//! Calendar durations and UCUM's definite ones are the same from weeks downwards; a calendar year or
//! month equals no number of days, so comparing them has no answer. Tests: `quantity/tests.rs`.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;

use rust_decimal::Decimal;
use smol_str::SmolStr;

use crate::temporal::CalendarUnit;
use crate::ucum::Scale;

/// A decimal with a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    /// How many of the unit.
    pub value: Decimal,
    /// The unit.
    pub unit: Unit,
}

/// The unit of a quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// A calendar duration.
    Calendar(CalendarUnit),
    /// A UCUM code; `1` for none.
    Ucum(SmolStr),
}

/// The UCUM code of a number without unit.
pub(crate) const UNITY: &str = "1";

impl Unit {
    /// The unit that a text in quotes names; a calendar word there means the calendar unit.
    pub(crate) fn quoted(text: &str) -> Self {
        match CalendarUnit::parse(text) {
            Some(unit) => Self::Calendar(unit),
            None => Self::Ucum(SmolStr::new(text)),
        }
    }

    fn scale(&self) -> Option<Scale> {
        match self {
            Self::Calendar(CalendarUnit::Year) => Some(Scale::calendar_months(12)),
            Self::Calendar(CalendarUnit::Month) => Some(Scale::calendar_months(1)),
            Self::Calendar(unit) => Scale::parse(unit.ucum()),
            Self::Ucum(code) => Scale::parse(code),
        }
    }
}

impl Quantity {
    /// A number without unit.
    pub(crate) fn unitless(value: Decimal) -> Self {
        Self { value, unit: Unit::Ucum(SmolStr::new_static(UNITY)) }
    }

    /// Reads a number, optionally followed by a code in quotes or a calendar word.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let end = text
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | '.')))
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let value = parse_decimal(number)?;
        let unit = unit.trim();
        if unit.is_empty() {
            return Some(Self::unitless(value));
        }
        if let Some(code) = unit.strip_prefix('\'') {
            let code = code.strip_suffix('\'')?;
            return (!code.is_empty()).then(|| Self { value, unit: Unit::quoted(code) });
        }
        Some(Self { value, unit: Unit::Calendar(CalendarUnit::parse(unit)?) })
    }

    /// Whether the two can be compared at all; `None` if a unit is not understood.
    pub(crate) fn is_comparable(&self, other: &Self) -> bool {
        self.unit == other.unit
            || self
                .unit
                .scale()
                .zip(other.unit.scale())
                .is_some_and(|(a, b)| a.dimensions_equal(&b))
    }

    /// How it compares with another; `None` where the units differ and do not convert.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        if self.unit == other.unit {
            return Some(self.value.cmp(&other.value));
        }
        let theirs = other.unit.scale()?.convert(other.value, &self.unit.scale()?)?;
        Some(self.value.cmp(&theirs))
    }

    /// Whether it is about the same: compared with the precision of the less precise of the two.
    pub(crate) fn is_equivalent(&self, other: &Self) -> bool {
        if self.unit == other.unit {
            return decimals_equivalent(self.value, other.value);
        }
        let as_ucum = |one: &Self| match one.unit {
            Unit::Calendar(unit) => Unit::Ucum(SmolStr::new_static(unit.ucum())),
            Unit::Ucum(_) => one.unit.clone(),
        };
        let scale = as_ucum(self).scale().zip(as_ucum(other).scale());
        let Some((mine, theirs)) = scale else { return as_ucum(self) == as_ucum(other) };
        if !mine.dimensions_equal(&theirs) {
            return false;
        }
        // In the unit of the less precise of the two, so that its digits are what counts.
        let converted = theirs.convert(other.value, &mine);
        converted.is_some_and(|value| decimals_equivalent(self.value, value))
    }

    /// The sum (or, with `sign` -1, the difference) in this one's unit.
    pub(crate) fn plus(&self, other: &Self, sign: Decimal) -> Option<Self> {
        let theirs = if self.unit == other.unit {
            other.value
        } else {
            let (mine, theirs) = (self.unit.scale()?, other.unit.scale()?);
            if !mine.is_ratio() || !theirs.is_ratio() {
                return None;
            }
            theirs.convert(other.value, &mine)?
        };
        let value = self.value.checked_add(theirs.checked_mul(sign)?)?;
        Some(Self { value, unit: self.unit.clone() })
    }

    /// The product, in base units where the units are not the same text.
    pub(crate) fn times(&self, other: &Self) -> Option<Self> {
        self.combined(other, false)
    }

    /// The quotient; `None` for a zero divisor.
    pub(crate) fn divided_by(&self, other: &Self) -> Option<Self> {
        self.combined(other, true)
    }

    fn combined(&self, other: &Self, inverse: bool) -> Option<Self> {
        let value = if inverse {
            self.value.checked_div(other.value)?
        } else {
            self.value.checked_mul(other.value)?
        };
        if other.unit == Unit::Ucum(SmolStr::new_static(UNITY)) {
            return Some(Self { value, unit: self.unit.clone() });
        }
        let (mine, theirs) = (self.unit.scale()?, other.unit.scale()?);
        let scale = mine.combined(&theirs, inverse)?;
        let value = scale.in_base_units(value)?;
        Some(Self { value, unit: Unit::Ucum(scale.base_code()) })
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unit {
            Unit::Calendar(unit) if self.value == Decimal::ONE => {
                write!(f, "{} {}", self.value, unit.word())
            }
            Unit::Calendar(unit) => write!(f, "{} {}s", self.value, unit.word()),
            Unit::Ucum(code) => write!(f, "{} '{code}'", self.value),
        }
    }
}

/// Reads a decimal: sign, digits, and optionally a point and digits; no exponent.
pub(crate) fn parse_decimal(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    text.strip_prefix('+').unwrap_or(text).parse().ok()
}

/// Whether two decimals agree to the digits of the less precise one.
pub(crate) fn decimals_equivalent(a: Decimal, b: Decimal) -> bool {
    let (a, b) = (a.normalize(), b.normalize());
    let digits = a.scale().min(b.scale());
    a.round_dp(digits) == b.round_dp(digits)
}

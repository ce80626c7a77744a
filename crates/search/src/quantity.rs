//! Quantities: numbers with units.

use std::ops::Bound;
use std::sync::Arc;

use cresset_fhirpath::Scale;
use cresset_model::Comparator;
use rust_decimal::Decimal;
use serde_json::Value;
use smol_str::SmolStr;

use crate::date::Malformed;
use crate::number::{self, NumberOperand, NumberRange};
use crate::syntax;
use crate::value::redact;

/// The code system of currencies, which are the units of `Money`.
const CURRENCIES: &str = "urn:iso:std:iso:4217";

/// Numbers with a unit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Quantity<'a> {
    /// How much.
    pub number: NumberRange,
    /// The system of `code`.
    pub system: Option<&'a str>,
    /// The coded unit.
    pub code: Option<&'a str>,
    /// The unit for people.
    pub unit: Option<&'a str>,
}

impl<'a> Quantity<'a> {
    /// `Quantity` and what specialises it; `None` without a value.
    pub(crate) fn of_quantity(json: &'a Value) -> Result<Option<Self>, Malformed> {
        let mut units = Units::default();
        let (mut value, mut comparator) = (None, None);
        for (name, member) in json.as_object().into_iter().flatten() {
            match name.as_str() {
                "comparator" => comparator = member.as_str(),
                "value" => value = Some(member),
                name => units.read(name, member),
            }
        }
        let Some(value) = value else { return Ok(None) };
        let NumberRange { low, high } = NumberRange::of_json(value).ok_or(Malformed("Quantity"))?;
        let excluding = |bound| match bound {
            Bound::Included(number) => Bound::Excluded(number),
            Bound::Excluded(_) | Bound::Unbounded => bound,
        };
        let (low, high) = match comparator {
            Some("<") => (Bound::Unbounded, excluding(high)),
            Some("<=") => (Bound::Unbounded, high),
            Some(">") => (excluding(low), Bound::Unbounded),
            Some(">=") => (low, Bound::Unbounded),
            // `ad` (sufficient to achieve this total) says nothing about the amount itself.
            Some("ad") => return Ok(None),
            Some(_) => return Err(Malformed("Quantity")),
            None => (low, high),
        };
        let Units { system, code, unit } = units;
        Ok(Some(Self { number: NumberRange { low, high }, system, code, unit }))
    }

    /// `Money`: the currency is the unit.
    pub(crate) fn of_money(json: &'a Value) -> Result<Option<Self>, Malformed> {
        let Some(value) = json.get("value") else { return Ok(None) };
        let number = NumberRange::of_json(value).ok_or(Malformed("Money"))?;
        let code = json.get("currency").and_then(Value::as_str);
        Ok(Some(Self { number, system: code.map(|_| CURRENCIES), code, unit: None }))
    }

    /// `Range`: the units are those of its low or high end.
    pub(crate) fn of_range(json: &'a Value) -> Result<Option<Self>, Malformed> {
        let Some(number) = NumberRange::of_range(json)? else { return Ok(None) };
        let end = json.get("low").or_else(|| json.get("high")).unwrap_or(&Value::Null);
        Ok(Some(Self::with_units_of(end, number)))
    }

    /// `SampledData`: from the smallest to the largest of its samples.
    pub(crate) fn of_sampled_data(json: &'a Value) -> Result<Option<Self>, Malformed> {
        let malformed = Malformed("SampledData");
        let plain = |value: &Value| {
            value.as_number().and_then(|number| number::cut(number.as_str())).ok_or(malformed)
        };
        let part = |name: &str| match json.get(name) {
            None => Ok(None),
            Some(value) => plain(value).map(Some),
        };
        let Some(origin) = json.get("origin") else { return Ok(None) };
        let Some(zero) = origin.get("value") else { return Ok(None) };
        let zero = plain(zero)?;
        let factor = part("factor")?.unwrap_or(Decimal::ONE);
        let (lower, upper) = (part("lowerLimit")?, part("upperLimit")?);
        let mut limits: Option<(Decimal, Decimal)> = None;
        let data = json.get("data").and_then(Value::as_str).unwrap_or_default();
        for sample in data.split_ascii_whitespace() {
            let point = match sample {
                "E" => continue,
                "L" => lower,
                "U" => upper,
                _ => Some(number::cut(sample).ok_or(malformed)?),
            };
            let Some(point) = point else { continue };
            limits = Some(
                limits.map_or((point, point), |(low, high)| (low.min(point), high.max(point))),
            );
        }
        let Some((low, high)) = limits else { return Ok(None) };
        let scaled = |sample: Decimal| {
            let value = sample.checked_mul(factor).and_then(|value| value.checked_add(zero));
            value.ok_or(malformed)
        };
        let (one, other) = (scaled(low)?, scaled(high)?);
        let (low, high) = (Bound::Included(one.min(other)), Bound::Included(one.max(other)));
        Ok(Some(Self::with_units_of(origin, NumberRange { low, high })))
    }

    /// How its unit relates to others, if it is one of UCUM's that does.
    pub(crate) fn scale(&self) -> Option<Arc<Scale>> {
        self.code.filter(|_| self.system == Some(UCUM)).and_then(Scale::known)
    }

    fn with_units_of(json: &'a Value, number: NumberRange) -> Self {
        let mut units = Units::default();
        for (name, member) in json.as_object().into_iter().flatten() {
            units.read(name, member);
        }
        let Units { system, code, unit } = units;
        Self { number, system, code, unit }
    }
}

/// The unit of a quantity, as it is written.
#[derive(Default)]
struct Units<'a> {
    system: Option<&'a str>,
    code: Option<&'a str>,
    unit: Option<&'a str>,
}

impl<'a> Units<'a> {
    fn read(&mut self, name: &str, member: &'a Value) {
        match name {
            "code" => self.code = member.as_str(),
            "system" => self.system = member.as_str(),
            "unit" => self.unit = member.as_str(),
            _ => {}
        }
    }
}

/// The code system of UCUM, whose units convert into each other.
const UCUM: &str = "http://unitsofmeasure.org";

/// What the unit of a quantity must be.
#[derive(Clone, PartialEq, Eq)]
pub enum UnitTest {
    /// Any unit.
    Any,
    /// This code in this system, or a unit of UCUM that converts into it.
    Coded {
        /// The system.
        system: SmolStr,
        /// The code.
        code: SmolStr,
        /// How the unit relates to others, if it is one of UCUM's that does.
        scale: Option<Arc<Scale>>,
    },
    /// This as code or as unit for people, in any system.
    Named(SmolStr),
}

/// A quantity to compare with.
#[derive(Clone, PartialEq, Eq)]
pub struct QuantityOperand {
    /// The number and how to compare with it.
    pub number: NumberOperand,
    /// What the unit must be.
    pub unit: UnitTest,
}

impl QuantityOperand {
    /// Reads `5.4`, `5.4|system|code` or `5.4||unit`.
    pub(crate) fn parse(comparator: Comparator, text: &str) -> Option<Self> {
        let mut parts = syntax::split(text, '|');
        let number = NumberOperand::parse(comparator, parts.next()?)?;
        let Some(system) = parts.next() else { return Some(Self { number, unit: UnitTest::Any }) };
        let code = syntax::unescape(parts.next()?).filter(|code| !code.is_empty())?;
        if parts.next().is_some() {
            return None;
        }
        let system = syntax::unescape(system)?;
        let unit = if system.is_empty() {
            UnitTest::Named(code)
        } else {
            let scale = if system == UCUM { Scale::known(&code) } else { None };
            UnitTest::Coded { system, code, scale }
        };
        Some(Self { number, unit })
    }

    /// Whether unit and number of the value fit, converted into the unit searched where need be.
    pub fn matches(&self, value: &Quantity<'_>) -> bool {
        let number = match &self.unit {
            UnitTest::Any => Some(value.number),
            UnitTest::Coded { system, code, scale } => {
                if value.system != Some(system.as_str()) {
                    None
                } else if value.code == Some(code.as_str()) {
                    Some(value.number)
                } else {
                    let units = scale.as_deref().zip(value.scale());
                    units.and_then(|(scale, own)| value.number.converted(&own, scale))
                }
            }
            UnitTest::Named(name) => {
                let is = |unit: Option<&str>| unit == Some(name.as_str());
                (is(value.code) || is(value.unit)).then_some(value.number)
            }
        };
        number.is_some_and(|number| self.number.matches(number))
    }
}

redact!(Quantity<'_>, QuantityOperand, UnitTest);

#[cfg(test)]
mod tests;

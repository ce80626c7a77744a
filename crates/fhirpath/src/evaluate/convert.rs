//! Conversions, and the time that the context gives.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::{Call, Evaluator, Result};
use crate::collection::Collection;
use crate::function::{Clock, Conversion};
use crate::item::{Item, Scalar};
use crate::quantity::{Quantity, Unit, parse_decimal};
use crate::temporal::{DateTime, Time};

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn convert(
        &mut self,
        target: Conversion,
        call: &Call<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        out.extend(self.converted(target, call)?.flatten());
        Ok(())
    }

    pub(super) fn converts_to(
        &mut self,
        target: Conversion,
        call: &Call<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let converted = self.converted(target, call)?;
        out.extend(converted.map(|converted| Item::Boolean(converted.is_some())));
        Ok(())
    }

    /// What the input converts to, if there is an input.
    #[expect(clippy::option_option, reason = "the outer says whether there is an input")]
    fn converted(
        &mut self,
        target: Conversion,
        call: &Call<'_, 'a>,
    ) -> Result<Option<Option<Item<'a>>>> {
        let Some(item) = call.single()? else { return Ok(None) };
        let mut converted = item.scalar().and_then(|scalar| convert(&scalar, target));
        if let (Some(Item::Quantity(quantity)), Some(unit)) = (&converted, call.arguments.first()) {
            let unit = self.collect(unit, call.frame)?;
            let unit = super::single(&unit, call.name(), call.step.offset)?;
            if unit.and_then(Item::as_str).is_some_and(|unit| !is_in_unit(quantity, unit)) {
                converted = None;
            }
        }
        Ok(Some(converted))
    }

    pub(super) fn clock(&self, clock: Clock) -> Option<Item<'a>> {
        let now = DateTime::from(self.context.now?);
        Some(match clock {
            Clock::Today => Item::Date(now.date),
            Clock::TimeOfDay => Item::Time(now.time?),
            Clock::Now => Item::DateTime(now),
        })
    }
}

/// Whether a quantity has a unit, or one that converts to it.
fn is_in_unit(quantity: &Quantity, unit: &str) -> bool {
    let unit = Unit::quoted(unit);
    quantity.unit == unit || quantity.is_comparable(&Quantity { value: Decimal::ONE, unit })
}

fn convert<'a>(scalar: &Scalar<'_>, target: Conversion) -> Option<Item<'a>> {
    match target {
        Conversion::Boolean => to_boolean(scalar).map(Item::Boolean),
        Conversion::Date => {
            let parsed = scalar.as_text().and_then(DateTime::parse);
            parsed.or_else(|| scalar.as_date_time()).map(|one| Item::Date(one.date))
        }
        Conversion::DateTime => {
            let parsed = scalar.as_text().and_then(DateTime::parse);
            parsed.or_else(|| scalar.as_date_time()).map(Item::DateTime)
        }
        Conversion::Decimal => to_decimal(scalar).map(Item::Decimal),
        Conversion::Integer => {
            let value = to_long(scalar)?;
            i32::try_from(value).ok().map(Item::Integer)
        }
        Conversion::Long => to_long(scalar).map(Item::Long),
        Conversion::Quantity => {
            let quantity = match scalar.as_text() {
                Some(text) => Quantity::parse(text)?,
                None => {
                    scalar.as_quantity().or_else(|| to_decimal(scalar).map(Quantity::unitless))?
                }
            };
            Some(Item::Quantity(Box::new(quantity)))
        }
        Conversion::String => Some(Item::String(to_text(scalar).into())),
        Conversion::Time => {
            if let Scalar::Time(time) = scalar {
                return Some(Item::Time(*time));
            }
            Time::parse(scalar.as_text()?).map(Item::Time)
        }
    }
}

fn to_boolean(scalar: &Scalar<'_>) -> Option<bool> {
    if let Scalar::Boolean(value) = scalar {
        return Some(*value);
    }
    if let Some(text) = scalar.as_text() {
        return match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "1.0" => Some(true),
            "false" | "f" | "no" | "n" | "0" | "0.0" => Some(false),
            _ => None,
        };
    }
    let value = scalar.as_decimal()?;
    if value == Decimal::ONE { Some(true) } else { value.is_zero().then_some(false) }
}

fn to_decimal(scalar: &Scalar<'_>) -> Option<Decimal> {
    if let Scalar::Boolean(value) = scalar {
        return Some(Decimal::from(u8::from(*value)));
    }
    match scalar.as_text() {
        Some(text) => parse_decimal(text),
        None => scalar.as_decimal(),
    }
}

fn to_long(scalar: &Scalar<'_>) -> Option<i64> {
    match scalar {
        Scalar::Boolean(value) => Some(i64::from(*value)),
        Scalar::Integer(value) | Scalar::Long(value) => Some(*value),
        Scalar::String(text) => {
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            parse_decimal(text).filter(|_| all)?.to_i64()
        }
        Scalar::Date(_)
        | Scalar::DateTime(_)
        | Scalar::Decimal(_)
        | Scalar::Quantity(_)
        | Scalar::Time(_) => None,
    }
}

fn to_text(scalar: &Scalar<'_>) -> String {
    match scalar {
        Scalar::Boolean(value) => value.to_string(),
        Scalar::Date(value) => value.to_string(),
        Scalar::DateTime(value) => value.to_string(),
        Scalar::Decimal(value) => value.to_string(),
        Scalar::Integer(value) | Scalar::Long(value) => value.to_string(),
        Scalar::Quantity(value) => value.to_string(),
        Scalar::String(text) => (*text).to_owned(),
        Scalar::Time(value) => value.to_string(),
    }
}

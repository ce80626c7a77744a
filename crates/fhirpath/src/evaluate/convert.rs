//! Conversions, and the time that the context gives.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::{Call, Evaluator, Result};
use crate::collection::Collection;
use crate::function::Function;
use crate::item::{Item, Scalar};
use crate::quantity::{Quantity, Unit, parse_decimal};
use crate::temporal::{DateTime, Time};

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn convert_call(
        &mut self,
        call: &Call<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        if matches!(call.function, Function::Now | Function::Today | Function::TimeOfDay) {
            out.extend(self.clock(call.function));
            return Ok(());
        }
        let Some(item) = call.single()? else { return Ok(()) };
        let (target, asks) = target(call.function);
        let mut converted = item.scalar().and_then(|scalar| convert(&scalar, target));
        if let (Some(Item::Quantity(_)), Some(unit)) = (&converted, call.arguments.first()) {
            let unit = self.collect(unit, call.frame)?;
            let unit = super::single(&unit, call.name(), call.step.offset)?;
            if let Some(unit) = unit.and_then(Item::as_str) {
                converted = converted.filter(|one| is_in_unit(one, unit));
            }
        }
        if asks {
            out.push(Item::Boolean(converted.is_some()));
        } else {
            out.extend(converted);
        }
        Ok(())
    }

    fn clock(&self, function: Function) -> Option<Item<'a>> {
        let now = DateTime::from(self.context.now?);
        Some(match function {
            Function::Today => Item::Date(now.date),
            Function::TimeOfDay => Item::Time(now.time?),
            _ => Item::DateTime(now),
        })
    }
}

fn is_in_unit(item: &Item<'_>, unit: &str) -> bool {
    match item {
        Item::Quantity(one) => {
            one.unit == Unit::quoted(unit)
                || one.is_comparable(&Quantity { value: Decimal::ONE, unit: Unit::quoted(unit) })
        }
        _ => false,
    }
}

/// What a function converts to.
#[derive(Clone, Copy)]
enum ConversionTarget {
    Boolean,
    Date,
    DateTime,
    Decimal,
    Integer,
    Long,
    Quantity,
    String,
    Time,
}

/// What a function converts to, and whether it only asks if that is possible.
fn target(function: Function) -> (ConversionTarget, bool) {
    match function {
        Function::ConvertsToBoolean => (ConversionTarget::Boolean, true),
        Function::ToBoolean => (ConversionTarget::Boolean, false),
        Function::ConvertsToDate => (ConversionTarget::Date, true),
        Function::ToDate => (ConversionTarget::Date, false),
        Function::ConvertsToDateTime => (ConversionTarget::DateTime, true),
        Function::ToDateTime => (ConversionTarget::DateTime, false),
        Function::ConvertsToDecimal => (ConversionTarget::Decimal, true),
        Function::ToDecimal => (ConversionTarget::Decimal, false),
        Function::ConvertsToInteger => (ConversionTarget::Integer, true),
        Function::ToInteger => (ConversionTarget::Integer, false),
        Function::ConvertsToLong => (ConversionTarget::Long, true),
        Function::ToLong => (ConversionTarget::Long, false),
        Function::ConvertsToQuantity => (ConversionTarget::Quantity, true),
        Function::ToQuantity => (ConversionTarget::Quantity, false),
        Function::ConvertsToTime => (ConversionTarget::Time, true),
        Function::ToTime => (ConversionTarget::Time, false),
        Function::ConvertsToString => (ConversionTarget::String, true),
        _ => (ConversionTarget::String, false),
    }
}

fn convert<'a>(scalar: &Scalar<'_>, target: ConversionTarget) -> Option<Item<'a>> {
    match target {
        ConversionTarget::Boolean => to_boolean(scalar).map(Item::Boolean),
        ConversionTarget::Date => match scalar {
            Scalar::Date(date) => Some(Item::Date(*date)),
            Scalar::DateTime(date_time) => Some(Item::Date(date_time.date)),
            Scalar::String(text) => {
                DateTime::parse(text).map(|date_time| Item::Date(date_time.date))
            }
            _ => None,
        },
        ConversionTarget::DateTime => match scalar {
            Scalar::Date(date) => Some(Item::DateTime((*date).into())),
            Scalar::DateTime(date_time) => Some(Item::DateTime(*date_time)),
            Scalar::String(text) => DateTime::parse(text).map(Item::DateTime),
            _ => None,
        },
        ConversionTarget::Decimal => to_decimal(scalar).map(Item::Decimal),
        ConversionTarget::Integer => {
            let value = to_long(scalar)?;
            i32::try_from(value).ok().map(Item::Integer)
        }
        ConversionTarget::Long => to_long(scalar).map(Item::Long),
        ConversionTarget::Quantity => {
            let quantity = match scalar {
                Scalar::Quantity(one) => one.clone().into_owned(),
                Scalar::String(text) => Quantity::parse(text)?,
                _ => Quantity::unitless(to_decimal(scalar)?),
            };
            Some(Item::Quantity(Box::new(quantity)))
        }
        ConversionTarget::String => Some(Item::String(to_text(scalar).into())),
        ConversionTarget::Time => match scalar {
            Scalar::Time(time) => Some(Item::Time(*time)),
            Scalar::String(text) => Time::parse(text).map(Item::Time),
            _ => None,
        },
    }
}

fn to_boolean(scalar: &Scalar<'_>) -> Option<bool> {
    match scalar {
        Scalar::Boolean(value) => Some(*value),
        Scalar::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "1.0" => Some(true),
            "false" | "f" | "no" | "n" | "0" | "0.0" => Some(false),
            _ => None,
        },
        _ => {
            let value = scalar.as_decimal()?;
            if value == Decimal::ONE { Some(true) } else { value.is_zero().then_some(false) }
        }
    }
}

fn to_decimal(scalar: &Scalar<'_>) -> Option<Decimal> {
    match scalar {
        Scalar::Boolean(value) => Some(Decimal::from(u8::from(*value))),
        Scalar::String(text) => parse_decimal(text),
        _ => scalar.as_decimal(),
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

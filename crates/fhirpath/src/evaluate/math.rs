//! Mathematics: on integers, exact decimals and quantities; boundaries and precision.

use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use rust_decimal::{Decimal, MathematicalOps, RoundingStrategy};

use super::{Call, Evaluator, Result, wrong_type};
use crate::collection::Collection;
use crate::error::EvaluationError;
use crate::function::Math;
use crate::item::{Item, Scalar, integer};
use crate::quantity::Quantity;
use crate::temporal::Boundary;

/// The digits of a decimal's boundary unless others are asked for.
const BOUNDARY_DIGITS: i64 = 8;
/// The most digits behind the point of a decimal.
const DECIMAL_DIGITS_MAX: i64 = 28;

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn math(
        &mut self,
        math: Math,
        call: &Call<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let Some(item) = call.single()? else { return Ok(()) };
        let error = || {
            let wanted = format!("`{}()` is not defined for this", call.name());
            wrong_type(&wanted, item.item_type(), call.step.offset)
        };
        let scalar = item.scalar().ok_or_else(error)?;
        let number = || scalar.as_decimal().ok_or_else(error);
        let made = match math {
            Math::Abs => absolute(&scalar).ok_or_else(error)?,
            Math::Ceiling => number()?.ceil().to_i64().map(integer),
            Math::Floor => number()?.floor().to_i64().map(integer),
            Math::Truncate => number()?.trunc().to_i64().map(integer),
            Math::Exp => number()?.checked_exp().map(Item::Decimal),
            Math::Ln => number()?.checked_ln().map(Item::Decimal),
            Math::Sqrt => number()?.sqrt().map(Item::Decimal),
            Math::Log | Math::Power => {
                let value = number()?;
                let other = self.collect(&call.arguments[0], call.frame)?;
                let Some(other) = super::single(&other, call.name(), call.step.offset)? else {
                    return Ok(());
                };
                let other = other.as_decimal().ok_or_else(error)?;
                if math == Math::Log {
                    logarithm(value, other).map(Item::Decimal)
                } else {
                    power(&scalar, value, other)
                }
            }
            Math::Round => {
                let digits = self.optional_integer(call)?.unwrap_or(0);
                Some(round(number()?, digits).ok_or_else(|| EvaluationError::Type {
                    text: "`round()` needs a number of digits from 0 to 28".to_owned(),
                    offset: call.step.offset,
                })?)
            }
            Math::LowBoundary => {
                boundary(&scalar, Boundary::Low, self.optional_integer(call)?).ok_or_else(error)?
            }
            Math::HighBoundary => {
                boundary(&scalar, Boundary::High, self.optional_integer(call)?).ok_or_else(error)?
            }
            Math::Precision => Some(Item::Integer(precision(&scalar).ok_or_else(error)?)),
            Math::Comparable => {
                let other = self.collect(&call.arguments[0], call.frame)?;
                let other = super::single(&other, "comparable", call.step.offset)?;
                let Some(other) = other.and_then(Item::scalar) else { return Ok(()) };
                let pair = scalar.as_quantity().zip(other.as_quantity());
                let (a, b) = pair.ok_or_else(error)?;
                Some(Item::Boolean(a.is_comparable(&b)))
            }
        };
        out.extend(made);
        Ok(())
    }

    fn optional_integer(&mut self, call: &Call<'_, 'a>) -> Result<Option<i64>> {
        if call.arguments.is_empty() { Ok(None) } else { self.integer(call, 0) }
    }
}

#[expect(clippy::option_option, reason = "the outer says whether the operation is defined")]
fn absolute<'a>(scalar: &Scalar<'_>) -> Option<Option<Item<'a>>> {
    Some(match scalar {
        Scalar::Integer(value) => value.checked_abs().map(integer),
        Scalar::Long(value) => value.checked_abs().map(Item::Long),
        Scalar::Decimal(value) => Some(Item::Decimal(value.abs())),
        Scalar::Quantity(one) => {
            let quantity = Quantity { value: one.value.abs(), unit: one.unit.clone() };
            Some(Item::Quantity(Box::new(quantity)))
        }
        Scalar::Boolean(_)
        | Scalar::Date(_)
        | Scalar::DateTime(_)
        | Scalar::String(_)
        | Scalar::Time(_) => return None,
    })
}

fn power<'a>(base: &Scalar<'_>, value: Decimal, exponent: Decimal) -> Option<Item<'a>> {
    if let (Scalar::Integer(base) | Scalar::Long(base), Some(exponent)) =
        (base, exponent.to_u32().filter(|_| exponent.is_integer()))
    {
        return base.checked_pow(exponent).map(integer);
    }
    if exponent.is_integer() {
        return value.checked_powi(exponent.to_i64()?).map(Item::Decimal);
    }
    // A root of a negative number is none.
    if value.is_sign_negative() && !value.is_zero() {
        return None;
    }
    value.checked_powd(exponent).map(Item::Decimal)
}

fn logarithm(value: Decimal, base: Decimal) -> Option<Decimal> {
    let quotient = value.checked_ln()?.checked_div(base.checked_ln()?)?;
    // The series behind both are exact to about 20 digits; what is beyond is noise.
    Some(quotient.round_dp(16).normalize())
}

fn round<'a>(value: Decimal, digits: i64) -> Option<Item<'a>> {
    let digits = u32::try_from(digits).ok().filter(|one| i64::from(*one) <= DECIMAL_DIGITS_MAX)?;
    let strategy = RoundingStrategy::MidpointAwayFromZero;
    Some(Item::Decimal(value.round_dp_with_strategy(digits, strategy)))
}

fn precision(scalar: &Scalar<'_>) -> Option<i32> {
    match scalar {
        Scalar::Date(date) => Some(date.precision()),
        Scalar::DateTime(date_time) => Some(date_time.precision()),
        Scalar::Time(time) => Some(time.precision()),
        Scalar::Decimal(value) => i32::try_from(value.scale()).ok(),
        Scalar::Integer(_) | Scalar::Long(_) => Some(0),
        Scalar::Boolean(_) | Scalar::Quantity(_) | Scalar::String(_) => None,
    }
}

/// The boundary of a value; nothing where there is none of so many digits.
#[expect(clippy::option_option, reason = "the outer says whether the operation is defined")]
fn boundary<'a>(
    scalar: &Scalar<'_>,
    which: Boundary,
    digits: Option<i64>,
) -> Option<Option<Item<'a>>> {
    Some(match scalar {
        Scalar::Date(date) => date.boundary(which, digits).map(Item::Date),
        Scalar::DateTime(date_time) => date_time.boundary(which, digits).map(Item::DateTime),
        Scalar::Time(time) => time.boundary(which, digits).map(Item::Time),
        Scalar::Quantity(one) => decimal_boundary(one.value, which, digits)
            .map(|value| Item::Quantity(Box::new(Quantity { value, unit: one.unit.clone() }))),
        Scalar::Decimal(value) => decimal_boundary(*value, which, digits).map(Item::Decimal),
        Scalar::Integer(value) | Scalar::Long(value) => {
            decimal_boundary(Decimal::from_i64(*value)?, which, digits).map(Item::Decimal)
        }
        Scalar::Boolean(_) | Scalar::String(_) => return None,
    })
}

/// The least or greatest decimal that rounds to this one, written with so many digits.
fn decimal_boundary(value: Decimal, which: Boundary, digits: Option<i64>) -> Option<Decimal> {
    let digits = digits.unwrap_or(BOUNDARY_DIGITS);
    if !(0..=DECIMAL_DIGITS_MAX).contains(&digits) {
        return None;
    }
    let digits = u32::try_from(digits).ok()?;
    let half = Decimal::try_from_i128_with_scale(5, value.scale() + 1).ok()?;
    let (exact, strategy) = match which {
        Boundary::Low => (value.checked_sub(half)?, RoundingStrategy::ToNegativeInfinity),
        Boundary::High => (value.checked_add(half)?, RoundingStrategy::ToPositiveInfinity),
    };
    let mut rounded = exact.round_dp_with_strategy(digits, strategy);
    rounded.rescale(digits);
    (rounded.scale() == digits).then_some(rounded)
}

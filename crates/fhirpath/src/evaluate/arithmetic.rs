//! Arithmetic on numbers, quantities, dates and times; overflow and division by zero yield nothing.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::Result;
use crate::ast::Arithmetic;
use crate::error::EvaluationError;
use crate::item::{Item, Scalar, integer};
use crate::quantity::{Quantity, Unit};
use crate::temporal::CalendarUnit;

/// Applies an operator to two items.
pub(super) fn arithmetic<'a>(
    operator: Arithmetic,
    left: &Item<'a>,
    right: &Item<'a>,
    offset: usize,
) -> Result<Option<Item<'a>>> {
    let outcome = left.scalar().zip(right.scalar()).map(|(a, b)| scalars(operator, &a, &b));
    match outcome {
        Some(Outcome::Item(item)) => Ok(Some(item)),
        Some(Outcome::Nothing) => Ok(None),
        Some(Outcome::Undefined) | None => {
            let (left, right) = (left.item_type().name(), right.item_type().name());
            let text = format!("arithmetic is not defined for {left} and {right} here");
            Err(EvaluationError::Type { text, offset })
        }
    }
}

/// What an operation comes to.
enum Outcome<'a> {
    Item(Item<'a>),
    /// An overflow or a zero divisor.
    Nothing,
    /// The operator is not defined for the operands.
    Undefined,
}

impl<'a> From<Option<Item<'a>>> for Outcome<'a> {
    fn from(item: Option<Item<'a>>) -> Self {
        item.map_or(Self::Nothing, Self::Item)
    }
}

fn scalars<'a>(operator: Arithmetic, a: &Scalar<'_>, b: &Scalar<'_>) -> Outcome<'a> {
    match (a, b) {
        (Scalar::String(a), Scalar::String(b)) if operator == Arithmetic::Add => {
            Outcome::Item(Item::String(format!("{a}{b}").into()))
        }
        (Scalar::Date(_) | Scalar::DateTime(_) | Scalar::Time(_), Scalar::Quantity(amount)) => {
            shift(operator, a, amount)
        }
        (Scalar::Integer(x) | Scalar::Long(x), Scalar::Integer(y) | Scalar::Long(y))
            if operator != Arithmetic::Divide =>
        {
            let is_long = matches!(a, Scalar::Long(_)) || matches!(b, Scalar::Long(_));
            let value = integers(operator, *x, *y);
            value.map(|value| if is_long { Item::Long(value) } else { integer(value) }).into()
        }
        (Scalar::Quantity(_), _) | (_, Scalar::Quantity(_)) => {
            match a.as_quantity().zip(b.as_quantity()) {
                Some((a, b)) => quantities(operator, &a, &b),
                None => Outcome::Undefined,
            }
        }
        _ => match a.as_decimal().zip(b.as_decimal()) {
            Some((a, b)) => decimals(operator, a, b).into(),
            None => Outcome::Undefined,
        },
    }
}

/// Whole numbers; what they divide to with `/` is a decimal.
fn integers(operator: Arithmetic, a: i64, b: i64) -> Option<i64> {
    match operator {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Subtract => a.checked_sub(b),
        Arithmetic::Multiply => a.checked_mul(b),
        Arithmetic::Div => a.checked_div(b),
        Arithmetic::Mod => a.checked_rem(b),
        Arithmetic::Divide => None,
    }
}

fn decimals<'a>(operator: Arithmetic, a: Decimal, b: Decimal) -> Option<Item<'a>> {
    match operator {
        Arithmetic::Add => a.checked_add(b).map(Item::Decimal),
        Arithmetic::Subtract => a.checked_sub(b).map(Item::Decimal),
        Arithmetic::Multiply => a.checked_mul(b).map(Item::Decimal),
        Arithmetic::Divide => a.checked_div(b).map(Item::Decimal),
        Arithmetic::Div => a.checked_div(b)?.trunc().to_i64().map(integer),
        Arithmetic::Mod => a.checked_rem(b).map(Item::Decimal),
    }
}

fn quantities<'a>(operator: Arithmetic, a: &Quantity, b: &Quantity) -> Outcome<'a> {
    let quantity = match operator {
        Arithmetic::Add => a.plus(b, Decimal::ONE),
        Arithmetic::Subtract => a.plus(b, Decimal::NEGATIVE_ONE),
        Arithmetic::Multiply => a.times(b),
        Arithmetic::Divide if b.value.is_zero() => return Outcome::Nothing,
        Arithmetic::Divide => a.divided_by(b),
        Arithmetic::Div | Arithmetic::Mod => None,
    };
    quantity.map_or(Outcome::Undefined, |one| Outcome::Item(Item::Quantity(Box::new(one))))
}

/// A date or time moved by a duration; undefined where the unit is none.
fn shift<'a>(operator: Arithmetic, moment: &Scalar<'_>, amount: &Quantity) -> Outcome<'a> {
    let unit = match &amount.unit {
        Unit::Calendar(unit) => Some(*unit),
        // UCUM's years and months are definite durations, which a calendar cannot add.
        Unit::Ucum(code) => {
            CalendarUnit::from_ucum(code).filter(|unit| *unit > CalendarUnit::Month)
        }
    };
    let value = match operator {
        Arithmetic::Add => amount.value,
        Arithmetic::Subtract => -amount.value,
        Arithmetic::Div | Arithmetic::Divide | Arithmetic::Mod | Arithmetic::Multiply => {
            return Outcome::Undefined;
        }
    };
    let Some(unit) = unit else { return Outcome::Undefined };
    if let Scalar::Time(time) = moment {
        let moved = time.plus(value, unit).map(Item::Time);
        return moved.map_or(Outcome::Undefined, Outcome::Item);
    }
    if let Scalar::Date(date) = moment {
        return date.plus(value, unit).map(Item::Date).into();
    }
    moment.as_date_time().and_then(|one| one.plus(value, unit)).map(Item::DateTime).into()
}

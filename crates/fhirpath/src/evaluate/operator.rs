//! The binary operators and unary minus.

use std::cmp::Ordering;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::{Evaluator, Frame, Result, single};
use crate::ast::BinaryOperator;
use crate::collection::{Collection, truth};
use crate::compile::{Binary, Expr};
use crate::equality::{compare, contains, equal, equivalent};
use crate::error::EvaluationError;
use crate::item::{Item, Scalar, integer};
use crate::quantity::{Quantity, Unit};
use crate::temporal::CalendarUnit;

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn binary(
        &mut self,
        binary: &'a Binary,
        frame: &Frame<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let left = self.collect(&binary.left, frame)?;
        if binary.operator == BinaryOperator::Implies && boolean(&left, binary)? == Some(false) {
            out.push(Item::Boolean(true));
            return Ok(());
        }
        let right = self.collect(&binary.right, frame)?;
        let answer = match binary.operator {
            BinaryOperator::Implies => implies(boolean(&left, binary)?, boolean(&right, binary)?),
            BinaryOperator::Xor => boolean(&left, binary)?
                .zip(boolean(&right, binary)?)
                .map(|(left, right)| left != right),
            BinaryOperator::Equal => equal(&left, &right, &mut self.budget)?,
            BinaryOperator::NotEqual => equal(&left, &right, &mut self.budget)?.map(|value| !value),
            BinaryOperator::Equivalent => Some(equivalent(&left, &right, &mut self.budget)?),
            BinaryOperator::NotEquivalent => Some(!equivalent(&left, &right, &mut self.budget)?),
            BinaryOperator::In => self.membership(&left, &right, binary)?,
            BinaryOperator::Contains => self.membership(&right, &left, binary)?,
            BinaryOperator::Less => order(&left, &right, binary)?.map(Ordering::is_lt),
            BinaryOperator::LessOrEqual => order(&left, &right, binary)?.map(Ordering::is_le),
            BinaryOperator::Greater => order(&left, &right, binary)?.map(Ordering::is_gt),
            BinaryOperator::GreaterOrEqual => order(&left, &right, binary)?.map(Ordering::is_ge),
            BinaryOperator::Concatenate => {
                let text = concatenate(&left, &right, binary)?;
                self.budget.bytes(text.len(), binary.offset)?;
                out.push(Item::String(text.into()));
                return Ok(());
            }
            BinaryOperator::Add
            | BinaryOperator::Subtract
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Div
            | BinaryOperator::Mod => {
                let item = arithmetic(&left, &right, binary)?;
                if let Some(Item::String(text)) = &item {
                    self.budget.bytes(text.len(), binary.offset)?;
                }
                out.extend(item);
                return Ok(());
            }
        };
        out.extend(answer.map(Item::Boolean));
        Ok(())
    }

    fn membership(
        &mut self,
        item: &[Item<'a>],
        items: &[Item<'a>],
        binary: &Binary,
    ) -> Result<Option<bool>> {
        let what = binary.operator.text();
        let Some(item) = single(item, what, binary.offset)? else { return Ok(None) };
        contains(items, item, &mut self.budget).map(Some)
    }

    pub(super) fn negate(
        &mut self,
        operand: &'a Expr,
        offset: usize,
        frame: &Frame<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let items = self.collect(operand, frame)?;
        let Some(item) = single(&items, "`-`", offset)? else { return Ok(()) };
        let negated = match item.scalar() {
            Some(Scalar::Integer(value)) => value.checked_neg().map(integer),
            Some(Scalar::Long(value)) => value.checked_neg().map(Item::Long),
            Some(Scalar::Decimal(value)) => Some(Item::Decimal(-value)),
            Some(Scalar::Quantity(one)) => {
                let quantity = Quantity { value: -one.value, unit: one.unit.clone() };
                Some(Item::Quantity(Box::new(quantity)))
            }
            _ => return Err(super::wrong_type("`-` needs a number", item.item_type(), offset)),
        };
        out.extend(negated);
        Ok(())
    }
}

fn boolean(items: &[Item<'_>], binary: &Binary) -> Result<Option<bool>> {
    let error = EvaluationError::Singleton { what: binary.operator.text(), offset: binary.offset };
    truth(items).ok_or(error)
}

fn implies(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(false), _) | (_, Some(true)) => Some(true),
        (Some(true), right) => right,
        (None, Some(false) | None) => None,
    }
}

fn order(left: &[Item<'_>], right: &[Item<'_>], binary: &Binary) -> Result<Option<Ordering>> {
    let Some((left, right)) = operands(left, right, binary)? else { return Ok(None) };
    compare(left, right, binary.offset)
}

/// The single operands; `None` if either is empty.
fn operands<'i, 'a>(
    left: &'i [Item<'a>],
    right: &'i [Item<'a>],
    binary: &Binary,
) -> Result<Option<(&'i Item<'a>, &'i Item<'a>)>> {
    let what = binary.operator.text();
    let left = single(left, what, binary.offset)?;
    let right = single(right, what, binary.offset)?;
    Ok(left.zip(right))
}

fn concatenate(left: &[Item<'_>], right: &[Item<'_>], binary: &Binary) -> Result<String> {
    let mut text = String::new();
    for side in [left, right] {
        if let Some(item) = single(side, "&", binary.offset)? {
            let Some(Scalar::String(part)) = item.scalar() else {
                return Err(mismatch(binary, item, item));
            };
            text.push_str(part);
        }
    }
    Ok(text)
}

fn mismatch(binary: &Binary, left: &Item<'_>, right: &Item<'_>) -> EvaluationError {
    let (left, right) = (left.item_type().name(), right.item_type().name());
    let operator = binary.operator.text();
    let text = format!("`{operator}` is not defined for {left} and {right}");
    EvaluationError::Type { text, offset: binary.offset }
}

fn arithmetic<'a>(
    left: &[Item<'a>],
    right: &[Item<'a>],
    binary: &Binary,
) -> Result<Option<Item<'a>>> {
    let Some((left, right)) = operands(left, right, binary)? else { return Ok(None) };
    let error = || mismatch(binary, left, right);
    let (Some(a), Some(b)) = (left.scalar(), right.scalar()) else { return Err(error()) };
    match (&a, &b) {
        (Scalar::String(a), Scalar::String(b)) if binary.operator == BinaryOperator::Add => {
            Ok(Some(Item::String(format!("{a}{b}").into())))
        }
        (Scalar::Date(_) | Scalar::DateTime(_) | Scalar::Time(_), Scalar::Quantity(amount)) => {
            shift(&a, amount, binary.operator).ok_or_else(error)
        }
        (Scalar::Quantity(_), _) | (_, Scalar::Quantity(_)) => {
            quantities(&a, &b, binary.operator).ok_or_else(error)
        }
        (Scalar::Integer(x) | Scalar::Long(x), Scalar::Integer(y) | Scalar::Long(y))
            if binary.operator != BinaryOperator::Divide =>
        {
            let is_long = matches!(a, Scalar::Long(_)) || matches!(b, Scalar::Long(_));
            Ok(integers(*x, *y, binary.operator).map(|value| match is_long {
                true => Item::Long(value),
                false => integer(value),
            }))
        }
        _ => {
            let (Some(a), Some(b)) = (a.as_decimal(), b.as_decimal()) else { return Err(error()) };
            Ok(decimals(a, b, binary.operator))
        }
    }
}

/// Whole numbers; nothing on overflow and for a zero divisor.
fn integers(a: i64, b: i64, operator: BinaryOperator) -> Option<i64> {
    match operator {
        BinaryOperator::Add => a.checked_add(b),
        BinaryOperator::Subtract => a.checked_sub(b),
        BinaryOperator::Multiply => a.checked_mul(b),
        BinaryOperator::Div => a.checked_div(b),
        BinaryOperator::Mod => a.checked_rem(b),
        _ => None,
    }
}

fn decimals<'a>(a: Decimal, b: Decimal, operator: BinaryOperator) -> Option<Item<'a>> {
    match operator {
        BinaryOperator::Add => a.checked_add(b).map(Item::Decimal),
        BinaryOperator::Subtract => a.checked_sub(b).map(Item::Decimal),
        BinaryOperator::Multiply => a.checked_mul(b).map(Item::Decimal),
        BinaryOperator::Divide => a.checked_div(b).map(Item::Decimal),
        BinaryOperator::Div => a.checked_div(b)?.trunc().to_i64().map(integer),
        BinaryOperator::Mod => a.checked_rem(b).map(Item::Decimal),
        _ => None,
    }
}

/// `None` where units do not fit; nothing for a zero divisor.
#[expect(clippy::option_option, reason = "the outer says whether the operation is defined")]
fn quantities<'a>(
    a: &Scalar<'_>,
    b: &Scalar<'_>,
    operator: BinaryOperator,
) -> Option<Option<Item<'a>>> {
    let as_quantity = |scalar: &Scalar<'_>| match scalar {
        Scalar::Quantity(one) => Some(one.clone().into_owned()),
        _ => scalar.as_decimal().map(Quantity::unitless),
    };
    let (a, b) = (as_quantity(a)?, as_quantity(b)?);
    let quantity = match operator {
        BinaryOperator::Add => a.plus(&b, Decimal::ONE)?,
        BinaryOperator::Subtract => a.plus(&b, Decimal::NEGATIVE_ONE)?,
        BinaryOperator::Multiply => a.times(&b)?,
        BinaryOperator::Divide if b.value.is_zero() => return Some(None),
        BinaryOperator::Divide => a.divided_by(&b)?,
        _ => return None,
    };
    Some(Some(Item::Quantity(Box::new(quantity))))
}

/// A date or time moved by a duration; `None` where the unit is none, nothing outside the calendar.
#[expect(clippy::option_option, reason = "the outer says whether the operation is defined")]
fn shift<'a>(
    moment: &Scalar<'_>,
    amount: &Quantity,
    operator: BinaryOperator,
) -> Option<Option<Item<'a>>> {
    let unit = match &amount.unit {
        Unit::Calendar(unit) => *unit,
        // UCUM's years and months are definite durations, which a calendar cannot add.
        Unit::Ucum(code) => {
            CalendarUnit::from_ucum(code).filter(|unit| *unit > CalendarUnit::Month)?
        }
    };
    let value = match operator {
        BinaryOperator::Add => amount.value,
        BinaryOperator::Subtract => -amount.value,
        _ => return None,
    };
    Some(match moment {
        Scalar::Date(date) => date.plus(value, unit).map(Item::Date),
        Scalar::DateTime(date_time) => date_time.plus(value, unit).map(Item::DateTime),
        Scalar::Time(time) => Some(Item::Time(time.plus(value, unit)?)),
        _ => return None,
    })
}

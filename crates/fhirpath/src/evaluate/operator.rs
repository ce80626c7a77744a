//! The binary operators and unary minus.

use std::cmp::Ordering;

use super::arithmetic::arithmetic;
use super::{Evaluator, Frame, Result, single};
use crate::ast::BinaryOperator;
use crate::collection::{Collection, truth};
use crate::compile::{Binary, Expr};
use crate::equality::{compare, contains, equal, equivalent};
use crate::error::EvaluationError;
use crate::item::{Item, Scalar, integer};
use crate::quantity::Quantity;

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
            BinaryOperator::Arithmetic(operator) => {
                let item = match operands(&left, &right, binary)? {
                    Some((left, right)) => arithmetic(operator, left, right, binary.offset)?,
                    None => None,
                };
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
                return Err(super::wrong_type(
                    "`&` needs strings",
                    item.item_type(),
                    binary.offset,
                ));
            };
            text.push_str(part);
        }
    }
    Ok(text)
}

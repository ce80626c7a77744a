//! The binary operators and unary minus.

use std::cmp::Ordering;

use super::arithmetic::arithmetic;
use super::{Evaluator, Frame, Result, single, wrong_type};
use crate::ast::{Arithmetic, Relation};
use crate::collection::{Collection, truth};
use crate::compile::{Expr, Operands};
use crate::equality::{compare, contains, equal, equivalent};
use crate::error::EvaluationError;
use crate::item::{Item, Scalar, integer};
use crate::quantity::Quantity;

impl<'a> Evaluator<'_, 'a> {
    /// The answer of an operator that yields a boolean.
    pub(super) fn relation(
        &mut self,
        relation: Relation,
        operands: &'a Operands,
        frame: &Frame<'_, 'a>,
    ) -> Result<Option<bool>> {
        let offset = operands.offset;
        let boolean = |items: &[Item<'_>]| {
            truth(items).ok_or(EvaluationError::Singleton { what: relation.text(), offset })
        };
        let mut left = Collection::new();
        self.expr(&operands.left, frame, &mut left)?;
        if relation == Relation::Implies && boolean(&left)? == Some(false) {
            return Ok(Some(true));
        }
        let mut right = Collection::new();
        self.expr(&operands.right, frame, &mut right)?;
        let order = || order(&left, &right, relation.text(), offset);
        let budget = &mut self.budget;
        Ok(match relation {
            Relation::Implies => implies(boolean(&left)?, boolean(&right)?),
            Relation::Xor => {
                boolean(&left)?.zip(boolean(&right)?).map(|(left, right)| left != right)
            }
            Relation::Equal => equal(&left, &right, budget)?,
            Relation::NotEqual => equal(&left, &right, budget)?.map(|value| !value),
            Relation::Equivalent => Some(equivalent(&left, &right, budget)?),
            Relation::NotEquivalent => Some(!equivalent(&left, &right, budget)?),
            Relation::In => match single(&left, relation.text(), offset)? {
                Some(item) => Some(contains(&right, item, budget)?),
                None => None,
            },
            Relation::Contains => match single(&right, relation.text(), offset)? {
                Some(item) => Some(contains(&left, item, budget)?),
                None => None,
            },
            Relation::Less => order()?.map(Ordering::is_lt),
            Relation::LessOrEqual => order()?.map(Ordering::is_le),
            Relation::Greater => order()?.map(Ordering::is_gt),
            Relation::GreaterOrEqual => order()?.map(Ordering::is_ge),
        })
    }

    pub(super) fn arithmetic(
        &mut self,
        operator: Arithmetic,
        operands: &'a Operands,
        frame: &Frame<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let left = self.collect(&operands.left, frame)?;
        let right = self.collect(&operands.right, frame)?;
        let left = single(&left, "arithmetic", operands.offset)?;
        let right = single(&right, "arithmetic", operands.offset)?;
        let Some((left, right)) = left.zip(right) else { return Ok(()) };
        let item = arithmetic(operator, left, right, operands.offset)?;
        if let Some(Item::String(text)) = &item {
            self.budget.bytes(text.len(), operands.offset)?;
        }
        out.extend(item);
        Ok(())
    }

    /// `&`: an empty operand counts as an empty string.
    pub(super) fn concatenate(
        &mut self,
        operands: &'a Operands,
        frame: &Frame<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let offset = operands.offset;
        let mut text = String::new();
        for operand in [&operands.left, &operands.right] {
            let items = self.collect(operand, frame)?;
            if let Some(item) = single(&items, "`&`", offset)? {
                let Some(Scalar::String(part)) = item.scalar() else {
                    return Err(wrong_type("`&` needs strings", item.item_type(), offset));
                };
                text.push_str(part);
                self.budget.bytes(text.len(), offset)?;
            }
        }
        out.push(Item::String(text.into()));
        Ok(())
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
            _ => return Err(wrong_type("`-` needs a number", item.item_type(), offset)),
        };
        out.extend(negated);
        Ok(())
    }
}

fn implies(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(false), _) | (_, Some(true)) => Some(true),
        (Some(true), right) => right,
        (None, Some(false) | None) => None,
    }
}

fn order(
    left: &[Item<'_>],
    right: &[Item<'_>],
    what: &'static str,
    offset: usize,
) -> Result<Option<Ordering>> {
    match single(left, what, offset)?.zip(single(right, what, offset)?) {
        Some((left, right)) => compare(left, right, offset),
        None => Ok(None),
    }
}

//! Functions on collections as such: subsets, unions, counts.

use super::{Call, Evaluator, Frame, Result, single};
use crate::collection::Collection;
use crate::compile::Expr;
use crate::equality::{contains, is_distinct};
use crate::function::{Set, SetPair};
use crate::item::Item;

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn set(
        &mut self,
        set: Set,
        call: &Call<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let input = call.input;
        let answer = match set {
            Set::First => return picked(input.first(), out),
            Set::Last => return picked(input.last(), out),
            Set::Single => {
                return picked(single(input, "single", call.step.offset)?, out);
            }
            Set::Tail => return picked(input.iter().skip(1), out),
            Set::Skip => {
                let count = self.count_argument(call)?;
                return picked(count.into_iter().flat_map(|one| input.iter().skip(one)), out);
            }
            Set::Take => {
                let count = self.count_argument(call)?;
                return picked(count.into_iter().flat_map(|one| input.iter().take(one)), out);
            }
            Set::Distinct => {
                out.extend(self.distinct(input)?);
                return Ok(());
            }
            Set::Coalesce => return self.coalesce(call, out),
            Set::Count => {
                out.extend(i32::try_from(input.len()).map(Item::Integer));
                return Ok(());
            }
            Set::Not => {
                out.extend(self.truth(call)?.map(|value| Item::Boolean(!value)));
                return Ok(());
            }
            Set::Empty => input.is_empty(),
            Set::AllTrue => self.booleans(call)?.into_iter().all(|one| one),
            Set::AllFalse => self.booleans(call)?.into_iter().all(|one| !one),
            Set::AnyTrue => self.booleans(call)?.into_iter().any(|one| one),
            Set::AnyFalse => self.booleans(call)?.into_iter().any(|one| !one),
            Set::IsDistinct => is_distinct(input, &mut self.budget)?,
        };
        out.push(Item::Boolean(answer));
        Ok(())
    }

    /// How many items `skip` and `take` mean; a negative number is none.
    fn count_argument(&mut self, call: &Call<'_, 'a>) -> Result<Option<usize>> {
        let count = self.integer(call, 0)?;
        Ok(count.map(|count| usize::try_from(count.max(0)).unwrap_or(usize::MAX)))
    }

    fn coalesce(&mut self, call: &Call<'_, 'a>, out: &mut Collection<'a>) -> Result<()> {
        for argument in call.arguments {
            let found = self.collect(argument, call.frame)?;
            if !found.is_empty() {
                out.extend(found);
                break;
            }
        }
        Ok(())
    }

    pub(super) fn set_pair(
        &mut self,
        pair: SetPair,
        call: &Call<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let input = call.input;
        let other = self.collect(&call.arguments[0], call.frame)?;
        match pair {
            SetPair::Combine => out.extend(input.iter().cloned().chain(other)),
            SetPair::Union => {
                let all: Vec<_> = input.iter().cloned().chain(other).collect();
                out.extend(self.distinct(&all)?);
            }
            SetPair::Intersect => {
                let mut common = Vec::new();
                for item in input {
                    if contains(&other, item, &mut self.budget)? {
                        common.push(item.clone());
                    }
                }
                out.extend(self.distinct(&common)?);
            }
            SetPair::Exclude => {
                for item in input {
                    if !contains(&other, item, &mut self.budget)? {
                        out.push(item.clone());
                    }
                }
            }
            SetPair::SubsetOf => out.push(Item::Boolean(self.is_subset(input, &other)?)),
            SetPair::SupersetOf => out.push(Item::Boolean(self.is_subset(&other, input)?)),
        }
        Ok(())
    }

    fn is_subset(&mut self, items: &[Item<'a>], of: &[Item<'a>]) -> Result<bool> {
        for item in items {
            if !contains(of, item, &mut self.budget)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn distinct(&mut self, items: &[Item<'a>]) -> Result<Collection<'a>> {
        let mut distinct = Collection::new();
        for item in items {
            if !contains(&distinct, item, &mut self.budget)? {
                distinct.push(item.clone());
            }
        }
        Ok(distinct)
    }

    /// What all operands of a union yield, doubles included.
    pub(super) fn all(
        &mut self,
        operands: &'a [Expr],
        offset: usize,
        frame: &Frame<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        for operand in operands {
            self.expr(operand, frame, out)?;
            self.budget.made(0, out.len(), offset)?;
        }
        Ok(())
    }

    pub(super) fn union(
        &mut self,
        operands: &'a [Expr],
        offset: usize,
        frame: &Frame<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let mut all = Collection::new();
        self.all(operands, offset, frame, &mut all)?;
        if all.len() > 1 {
            all = self.distinct(&all)?;
        }
        out.extend(all);
        Ok(())
    }
}

fn picked<'i, 'a: 'i>(
    items: impl IntoIterator<Item = &'i Item<'a>>,
    out: &mut Collection<'a>,
) -> Result<()> {
    out.extend(items.into_iter().cloned());
    Ok(())
}

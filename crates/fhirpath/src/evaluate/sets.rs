//! Functions on collections as such: subsets, unions, counts.

use super::{Call, Evaluator, Frame, Result, single};
use crate::collection::Collection;
use crate::compile::Expr;
use crate::equality::{contains, is_distinct};
use crate::function::Function;
use crate::item::Item;

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn sets_call(
        &mut self,
        call: &Call<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let input = call.input;
        match call.function {
            Function::Empty => out.push(Item::Boolean(input.is_empty())),
            Function::Count => out.extend(i32::try_from(input.len()).map(Item::Integer)),
            Function::Not => out.extend(self.truth(call)?.map(|value| Item::Boolean(!value))),
            Function::AllTrue => {
                out.push(Item::Boolean(self.booleans(call)?.into_iter().all(|one| one)));
            }
            Function::AllFalse => {
                out.push(Item::Boolean(self.booleans(call)?.into_iter().all(|one| !one)));
            }
            Function::AnyTrue => {
                out.push(Item::Boolean(self.booleans(call)?.into_iter().any(|one| one)));
            }
            Function::AnyFalse => {
                out.push(Item::Boolean(self.booleans(call)?.into_iter().any(|one| !one)));
            }
            Function::Distinct => out.extend(self.distinct(input)?),
            Function::IsDistinct => {
                out.push(Item::Boolean(is_distinct(input, &mut self.budget)?));
            }
            Function::Single => out.extend(single(input, "single", call.step.offset)?.cloned()),
            Function::First => out.extend(input.first().cloned()),
            Function::Last => out.extend(input.last().cloned()),
            Function::Tail => out.extend(input.iter().skip(1).cloned()),
            Function::Skip | Function::Take => {
                let Some(count) = self.integer(call, 0)? else { return Ok(()) };
                let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
                if call.function == Function::Skip {
                    out.extend(input.iter().skip(count).cloned());
                } else {
                    out.extend(input.iter().take(count).cloned());
                }
            }
            Function::Coalesce => {
                for argument in call.arguments {
                    let found = self.collect(argument, call.frame)?;
                    if !found.is_empty() {
                        out.extend(found);
                        break;
                    }
                }
            }
            _ => return self.with_other(call, out),
        }
        Ok(())
    }

    /// Functions that take another collection.
    fn with_other(&mut self, call: &Call<'_, 'a>, out: &mut Collection<'a>) -> Result<()> {
        let input = call.input;
        let other = self.collect(&call.arguments[0], call.frame)?;
        match call.function {
            Function::Combine => out.extend(input.iter().cloned().chain(other)),
            Function::Union => {
                let all: Vec<_> = input.iter().cloned().chain(other).collect();
                out.extend(self.distinct(&all)?);
            }
            Function::Intersect => {
                let mut common = Vec::new();
                for item in input {
                    if contains(&other, item, &mut self.budget)? {
                        common.push(item.clone());
                    }
                }
                out.extend(self.distinct(&common)?);
            }
            Function::Exclude => {
                for item in input {
                    if !contains(&other, item, &mut self.budget)? {
                        out.push(item.clone());
                    }
                }
            }
            Function::SubsetOf => {
                let subset = self.is_subset(input, &other)?;
                out.push(Item::Boolean(subset));
            }
            _ => {
                let superset = self.is_subset(&other, input)?;
                out.push(Item::Boolean(superset));
            }
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

    pub(super) fn union(
        &mut self,
        operands: &'a [Expr],
        offset: usize,
        frame: &Frame<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let mut all = Collection::new();
        for operand in operands {
            self.expr(operand, frame, &mut all)?;
            self.budget.made(0, all.len(), offset)?;
        }
        out.extend(self.distinct(&all)?);
        Ok(())
    }
}

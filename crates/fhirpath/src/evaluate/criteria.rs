//! Functions that evaluate an expression on each item.

use std::cmp::Ordering;

use super::{Call, Evaluator, Frame, Result, integer_argument};
use crate::collection::{Collection, truth};
use crate::compile::Expr;
use crate::equality::{compare, contains};
use crate::error::EvaluationError;
use crate::function::Criteria;
use crate::item::Item;

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn criteria(
        &mut self,
        criteria: Criteria,
        call: &Call<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        match criteria {
            Criteria::Where => {
                for (index, item) in call.input.iter().enumerate() {
                    if self.holds(call, index)? == Some(true) {
                        out.push(item.clone());
                    }
                }
            }
            Criteria::Exists => {
                let exists = self.exists(call)?;
                out.push(Item::Boolean(exists));
            }
            Criteria::All => {
                let mut all = true;
                for index in 0..call.input.len() {
                    all = all && self.holds(call, index)? == Some(true);
                }
                out.push(Item::Boolean(all));
            }
            Criteria::Select => {
                for index in 0..call.input.len() {
                    let frame = item_frame(call.input, index, call.frame);
                    self.expr(&call.arguments[0], &frame, out)?;
                    self.budget.made(0, out.len(), call.step.offset)?;
                }
            }
            Criteria::Repeat => self.repeat(call, true, out)?,
            Criteria::RepeatAll => self.repeat(call, false, out)?,
            Criteria::Aggregate => self.aggregate(call, out)?,
            Criteria::Iif => self.iif(call, out)?,
            // There is no log to write to: the input is passed on.
            Criteria::Trace => out.extend(call.input.iter().cloned()),
        }
        Ok(())
    }

    fn exists(&mut self, call: &Call<'_, 'a>) -> Result<bool> {
        if call.arguments.is_empty() {
            return Ok(!call.input.is_empty());
        }
        for index in 0..call.input.len() {
            if self.holds(call, index)? == Some(true) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The truth of the criterion for one item.
    fn holds(&mut self, call: &Call<'_, 'a>, index: usize) -> Result<Option<bool>> {
        let frame = item_frame(call.input, index, call.frame);
        self.condition(&call.arguments[0], &frame, "a criterion", call.step.offset)
    }

    fn repeat(
        &mut self,
        call: &Call<'_, 'a>,
        distinct: bool,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let mut all = Collection::new();
        let mut pending: Vec<Item<'a>> = call.input.to_vec();
        while !pending.is_empty() {
            let mut found = Collection::new();
            for index in 0..pending.len() {
                let frame = item_frame(&pending, index, call.frame);
                self.expr(&call.arguments[0], &frame, &mut found)?;
            }
            pending.clear();
            for item in found {
                if !distinct || !contains(&all, &item, &mut self.budget)? {
                    all.push(item.clone());
                    pending.push(item);
                }
            }
            self.budget.made(pending.len(), all.len(), call.step.offset)?;
        }
        out.extend(all);
        Ok(())
    }

    fn aggregate(&mut self, call: &Call<'_, 'a>, out: &mut Collection<'a>) -> Result<()> {
        let mut total = match call.arguments.get(1) {
            Some(initial) => self.collect(initial, call.frame)?,
            None => Collection::new(),
        };
        for (index, item) in call.input.iter().enumerate() {
            let focus = std::slice::from_ref(item);
            let frame = Frame { focus, index: Some(index), total: Some(&total) };
            total = self.collect(&call.arguments[0], &frame)?;
        }
        out.extend(total);
        Ok(())
    }

    fn iif(&mut self, call: &Call<'_, 'a>, out: &mut Collection<'a>) -> Result<()> {
        call.single()?;
        let offset = call.step.offset;
        // Without input of its own, as in `iif(a, b)`, it is called on the focus.
        let frame = Frame { focus: call.input, ..*call.frame };
        let holds = self.condition(&call.arguments[0], &frame, "`iif`", offset)? == Some(true);
        match call.arguments.get(if holds { 1 } else { 2 }) {
            Some(branch) => self.expr(branch, &frame, out),
            None => Ok(()),
        }
    }

    /// Sorts by keys, the first that differs deciding; what has no key comes first either way.
    pub(super) fn sort(
        &mut self,
        keys: &'a [(Expr, bool)],
        offset: usize,
        input: &[Item<'a>],
        frame: &Frame<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let mut rows = Vec::with_capacity(input.len());
        for (index, item) in input.iter().enumerate() {
            let mut row = Vec::with_capacity(keys.len());
            for (key, _) in keys {
                let key = self.collect(key, &item_frame(input, index, frame))?;
                if key.len() > 1 {
                    return Err(EvaluationError::Singleton { what: "a sort key", offset });
                }
                row.push(key.into_iter().next());
            }
            if keys.is_empty() {
                row.push(Some(item.clone()));
            }
            rows.push((row, item));
        }
        let mut failure = None;
        let budget = &mut self.budget;
        rows.sort_by(|(a, _), (b, _)| {
            let directions = keys.iter().map(|(_, descending)| *descending).chain([false]);
            for ((a, b), descending) in a.iter().zip(b).zip(directions) {
                let order =
                    budget.spend(1).and_then(|()| key_order(a.as_ref(), b.as_ref(), offset));
                match order {
                    Ok(Ordering::Equal) => {}
                    Ok(order) if descending && a.is_some() && b.is_some() => {
                        return order.reverse();
                    }
                    Ok(order) => return order,
                    Err(error) => failure = failure.take().or(Some(error)),
                }
            }
            Ordering::Equal
        });
        out.extend(rows.into_iter().map(|(_, item)| item.clone()));
        failure.map_or(Ok(()), Err)
    }

    /// The single integer an argument yields, if any.
    pub(super) fn integer(&mut self, call: &Call<'_, 'a>, index: usize) -> Result<Option<i64>> {
        let value = self.collect(&call.arguments[index], call.frame)?;
        integer_argument(&value, call.name(), call.step.offset)
    }

    /// The truth of each item of the input, which must all be booleans.
    pub(super) fn booleans(&self, call: &Call<'_, 'a>) -> Result<Vec<bool>> {
        let boolean = |item: &Item<'a>| {
            item.as_bool().ok_or_else(|| {
                let wanted = format!("`{}()` needs booleans", call.name());
                super::wrong_type(&wanted, item.item_type(), call.step.offset)
            })
        };
        call.input.iter().map(boolean).collect()
    }

    /// The truth of the input as a whole.
    pub(super) fn truth(&self, call: &Call<'_, 'a>) -> Result<Option<bool>> {
        let offset = call.step.offset;
        truth(call.input).ok_or(EvaluationError::Singleton { what: call.name(), offset })
    }
}

fn item_frame<'f, 'a>(items: &'f [Item<'a>], index: usize, outer: &Frame<'f, 'a>) -> Frame<'f, 'a> {
    Frame { focus: &items[index..=index], index: Some(index), total: outer.total }
}

fn key_order(a: Option<&Item<'_>>, b: Option<&Item<'_>>, offset: usize) -> Result<Ordering> {
    match (a, b) {
        (None, None) => Ok(Ordering::Equal),
        (None, Some(_)) => Ok(Ordering::Less),
        (Some(_), None) => Ok(Ordering::Greater),
        (Some(a), Some(b)) => Ok(compare(a, b, offset)?.unwrap_or(Ordering::Equal)),
    }
}

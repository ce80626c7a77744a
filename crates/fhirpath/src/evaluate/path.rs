//! Taking the steps of a path: those that look at each item alone take an item all the way before the
//! next one is looked at, so that nothing is collected in between.

use super::{Evaluator, Frame, Result};
use crate::collection::Collection;
use crate::compile::{Expr, NameStep, Step, StepKind};
use crate::function::TypeOperation;
use crate::item::Item;
use crate::types::TypeTest;

/// What is left of a path from a node.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    /// Names of elements first,
    pub(super) names: &'a [NameStep],
    /// then steps that flow.
    pub(super) steps: &'a [Step],
}

/// The most steps that are taken together: each is a level of recursion.
const TOGETHER_MAX: usize = 16;

/// How many steps from the first on are taken together: those that flow, or else one.
fn together(steps: &[Step]) -> usize {
    let flowing = steps.iter().take(TOGETHER_MAX).take_while(|step| step.flows()).count();
    flowing.max(1).min(steps.len())
}

/// Whether a type operation that picks items picks this one.
pub(super) fn passes(operation: TypeOperation, test: &TypeTest, item: &Item<'_>) -> bool {
    match operation {
        TypeOperation::As | TypeOperation::OfType => test.selects(item.item_type()),
        TypeOperation::Head => test.includes(item.item_type()),
        TypeOperation::Is => false,
    }
}

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn chain(
        &mut self,
        head: &'a Expr,
        steps: &'a [Step],
        frame: &Frame<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        // A path from the focus reads the focus in place.
        let (mut input, mut rest) = if matches!(head, Expr::Focus) {
            let (now, rest) = steps.split_at(together(steps));
            if rest.is_empty() {
                return self.steps(now, frame.focus, frame, out);
            }
            let mut input = Collection::new();
            self.steps(now, frame.focus, frame, &mut input)?;
            (input, rest)
        } else {
            (self.collect(head, frame)?, steps)
        };
        loop {
            let (now, later) = rest.split_at(together(rest));
            if later.is_empty() {
                return self.steps(now, &input, frame, out);
            }
            let mut next = Collection::new();
            self.steps(now, &input, frame, &mut next)?;
            (input, rest) = (next, later);
        }
    }

    /// Takes steps that belong [`together`].
    fn steps(
        &mut self,
        steps: &'a [Step],
        input: &[Item<'a>],
        frame: &Frame<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        match steps {
            [] => out.extend(input.iter().cloned()),
            [step, ..] if step.flows() => {
                let before = out.len();
                for item in input {
                    self.flow(item, steps, out)?;
                }
                return self.budget.made(out.len() - before, out.len(), step.offset);
            }
            [step, ..] => return self.step(step, input, frame, out),
        }
        Ok(())
    }

    /// Takes one item through steps that look at each item alone, without collecting in between.
    pub(super) fn flow(
        &mut self,
        item: &Item<'a>,
        steps: &'a [Step],
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let Some((step, rest)) = steps.split_first() else {
            out.push(item.clone());
            return Ok(());
        };
        self.budget.spend(1)?;
        let goes_on = match &step.kind {
            StepKind::Names(names) => return self.names(item, Way { names, steps: rest }, out),
            StepKind::Type { operation, test, .. } => passes(*operation, test, item),
            StepKind::WhereResolveIs { test, look_up } => {
                self.is_reference_to(test, *look_up, item)? == Some(true)
            }
            // These do not flow.
            StepKind::Call(..)
            | StepKind::Define(..)
            | StepKind::Index(_)
            | StepKind::Resolve(_)
            | StepKind::ResolveIs { .. }
            | StepKind::Sort(_) => false,
        };
        if goes_on { self.flow(item, rest, out) } else { Ok(()) }
    }
}

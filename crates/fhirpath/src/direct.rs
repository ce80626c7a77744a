//! Expressions that take one element of the focus, as most of search parameters do, read without an
//! evaluator: `Observation.code`, `Observation.subject.where(resolve() is Patient)`.
//!
//! Whatever is not plain to see in the resource is left to the evaluator, which says the same where
//! both can tell. Tests: `direct/tests.rs`.

use cresset_definitions::{TypeDefinition, TypeKind};
use serde_json::Value;

use crate::collection::Collection;
use crate::compile::{Expr, StepKind, TargetKind};
use crate::expression::Context;
use crate::item::{Item, Node};
use crate::resolve::is_relative_to;

#[cfg(test)]
mod tests;

/// More steps than the evaluator takes for such an expression; with fewer it is left to it.
const STEPS: u32 = 16;

/// An element of the focus, of a type that is neither primitive nor a resource.
pub(crate) struct Direct {
    root: &'static TypeDefinition,
    name: Box<str>,
    definition: &'static TypeDefinition,
    /// The type of resource that it has to refer to.
    referred: Option<&'static str>,
}

impl Direct {
    /// What an expression over this type is, if it is of this form.
    pub(crate) fn of(expr: &Expr, root: Option<&'static TypeDefinition>) -> Option<Self> {
        let root = root.filter(|root| !root.is_abstract)?;
        let Expr::Chain(head, steps) = expr else { return None };
        let (first, rest) = steps.split_first().filter(|_| matches!(**head, Expr::Focus))?;
        let StepKind::Names(names) = &first.kind else { return None };
        let [name] = names.as_slice() else { return None };
        let target = name.targets.iter().find(|target| std::ptr::eq(target.owner, root))?;
        let TargetKind::Plain(definition) = target.kind else { return None };
        let referred = match rest {
            [] => None,
            [step] => {
                let StepKind::WhereResolveIs { test, .. } = &step.kind else { return None };
                Some(test.resource_name()?)
            }
            _ => return None,
        };
        // Primitives have members beside them, and resources say themselves what they are.
        let is_plain = !matches!(definition.kind, TypeKind::Primitive | TypeKind::Resource);
        let name = name.name.as_str().into();
        is_plain.then_some(Self { root, name, definition, referred })
    }

    /// Adds what it yields; `false` where that is left to the evaluator.
    pub(crate) fn evaluate<'a>(&self, context: &Context<'a>, out: &mut Collection<'a>) -> bool {
        let is_root = context.definition.is_none() && context.focus_type == self.root.name;
        let Some(Value::Object(members)) = context.focus.filter(|_| is_root) else { return false };
        if context.step_max < STEPS {
            return false;
        }
        let Some(value) = members.get(&*self.name) else { return true };
        let Value::Object(element) = value else { return false };
        if let Some(referred) = self.referred {
            let literal = element.get("reference").and_then(Value::as_str);
            if !literal.is_some_and(|literal| is_relative_to(literal, referred)) {
                return false;
            }
        }
        out.push(Item::Node(Node::new(Some(value), None, self.definition)));
        true
    }
}

//! Which members an object has, in so few bits that asking costs next to nothing.
//!
//! Most search parameters of a type find nothing in most resources: what a parameter looks for at the
//! root is not there. Tests: `members/tests.rs`.

use cresset_definitions::{Definitions, TypeDefinition};
use serde_json::Value;

use crate::compile::{Expr, Step, StepKind};
use crate::function::{Criteria, Function, Navigation};

#[cfg(test)]
mod tests;

/// Names of members: it may seem to have a name that was not put in, and never lacks one that was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemberSet(u64);

impl MemberSet {
    /// The members of an object; that with an underscore counts as the one beside it.
    pub fn of(object: &Value) -> Self {
        let names = object.as_object().into_iter().flat_map(|members| members.keys());
        names.fold(Self::default(), |set, name| set.with(name.strip_prefix('_').unwrap_or(name)))
    }

    fn with(self, name: &str) -> Self {
        let byte = |at: Option<&u8>| at.copied().map_or(0, u32::from);
        let bytes = name.as_bytes();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let (first, last) = (byte(bytes.first()), byte(bytes.last()));
        let middle = byte(bytes.get(bytes.len() / 2));
        let sum = length.wrapping_mul(7) ^ first.wrapping_mul(0x9e3) ^ last.wrapping_mul(0x1_f351);
        let mixed = (sum ^ middle.wrapping_mul(0x3_c6ef)).wrapping_mul(0x9e37_79b9);
        Self(self.0 | 1 << (mixed >> (u32::BITS - u64::BITS.ilog2())))
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether they may have a name in common.
    pub(crate) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The members of a focus of this type without any of which an expression yields nothing; `None`
/// where that does not follow from its form.
pub(crate) fn needed(
    definitions: &Definitions,
    expr: &Expr,
    root: &TypeDefinition,
) -> Option<MemberSet> {
    match expr {
        Expr::Chain(head, steps) if matches!(**head, Expr::Context | Expr::Focus) => {
            let (first, rest) = steps.split_first()?;
            let StepKind::Names(names) = &first.kind else { return None };
            if !rest.iter().all(keeps_empty) {
                return None;
            }
            let element = root.element(&names.first()?.name)?;
            if !element.choice {
                return Some(MemberSet::default().with(element.name));
            }
            let types = element.types.iter();
            let known = types.map(|one| Some((one, definitions.type_named(one.name)?)));
            known.collect::<Option<Vec<_>>>().map(|types| {
                types.into_iter().fold(MemberSet::default(), |set, (one, _)| {
                    let mut capital = one.name.to_owned();
                    capital[..1].make_ascii_uppercase();
                    set.with(&format!("{}{capital}", element.name))
                })
            })
        }
        Expr::Union(operands, _) => operands.iter().try_fold(MemberSet::default(), |all, one| {
            needed(definitions, one, root).map(|one| all.and(one))
        }),
        Expr::And(..)
        | Expr::Arithmetic(..)
        | Expr::Chain(..)
        | Expr::Concatenate(_)
        | Expr::Context
        | Expr::Empty
        | Expr::External(_)
        | Expr::Focus
        | Expr::Index
        | Expr::Literal(_)
        | Expr::Negate(..)
        | Expr::Or(..)
        | Expr::Relation(..)
        | Expr::Slot(_)
        | Expr::Total => None,
    }
}

/// Whether a step yields nothing, and nothing wrong, where there is nothing.
fn keeps_empty(step: &Step) -> bool {
    match &step.kind {
        StepKind::Names(_)
        | StepKind::Resolve(_)
        | StepKind::ResolveIs { .. }
        | StepKind::Type { .. }
        | StepKind::WhereResolveIs { .. }
        | StepKind::Call(Function::Criteria(Criteria::Where), _)
        | StepKind::Call(Function::Navigation(Navigation::Children), _) => true,
        StepKind::Call(..) | StepKind::Define(..) | StepKind::Index(_) | StepKind::Sort(_) => false,
    }
}

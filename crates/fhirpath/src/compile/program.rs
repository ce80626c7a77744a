//! Programs: what the compiler makes and the evaluator runs.

use std::collections::BTreeSet;

use cresset_definitions::{Definitions, TypeDefinition};
use regex::Regex;

use crate::ast::{Arithmetic, Literal, Relation};
use crate::direct::Direct;
use crate::function::{Function, TypeOperation};
use crate::members::MemberSet;
use crate::types::{SystemType, TypeTest};

/// A compiled expression with what it needs to run.
pub(crate) struct Program {
    pub(crate) definitions: &'static Definitions,
    /// The type of the focus, if it is known.
    pub(crate) root: Option<&'static TypeDefinition>,
    /// Whether it is of a search parameter, for which a value found twice is found.
    pub(crate) is_lenient: bool,
    /// How many variables it defines.
    pub(crate) slots: usize,
    pub(crate) expr: Expr,
    /// The same in a simpler form, where there is one.
    pub(crate) direct: Option<Direct>,
    /// The types of what it yields, where no boolean is among them.
    pub(crate) never_boolean: Option<String>,
    /// The types of FHIR that what it yields may have, where nothing else is possible.
    pub(crate) types: Option<Box<[&'static str]>>,
    /// The members of the focus without any of which it yields nothing, where that is known.
    pub(crate) needed: Option<MemberSet>,
    /// Whether it may ask for other resources.
    pub(crate) resolves: bool,
    /// The variables of the scope that it asks for.
    pub(crate) externals: BTreeSet<String>,
}

pub(crate) enum Expr {
    And(Box<[Self]>, usize),
    Arithmetic(Arithmetic, Box<Operands>),
    /// Something, and what is then done to it.
    Chain(Box<Self>, Box<[Step]>),
    Concatenate(Box<Operands>),
    /// `%context`
    Context,
    Empty,
    External(Box<External>),
    /// `$this`, or the start of a path
    Focus,
    Index,
    Literal(Literal),
    Negate(Box<Self>, usize),
    Or(Box<[Self]>, usize),
    Relation(Relation, Box<Operands>),
    /// A variable of the expression's own.
    Slot(usize),
    Total,
    Union(Box<[Self]>, usize),
}

/// The operands of an operator, and where it is written.
pub(crate) struct Operands {
    pub(crate) left: Expr,
    pub(crate) right: Expr,
    pub(crate) offset: usize,
}

/// A variable of the scope.
pub(crate) struct External {
    pub(crate) name: String,
    pub(crate) definition: Option<&'static TypeDefinition>,
}

/// One step of a chain.
pub(crate) struct Step {
    pub(crate) offset: usize,
    pub(crate) kind: StepKind,
    /// The regular expression that is an argument, where it is known beforehand.
    pub(crate) pattern: Option<Box<Regex>>,
}

impl Step {
    /// Whether it takes each item alone and in order, so that an item may go on through the next
    /// steps before another one is looked at.
    pub(crate) fn flows(&self) -> bool {
        match &self.kind {
            StepKind::Names(_) | StepKind::WhereResolveIs { .. } => true,
            StepKind::Type { operation, strict, .. } => *operation != TypeOperation::Is && !strict,
            StepKind::Call(..)
            | StepKind::Define(..)
            | StepKind::Index(_)
            | StepKind::Resolve(_)
            | StepKind::ResolveIs { .. }
            | StepKind::Sort(_) => false,
        }
    }
}

pub(crate) enum StepKind {
    Call(Function, Box<[Expr]>),
    /// Sets a variable to an expression, or to the collection itself.
    Define(usize, Option<Expr>),
    Index(Expr),
    /// Elements by name, one below the other.
    Names(Vec<NameStep>),
    /// `resolve()`, of which only a type is wanted.
    Resolve(Option<TypeTest>),
    /// `resolve() is T`; with `look_up` a reference that does not say its type is resolved.
    ResolveIs {
        test: TypeTest,
        look_up: bool,
    },
    /// `where(resolve() is T)`, as most references of search parameters are narrowed.
    WhereResolveIs {
        test: TypeTest,
        look_up: bool,
    },
    /// `sort`, each key with whether it is descending.
    Sort(Box<[(Expr, bool)]>),
    /// `strict`: several items are an error.
    Type {
        operation: TypeOperation,
        test: TypeTest,
        strict: bool,
    },
}

/// An element's name and what it means for the types that are expected.
pub(crate) struct NameStep {
    pub(crate) name: String,
    pub(crate) offset: usize,
    /// Whether the JSON name of a choice is meant.
    pub(crate) json: bool,
    pub(crate) targets: Vec<Target>,
}

/// What a name means in one type.
pub(crate) struct Target {
    pub(crate) owner: &'static TypeDefinition,
    pub(crate) kind: TargetKind,
}

pub(crate) enum TargetKind {
    /// A choice: its JSON names with their types.
    Choice(Vec<(String, &'static TypeDefinition)>),
    /// An element of one type.
    Plain(&'static TypeDefinition),
    /// The value of a primitive.
    Value(SystemType),
}

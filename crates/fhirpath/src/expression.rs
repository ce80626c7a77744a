//! Expressions: compiled once, evaluated many times.
//!
//! Tests: `expression/tests.rs`, a table per feature; `expression/tests/suite.rs` runs the official
//! test suites and `expression/tests/search_parameters.rs` all official search parameters.

#[cfg(test)]
mod tests;

use std::fmt;

use cresset_definitions::TypeDefinition;
use serde_json::Value;

use crate::collection::Collection;
use crate::compile::{Program, compile};
use crate::error::{CompileError, EvaluationError};
use crate::evaluate::evaluate;
use crate::item::Node;
use crate::members::MemberSet;
use crate::resolve::{NoResolver, Resolver};
use crate::scope::Scope;

/// Steps an evaluation may take unless the caller says otherwise.
///
/// An official search parameter takes tens to a few hundreds; this many take some milliseconds.
pub const STEP_MAX_DEFAULT: u32 = 100_000;

/// A compiled expression.
pub struct Expression {
    source: String,
    program: Program,
}

impl Expression {
    /// Compiles a FHIRPath expression and checks it against its scope.
    ///
    /// # Errors
    ///
    /// A [`CompileError`] with the place and the reason; what cannot be evaluated is refused here,
    /// so that it can be refused when a topic is created.
    pub fn compile(source: &str, scope: &Scope<'_>) -> Result<Self, CompileError> {
        let program = compile(source, scope)?;
        Ok(Self { source: source.to_owned(), program })
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The types of what it yields, where no boolean can be among them.
    pub fn never_boolean(&self) -> Option<&str> {
        self.program.never_boolean.as_deref()
    }

    /// Whether what it yields may depend on what references refer to.
    pub fn resolves(&self) -> bool {
        self.program.resolves
    }

    /// Whether it asks for this variable of its scope, however the name is written.
    pub fn asks_for(&self, variable: &str) -> bool {
        self.program.externals.contains(variable)
    }

    /// Evaluates it.
    ///
    /// # Errors
    ///
    /// Every [`EvaluationError`]; with [`EvaluationError::Missing`] the caller may fetch the
    /// resources and evaluate again, a bounded number of times.
    pub fn evaluate<'a>(
        &'a self,
        context: &Context<'a>,
    ) -> Result<Collection<'a>, EvaluationError> {
        let mut out = Collection::new();
        evaluate(&self.program, context, &mut out)?;
        Ok(out)
    }

    /// Evaluates it into a collection that is there already, which costs less for small results.
    ///
    /// # Errors
    ///
    /// As [`Expression::evaluate`]; the collection then holds nothing that means anything.
    pub fn evaluate_into<'a>(
        &'a self,
        context: &Context<'a>,
        out: &mut Collection<'a>,
    ) -> Result<(), EvaluationError> {
        evaluate(&self.program, context, out)
    }

    /// The types of FHIR that what it yields may have; `None` where it may be anything else.
    pub fn types(&self) -> Option<&[&'static str]> {
        self.program.types.as_deref()
    }

    /// Whether it surely yields nothing over a focus with these members.
    pub fn is_empty_with(&self, members: MemberSet) -> bool {
        self.program.needed.is_some_and(|needed| !needed.meets(members))
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

/// What an expression is evaluated over.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The resource or element the expression starts at, also `%context`, `%resource` and
    /// `%rootResource`; `None` for an empty collection.
    pub focus: Option<&'a Value>,
    /// The focus' type, as in [`Scope::root`]; for a resource what it says of itself counts more.
    pub focus_type: &'a str,
    /// The focus' type where it is a node of another evaluation; then nothing else counts.
    pub definition: Option<&'static TypeDefinition>,
    /// Values of the scope's variables; `None` for an empty collection.
    pub variables: &'a [(&'a str, Option<&'a Value>)],
    /// Where `resolve()` finds resources.
    pub resolver: &'a dyn Resolver<'a>,
    /// The most steps to take.
    pub step_max: u32,
    /// What `now()` and `today()` yield, in UTC.
    pub now: Option<jiff::Timestamp>,
}

impl<'a> Context<'a> {
    /// A context with this focus and nothing else: no variables, no resolver, no clock and
    /// [`STEP_MAX_DEFAULT`] steps.
    pub fn new(focus: Option<&'a Value>, focus_type: &'a str) -> Self {
        Self {
            focus,
            focus_type,
            definition: None,
            variables: &[],
            resolver: &NoResolver,
            step_max: STEP_MAX_DEFAULT,
            now: None,
        }
    }
}

impl<'a> Context<'a> {
    /// The same with an element that another evaluation found as focus.
    #[must_use]
    pub fn at(self, node: &Node<'a>) -> Self {
        let definition = node.definition();
        let focus = Some(node.value());
        Self { focus, focus_type: definition.name, definition: Some(definition), ..self }
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("focus_type", &self.focus_type).finish_non_exhaustive()
    }
}

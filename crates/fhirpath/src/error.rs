//! What can be wrong with an expression, when it is compiled and when it is evaluated.
//!
//! No text here ever holds content of a resource: only names from definitions, from the expression
//! and offsets into it. Tests: `expression/tests.rs`.

/// Why an expression was refused; nothing was evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text} (at offset {offset})")]
pub struct CompileError {
    /// What kind of mistake it is.
    pub kind: CompileErrorKind,
    /// Where in the expression, in bytes.
    pub offset: usize,
    /// What is wrong and, where known, what would be right; a phrase without full stop.
    pub text: String,
}

impl CompileError {
    pub(crate) fn new(kind: CompileErrorKind, offset: usize, text: impl Into<String>) -> Self {
        Self { kind, offset, text: text.into() }
    }
}

/// What kind of mistake an expression holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompileErrorKind {
    /// It is not FHIRPath.
    Syntax,
    /// It is nested deeper than [`NESTING_DEPTH_MAX`](crate::NESTING_DEPTH_MAX).
    TooDeep,
    /// It is longer than [`EXPRESSION_BYTES_MAX`](crate::EXPRESSION_BYTES_MAX).
    TooLong,
    /// An element that the type does not have.
    UnknownElement,
    /// A function that FHIRPath and FHIR do not define.
    UnknownFunction,
    /// A type that the FHIR version does not define.
    UnknownType,
    /// A variable that is neither FHIR's nor the scope's.
    UnknownVariable,
    /// FHIRPath, but nothing this engine evaluates (it has no terminology service and no clock).
    Unsupported,
    /// An operand or an argument that can never be of the type needed.
    WrongType,
}

/// Why an evaluation has no result.
///
/// The right reaction is to treat the expression as not fulfilled and to report it, except for
/// [`Missing`](Self::Missing): fetch the resources and evaluate again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// References that the resolver could not answer yet, each once, in the order met.
    #[error("{} referenced resource(s) are needed", .0.len())]
    Missing(Vec<String>),
    /// More steps than [`Context::step_max`](crate::Context::step_max).
    #[error("the evaluation takes too many steps")]
    StepLimit,
    /// A collection or a string outgrew its bound.
    #[error("a collection or a string becomes too large (at offset {offset})")]
    TooLarge {
        /// Where in the expression, in bytes.
        offset: usize,
    },
    /// Several items where one at most is allowed.
    #[error("{what} needs a single item (at offset {offset})")]
    Singleton {
        /// What needs it, such as a function or an operator.
        what: &'static str,
        /// Where in the expression, in bytes.
        offset: usize,
    },
    /// An operand or an argument of the wrong type.
    #[error("{text} (at offset {offset})")]
    Type {
        /// What was expected and what was found, by type.
        text: String,
        /// Where in the expression, in bytes.
        offset: usize,
    },
    /// A variable of the scope that the context lacks.
    #[error("the variable %{0} has no value in this context")]
    Variable(String),
}

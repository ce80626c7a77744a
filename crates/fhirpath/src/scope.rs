//! What an expression is compiled against.

use cresset_definitions::Definitions;

/// How strict the engine is where official expressions and the specification differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// For expressions of search parameters, which HL7 writes more freely than FHIRPath is defined.
    ///
    /// `as` filters a collection of several items instead of failing, a path that starts with another
    /// type (`Person.name` on a Patient) or with an element of another type (R5's parameter `date` has
    /// a bare `start` for the Appointment among its many types) is empty instead of an error, JSON
    /// names of choices (`valueQuantity`) are elements, children may be picked by position,
    /// `resolve() is Patient` looks nothing up (a reference that says no type is empty), and a union that is
    /// the whole expression, or of which only one branch can apply, keeps doubles.
    Lenient,
    /// FHIRPath as it is specified, for everything else.
    #[default]
    Strict,
}

/// What an expression may refer to.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'s> {
    /// The definitions of the FHIR version.
    pub definitions: &'static Definitions,
    /// The type of the focus, such as `Observation`; `None` is any type, and less is checked.
    pub root: Option<&'s str>,
    /// The types that the focus may have where it is none of one type alone; empty for any type.
    pub roots: &'s [&'s str],
    /// The variables beyond FHIR's own, by name without `%`, each with its type if it is known.
    pub variables: &'s [(&'s str, Option<&'s str>)],
    /// How strict to be.
    pub mode: Mode,
    /// Whether [`Context::now`](crate::Context::now) will be given; without it `now()`, `today()`
    /// and `timeOfDay()` are refused.
    pub clock: bool,
}

impl<'s> Scope<'s> {
    /// A strict scope with an unknown root, no variables and no clock.
    pub const fn new(definitions: &'static Definitions) -> Self {
        Self {
            definitions,
            root: None,
            roots: &[],
            variables: &[],
            mode: Mode::Strict,
            clock: false,
        }
    }

    /// The same with the type of the focus.
    #[must_use]
    pub const fn root(self, root: &'s str) -> Self {
        Self { root: Some(root), ..self }
    }

    /// The same with several types that the focus may have.
    #[must_use]
    pub const fn roots(self, roots: &'s [&'s str]) -> Self {
        Self { root: None, roots, ..self }
    }

    /// The same with variables.
    #[must_use]
    pub const fn variables(self, variables: &'s [(&'s str, Option<&'s str>)]) -> Self {
        Self { variables, ..self }
    }

    /// The same for the expression of a search parameter ([`Mode::Lenient`]).
    #[must_use]
    pub const fn lenient(self) -> Self {
        Self { mode: Mode::Lenient, ..self }
    }

    /// The same with `now()` and its like allowed.
    #[must_use]
    pub const fn clock(self) -> Self {
        Self { clock: true, ..self }
    }
}

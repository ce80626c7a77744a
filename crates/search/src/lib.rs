//! FHIR search as a pure function: what a search parameter finds in a resource, and whether a
//! criterion holds for it.
//!
//! One truth for three users: the criteria of topic triggers, the filters of subscriptions, and
//! (through the extracted [`SearchValue`]s and the parsed [`Operand`]s) the REST search index.
//!
//! - [`Parameters`] are the search parameters of one FHIR version, their expressions compiled once.
//! - [`Criterion`] and [`Criteria`] are parsed once and then asked many times.
//! - [`ResourceValues`] are the values of one resource, extracted at most once per parameter.
//! - [`IndexKey`]s and [`Span`]s let a caller find the criteria that can match without trying each.
//!
//! It knows nothing of subscriptions, stores, clocks or I/O. It fails closed (I9): what cannot be
//! parsed exactly is refused with an issue when a criterion is made, and a value that cannot be
//! read is a [`Problem`], never a guess. Issues and problems name parameters and expected forms,
//! never a value of a search or of a resource.
//!
//! Decisions where FHIR leaves a choice:
//! - dates without a time zone are UTC, in searches and in resources;
//! - `ap` on dates means that the ranges overlap (there is no clock here), on numbers within 10 %;
//! - `%XX` is decoded once and a `+` is always a plus (RQ-TP-31), in every query string;
//! - codes are compared exactly; elements of type `string` case-insensitively, as FHIR says;
//! - strings are compared without case, combining marks, punctuation and repeated white space.
//!
//! Tests: `src/*/tests.rs`, a file per noun; `src/tests/` for properties over the whole crate and
//! for the official examples.

mod criteria;
mod criterion;
mod date;
mod extraction;
mod implied_systems;
mod index_key;
mod number;
mod operand;
mod parameter;
mod parameters;
mod problem;
mod quantity;
mod reference;
mod resource_values;
mod scope;
mod seen;
mod span;
mod syntax;
mod text;
mod token;
mod uri;
mod value;

#[cfg(test)]
mod tests;

pub use criteria::{CRITERIA_BYTES_MAX, CRITERIA_COUNT_MAX, Criteria};
pub use criterion::{Criterion, Test};
pub use date::{DateOperand, DateRange};
pub use index_key::{IndexKey, IndexKeys};
pub use number::{NumberOperand, NumberRange};
pub use operand::{ALTERNATIVES_MAX, Operand};
pub use parameter::Parameter;
pub use parameters::Parameters;
pub use problem::{Problem, ProblemKind};
pub use quantity::{Quantity, QuantityOperand, UnitTest};
pub use reference::{Reference, ReferenceOperand, Target};
pub use resource_values::{ResourceValues, STEPS_MAX, VALUES_MAX};
pub use scope::Scope;
pub use span::Span;
pub use syntax::{decode, escape};
pub use text::{StringOperand, StringTest, Text, fold};
pub use token::{Token, TokenOperand, TokenSystem};
pub use uri::{Uri, UriOperand, UriTest};
pub use value::SearchValue;

//! FHIRPath: parsed, checked against a type, compiled once, and evaluated many times over borrowed
//! JSON.
//!
//! An [`Expression`] is compiled in a [`Scope`], which names the definitions of a FHIR version and the
//! type of the focus, so that a mistake is found where it is written and not when it is evaluated. It is
//! evaluated in a [`Context`], which holds the focus as `serde_json::Value`, variables and a
//! [`Resolver`] for references. The language is FHIRPath N1 with FHIR's additions and most of the
//! functions of its continuous build; what needs a terminology service, profiles or a clock that is
//! not given is refused when it is compiled.
//!
//! Invariants: text, nesting, steps, collections and strings are bounded, each by a named constant;
//! recursion is bounded by the nesting; evaluating the same over the same yields the same; no error
//! and no `Debug` holds content of a resource. This crate knows nothing of subscriptions or search,
//! and does no I/O. Its tests lie beside the modules.

mod ast;
mod collection;
mod compile;
mod direct;
mod equality;
mod error;
mod evaluate;
mod expression;
mod foresight;
mod function;
mod item;
mod members;
mod parser;
mod parts;
mod quantity;
mod resolve;
mod scope;
mod temporal;
mod token;
mod types;
mod ucum;

pub use collection::Collection;
pub use error::{CompileError, CompileErrorKind, EvaluationError};
pub use evaluate::{COLLECTION_ITEMS_MAX, STRING_BYTES_MAX};
pub use expression::{Context, Expression, STEP_MAX_DEFAULT};
pub use foresight::{joins_booleans, never_holds_without};
pub use item::{Item, Node};
pub use members::MemberSet;
pub use parser::{EXPRESSION_BYTES_MAX, NESTING_DEPTH_MAX};
pub use parts::{PARTS_MAX, Part, parts};
pub use quantity::{Quantity, Unit};
pub use resolve::{NoResolver, Resolution, Resolver};
pub use scope::{Mode, Scope};
pub use temporal::{CalendarUnit, Date, DateTime, Time};
pub use ucum::Scale;

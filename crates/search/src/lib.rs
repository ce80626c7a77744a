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
//! - [`Need`]s name other resources that an answer depends on; a [`Lookup`] holds what was found.
//!
//! It knows nothing of subscriptions, stores, clocks or I/O. It fails closed (I9): what cannot be
//! parsed exactly is refused with an issue when a criterion is made, and a value that cannot be
//! read is a [`Problem`], never a guess. Issues and problems name parameters and expected forms,
//! never a value of a search or of a resource.
//!
//! # What is searched
//!
//! Values with a `,` between them are alternatives; `\` makes `,` `|` `$` and itself literal.
//!
//! | type | value | meaning |
//! |---|---|---|
//! | `token` | `code`, `system\|code`, `system\|`, `\|code` | code in any system, in this one, any code of it, code without a written system; a `code` element is of the systems its definition implies |
//! | `reference` | `id`, `Type/id`, absolute URL, `url\|version` | relative, absolute on the own base, and versioned references are one; a version is compared where one is asked for |
//! | `string` | text | starts with it, without case, accents, punctuation and repeated white space |
//! | `uri` | URI, `url\|version` | exactly this |
//! | `date` | `2024`, `2024-05`, …, `2024-05-06T07:08:09+02:00` | ranges, as far as the precision leaves them open; without a time zone UTC, in searches and resources; `Period` and `Timing` by their outer limits |
//! | `number` | `5.4`, `1e2` | `eq` and `ne` within the precision that the digits imply, the others exactly |
//! | `quantity` | `5.4`, `5.4\|system\|code`, `5.4\|\|unit` | as numbers; a UCUM code takes every UCUM unit of its kind, converted exactly (degrees too, logarithmic units not); `\|\|unit` is code or text, as written |
//! | `composite` | `code$5.4` | each component fits in one and the same place of the resource |
//! | `_in`, `_list` | `Group/id`, `List/id`, `CareTeam/id` | the resource itself is listed there |
//!
//! Dates, numbers and quantities take `eq ne gt lt ge le sa eb ap`, in front of the value or beside
//! it. `ap` means on dates that the ranges overlap (there is no clock here), on numbers within 10 %.
//!
//! | modifier | on | meaning |
//! |---|---|---|
//! | `:missing` | all | whether there is a value |
//! | `:not` | token | no value fits; also without a value |
//! | `:exact`, `:contains` | string (`:contains` also uri) | the text as written; anywhere in it |
//! | `:text` | token, reference | the text for people starts with it |
//! | `:text` | string | words of the text, see below |
//! | `:text-advanced` | token, reference | words of the text for people, see below |
//! | `:code-text` | token, reference | the code starts with it, without case and accents; of a reference, which has no code, the text for people |
//! | `:of-type` | token | an identifier's `system\|type\|value` |
//! | `:identifier`, `:type`, `:Patient` | reference | the identifier beside the reference; a type that must be written |
//! | `:above`, `:below` | uri | along the path of a URL |
//! | `:above`, `:below` | token | `system\|code` in the hierarchy of the CodeSystem here, itself included |
//! | `:below` | token of MIME types | `image`, `text/xml`: with any subtype, with any parameters |
//! | `:above`, `:below` | reference | `Type/id`, what it is a part of or its parts (`partOf`), itself included |
//! | `:above`, `:below` | canonical | `url\|version`: later versions; this one and those that begin with its pieces. `url`: all versions |
//! | `:in`, `:not-in` | token | codes of a ValueSet here, by URL, `url\|version` or `ValueSet/id` |
//! | `:in`, `:not-in` | reference | members of a Group, List or CareTeam here |
//!
//! `patient.gender` and `subject:Patient.name` ask what a reference names, `_has:Observation:patient:code`
//! asks what refers to the resource; both up to [`PATH_LENGTH_MAX`] references away. References to
//! other servers, to versions and to contained resources are not followed (a version means the
//! resource as it is), and what is not there never fits, whatever is asked of it.
//!
//! Words are written as in OData's `$search`, which FHIR advises: `"bone marrow" AND (biopsy OR aspir)`. A
//! word begins a word of the text, a phrase in quotes stands there whole, `NOT` comes before `AND`, which
//! may be left out, and that before `OR`; the text may be one of several, each asked alone. Nothing is
//! known of synonyms.
//!
//! Of versions FHIR says two things: that `:below` is a "less than", and by its examples, in R4 and R5,
//! that `url|1` finds `1.0` and `1.1`. The examples are followed, as most servers do: a subscription
//! must not get more than it asked for. Versions compare piece by piece ([`compare_versions`]).
//!
//! A value set is read as it is defined (`compose` with codes, whole systems, imports, exclusions and
//! filters over the hierarchy), or where that cannot be decided here by a complete expansion that
//! it holds. An absent set, a CodeSystem that is not complete, a filter over other properties: no
//! answer, for `in` and for `not-in`.
//!
//! # What is refused, and why
//!
//! - `_text`, `_content`, `_filter`, `_query`, `near` and other special parameters: they have no
//!   expression to evaluate;
//! - `:above` and `:below` on types without parts, `:in` and `:not-in` on uri: FHIR does not define them;
//! - `:above` and `:below` of a code without a system: nothing says which hierarchy is meant;
//! - composites of R5 whose components are no parameters of R5 (`Observation.code-value-string`);
//! - functional lists (`_list=$current-problems`): they are computed by servers that have them;
//! - comparators on other types than date, number and quantity, and beside a modifier.
//!
//! `%XX` is decoded once and a `+` is always a plus (RQ-TP-31), in every query string. Codes are
//! compared exactly; elements of type `string` case-insensitively, as FHIR says.
//!
//! Tests: `src/*/tests.rs`, a file per noun; `src/tests/` for properties over the whole crate and
//! for the official examples.

mod criteria;
mod criterion;
mod date;
mod extraction;
mod implied_systems;
mod index_key;
mod lookup;
mod need;
mod number;
mod operand;
mod parameter;
mod parameters;
mod path;
mod problem;
mod quantity;
mod reference;
mod resource_values;
mod scope;
mod seen;
mod set;
mod span;
mod syntax;
mod text;
mod token;
mod uri;
mod value;
mod version;
mod words;

#[cfg(test)]
mod tests;

pub use criteria::{CRITERIA_BYTES_MAX, CRITERIA_COUNT_MAX, Criteria};
pub use criterion::{Criterion, Has, Test, all_match};
pub use date::{DateOperand, DateRange};
pub use index_key::{IndexKey, IndexKeys, KeyForms};
pub use lookup::Lookup;
pub use need::{Need, Referring};
pub use number::{NumberOperand, NumberRange};
pub use operand::{ALTERNATIVES_MAX, Operand, Operands};
pub use parameter::Parameter;
pub use parameters::Parameters;
pub use path::PATH_LENGTH_MAX;
pub use problem::{Problem, ProblemKind};
pub use quantity::{Quantity, QuantityOperand, UnitTest};
pub use reference::{LocalVersion, Reference, ReferenceOperand, Target};
pub use resource_values::{ResourceValues, STEPS_MAX, VALUES_MAX};
pub use scope::Scope;
pub use set::{IMPORT_DEPTH_MAX, Set};
pub use span::{Line, Span};
pub use syntax::{decode, escape};
pub use text::{StringOperand, StringTest, Text, fold};
pub use token::{Token, TokenOperand, TokenSystem};
pub use uri::{Uri, UriOperand, UriTest};
pub use value::SearchValue;
pub use version::{VersionTest, compare_versions};
pub use words::{WORDS_MAX, WORDS_NESTING_MAX, Words};

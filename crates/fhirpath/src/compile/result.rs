//! What function calls yield, by type.

use super::Compiler;
use super::statics::Static;
use crate::error::CompileError;
use crate::function::{
    Clock, Conversion, Criteria, Function, Math, Navigation, Set, SetPair, Text, TextPair,
};
use crate::types::SystemType;

impl Compiler<'_> {
    /// What a call yields, given what it is called on and its arguments.
    pub(super) fn result(
        &self,
        function: Function,
        input: &Static,
        arguments: &[Static],
        offset: usize,
    ) -> Result<Static, CompileError> {
        Ok(match function {
            Function::Clock(Clock::Now) => Static::system(SystemType::DateTime),
            Function::Clock(Clock::TimeOfDay) => Static::system(SystemType::Time),
            Function::Clock(Clock::Today) => Static::system(SystemType::Date),
            Function::Convert(target) => Static::system(converted(target)),
            Function::ConvertsTo(_) => Static::system(SystemType::Boolean),
            Function::Criteria(criteria) => criteria_result(criteria, input, arguments),
            Function::Math(math) => math_result(math, input),
            Function::Navigation(navigation) => match navigation {
                Navigation::Children | Navigation::Descendants => {
                    Static { types: None, ordered: false }
                }
                Navigation::Extension => Static::of(self.fhir_type("Extension", offset)?),
                Navigation::GetValue => same_value(input),
                Navigation::HasValue => Static::system(SystemType::Boolean),
                Navigation::Type => Static::system(SystemType::TypeInfo),
            },
            Function::Set(set) => set_result(set, input, arguments),
            Function::SetPair(pair) => match pair {
                SetPair::Combine | SetPair::Union => union(std::iter::once(input).chain(arguments)),
                SetPair::Exclude | SetPair::Intersect => input.clone(),
                SetPair::SubsetOf | SetPair::SupersetOf => Static::system(SystemType::Boolean),
            },
            Function::Text(text) => Static::system(match text {
                Text::Length => SystemType::Integer,
                Text::Matches | Text::MatchesFull => SystemType::Boolean,
                Text::Join
                | Text::Lower
                | Text::Replace
                | Text::ReplaceMatches
                | Text::Substring
                | Text::ToChars
                | Text::Trim
                | Text::Upper => SystemType::String,
            }),
            Function::TextPair(pair) => Static::system(match pair {
                TextPair::Contains | TextPair::EndsWith | TextPair::StartsWith => {
                    SystemType::Boolean
                }
                TextPair::IndexOf | TextPair::LastIndexOf => SystemType::Integer,
                TextPair::Decode
                | TextPair::Encode
                | TextPair::Escape
                | TextPair::Split
                | TextPair::Unescape => SystemType::String,
            }),
            Function::DefineVariable | Function::Resolve | Function::Sort | Function::Type(_) => {
                input.clone()
            }
        })
    }
}

fn converted(target: Conversion) -> SystemType {
    match target {
        Conversion::Boolean => SystemType::Boolean,
        Conversion::Date => SystemType::Date,
        Conversion::DateTime => SystemType::DateTime,
        Conversion::Decimal => SystemType::Decimal,
        Conversion::Integer => SystemType::Integer,
        Conversion::Long => SystemType::Long,
        Conversion::Quantity => SystemType::Quantity,
        Conversion::String => SystemType::String,
        Conversion::Time => SystemType::Time,
    }
}

/// The system type of the input's values, where all have the same.
fn same_value(input: &Static) -> Static {
    input.value_type().map_or_else(Static::any, Static::system)
}

fn union<'s>(all: impl Iterator<Item = &'s Static>) -> Static {
    let mut union = Static::nothing();
    all.for_each(|one| union.add(one));
    union
}

fn criteria_result(criteria: Criteria, input: &Static, arguments: &[Static]) -> Static {
    match criteria {
        Criteria::Aggregate => Static::any(),
        Criteria::All | Criteria::Exists => Static::system(SystemType::Boolean),
        Criteria::Iif => union(arguments.iter().skip(1)),
        Criteria::Repeat | Criteria::RepeatAll | Criteria::Select => arguments[0].clone(),
        Criteria::Trace | Criteria::Where => input.clone(),
    }
}

fn math_result(math: Math, input: &Static) -> Static {
    match math {
        // A whole number's boundary is a decimal.
        Math::HighBoundary | Math::LowBoundary
            if input.value_type() == Some(SystemType::Integer) =>
        {
            Static::system(SystemType::Decimal)
        }
        Math::Abs | Math::HighBoundary | Math::LowBoundary => same_value(input),
        Math::Comparable => Static::system(SystemType::Boolean),
        Math::Exp | Math::Ln | Math::Log | Math::Round | Math::Sqrt => {
            Static::system(SystemType::Decimal)
        }
        Math::Precision => Static::system(SystemType::Integer),
        Math::Ceiling | Math::Floor | Math::Power | Math::Truncate => Static::any(),
    }
}

fn set_result(set: Set, input: &Static, arguments: &[Static]) -> Static {
    match set {
        Set::AllFalse
        | Set::AllTrue
        | Set::AnyFalse
        | Set::AnyTrue
        | Set::Empty
        | Set::IsDistinct
        | Set::Not => Static::system(SystemType::Boolean),
        Set::Coalesce => union(arguments.iter()),
        Set::Count => Static::system(SystemType::Integer),
        Set::Distinct
        | Set::First
        | Set::Last
        | Set::Single
        | Set::Skip
        | Set::Tail
        | Set::Take => input.clone(),
    }
}

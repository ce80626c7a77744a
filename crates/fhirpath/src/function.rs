//! The functions of FHIRPath and of FHIR's additions to it, by name.
//!
//! The names are data; what a function does is in `evaluate/`, one file per group.

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Function {
    Clock(Clock),
    /// `toX`
    Convert(Conversion),
    /// `convertsToX`
    ConvertsTo(Conversion),
    Criteria(Criteria),
    DefineVariable,
    Math(Math),
    Navigation(Navigation),
    Resolve,
    Set(Set),
    SetPair(SetPair),
    Sort,
    Text(Text),
    TextPair(TextPair),
    Type(TypeOperation),
}

/// Functions that ask the context for the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Clock {
    Now,
    TimeOfDay,
    Today,
}

/// What a conversion yields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Conversion {
    Boolean,
    Date,
    DateTime,
    Decimal,
    Integer,
    Long,
    Quantity,
    String,
    Time,
}

/// Functions that evaluate an argument on the items of their input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Criteria {
    Aggregate,
    All,
    Exists,
    Iif,
    Repeat,
    RepeatAll,
    Select,
    Trace,
    Where,
}

/// Functions of one number, date or quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Math {
    Abs,
    Ceiling,
    Comparable,
    Exp,
    Floor,
    HighBoundary,
    Ln,
    Log,
    LowBoundary,
    Power,
    Precision,
    Round,
    Sqrt,
    Truncate,
}

/// Functions that look into or below elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Navigation {
    Children,
    Descendants,
    Extension,
    GetValue,
    HasValue,
    Type,
}

/// Functions of one collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Set {
    AllFalse,
    AllTrue,
    AnyFalse,
    AnyTrue,
    Coalesce,
    Count,
    Distinct,
    Empty,
    First,
    IsDistinct,
    Last,
    Not,
    Single,
    Skip,
    Tail,
    Take,
}

/// Functions of two collections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SetPair {
    Combine,
    Exclude,
    Intersect,
    SubsetOf,
    SupersetOf,
    Union,
}

/// Functions of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Text {
    Join,
    Length,
    Lower,
    Matches,
    MatchesFull,
    Replace,
    ReplaceMatches,
    Substring,
    ToChars,
    Trim,
    Upper,
}

/// Functions of a string and one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TextPair {
    Contains,
    Decode,
    Encode,
    EndsWith,
    Escape,
    IndexOf,
    LastIndexOf,
    Split,
    StartsWith,
    Unescape,
}

/// What is done with a type; `Head` is a type's name at the start of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TypeOperation {
    As,
    Head,
    Is,
    OfType,
}

/// A name, what it stands for, and how many arguments it takes.
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    pub(crate) function: Function,
    pub(crate) min: usize,
    pub(crate) max: usize,
}

/// The most arguments of `sort` and `coalesce`, which take any number.
const MANY: usize = 16;

const fn signature(name: &'static str, function: Function, min: usize, max: usize) -> Signature {
    Signature { name, function, min, max }
}

/// All functions, sorted by name.
pub(crate) const SIGNATURES: &[Signature] = &[
    signature("abs", Function::Math(Math::Abs), 0, 0),
    signature("aggregate", Function::Criteria(Criteria::Aggregate), 1, 2),
    signature("all", Function::Criteria(Criteria::All), 1, 1),
    signature("allFalse", Function::Set(Set::AllFalse), 0, 0),
    signature("allTrue", Function::Set(Set::AllTrue), 0, 0),
    signature("anyFalse", Function::Set(Set::AnyFalse), 0, 0),
    signature("anyTrue", Function::Set(Set::AnyTrue), 0, 0),
    signature("as", Function::Type(TypeOperation::As), 1, 1),
    signature("ceiling", Function::Math(Math::Ceiling), 0, 0),
    signature("children", Function::Navigation(Navigation::Children), 0, 0),
    signature("coalesce", Function::Set(Set::Coalesce), 1, MANY),
    signature("combine", Function::SetPair(SetPair::Combine), 1, 1),
    signature("comparable", Function::Math(Math::Comparable), 1, 1),
    signature("contains", Function::TextPair(TextPair::Contains), 1, 1),
    signature("convertsToBoolean", Function::ConvertsTo(Conversion::Boolean), 0, 0),
    signature("convertsToDate", Function::ConvertsTo(Conversion::Date), 0, 0),
    signature("convertsToDateTime", Function::ConvertsTo(Conversion::DateTime), 0, 0),
    signature("convertsToDecimal", Function::ConvertsTo(Conversion::Decimal), 0, 0),
    signature("convertsToInteger", Function::ConvertsTo(Conversion::Integer), 0, 0),
    signature("convertsToLong", Function::ConvertsTo(Conversion::Long), 0, 0),
    signature("convertsToQuantity", Function::ConvertsTo(Conversion::Quantity), 0, 1),
    signature("convertsToString", Function::ConvertsTo(Conversion::String), 0, 0),
    signature("convertsToTime", Function::ConvertsTo(Conversion::Time), 0, 0),
    signature("count", Function::Set(Set::Count), 0, 0),
    signature("decode", Function::TextPair(TextPair::Decode), 1, 1),
    signature("defineVariable", Function::DefineVariable, 1, 2),
    signature("descendants", Function::Navigation(Navigation::Descendants), 0, 0),
    signature("distinct", Function::Set(Set::Distinct), 0, 0),
    signature("empty", Function::Set(Set::Empty), 0, 0),
    signature("encode", Function::TextPair(TextPair::Encode), 1, 1),
    signature("endsWith", Function::TextPair(TextPair::EndsWith), 1, 1),
    signature("escape", Function::TextPair(TextPair::Escape), 1, 1),
    signature("exclude", Function::SetPair(SetPair::Exclude), 1, 1),
    signature("exists", Function::Criteria(Criteria::Exists), 0, 1),
    signature("exp", Function::Math(Math::Exp), 0, 0),
    signature("extension", Function::Navigation(Navigation::Extension), 1, 1),
    signature("first", Function::Set(Set::First), 0, 0),
    signature("floor", Function::Math(Math::Floor), 0, 0),
    signature("getValue", Function::Navigation(Navigation::GetValue), 0, 0),
    signature("hasValue", Function::Navigation(Navigation::HasValue), 0, 0),
    signature("highBoundary", Function::Math(Math::HighBoundary), 0, 1),
    signature("iif", Function::Criteria(Criteria::Iif), 2, 3),
    signature("indexOf", Function::TextPair(TextPair::IndexOf), 1, 1),
    signature("intersect", Function::SetPair(SetPair::Intersect), 1, 1),
    signature("is", Function::Type(TypeOperation::Is), 1, 1),
    signature("isDistinct", Function::Set(Set::IsDistinct), 0, 0),
    signature("join", Function::Text(Text::Join), 0, 1),
    signature("last", Function::Set(Set::Last), 0, 0),
    signature("lastIndexOf", Function::TextPair(TextPair::LastIndexOf), 1, 1),
    signature("length", Function::Text(Text::Length), 0, 0),
    signature("ln", Function::Math(Math::Ln), 0, 0),
    signature("log", Function::Math(Math::Log), 1, 1),
    signature("lowBoundary", Function::Math(Math::LowBoundary), 0, 1),
    signature("lower", Function::Text(Text::Lower), 0, 0),
    signature("matches", Function::Text(Text::Matches), 1, 2),
    signature("matchesFull", Function::Text(Text::MatchesFull), 1, 2),
    signature("not", Function::Set(Set::Not), 0, 0),
    signature("now", Function::Clock(Clock::Now), 0, 0),
    signature("ofType", Function::Type(TypeOperation::OfType), 1, 1),
    signature("power", Function::Math(Math::Power), 1, 1),
    signature("precision", Function::Math(Math::Precision), 0, 0),
    signature("repeat", Function::Criteria(Criteria::Repeat), 1, 1),
    signature("repeatAll", Function::Criteria(Criteria::RepeatAll), 1, 1),
    signature("replace", Function::Text(Text::Replace), 2, 2),
    signature("replaceMatches", Function::Text(Text::ReplaceMatches), 2, 3),
    signature("resolve", Function::Resolve, 0, 0),
    signature("round", Function::Math(Math::Round), 0, 1),
    signature("select", Function::Criteria(Criteria::Select), 1, 1),
    signature("single", Function::Set(Set::Single), 0, 0),
    signature("skip", Function::Set(Set::Skip), 1, 1),
    signature("sort", Function::Sort, 0, MANY),
    signature("split", Function::TextPair(TextPair::Split), 1, 1),
    signature("sqrt", Function::Math(Math::Sqrt), 0, 0),
    signature("startsWith", Function::TextPair(TextPair::StartsWith), 1, 1),
    signature("subsetOf", Function::SetPair(SetPair::SubsetOf), 1, 1),
    signature("substring", Function::Text(Text::Substring), 1, 2),
    signature("supersetOf", Function::SetPair(SetPair::SupersetOf), 1, 1),
    signature("tail", Function::Set(Set::Tail), 0, 0),
    signature("take", Function::Set(Set::Take), 1, 1),
    signature("timeOfDay", Function::Clock(Clock::TimeOfDay), 0, 0),
    signature("toBoolean", Function::Convert(Conversion::Boolean), 0, 0),
    signature("toChars", Function::Text(Text::ToChars), 0, 0),
    signature("toDate", Function::Convert(Conversion::Date), 0, 0),
    signature("toDateTime", Function::Convert(Conversion::DateTime), 0, 0),
    signature("toDecimal", Function::Convert(Conversion::Decimal), 0, 0),
    signature("toInteger", Function::Convert(Conversion::Integer), 0, 0),
    signature("toLong", Function::Convert(Conversion::Long), 0, 0),
    signature("toQuantity", Function::Convert(Conversion::Quantity), 0, 1),
    signature("toString", Function::Convert(Conversion::String), 0, 0),
    signature("toTime", Function::Convert(Conversion::Time), 0, 0),
    signature("today", Function::Clock(Clock::Today), 0, 0),
    signature("trace", Function::Criteria(Criteria::Trace), 1, 2),
    signature("trim", Function::Text(Text::Trim), 0, 0),
    signature("truncate", Function::Math(Math::Truncate), 0, 0),
    signature("type", Function::Navigation(Navigation::Type), 0, 0),
    signature("unescape", Function::TextPair(TextPair::Unescape), 1, 1),
    signature("union", Function::SetPair(SetPair::Union), 1, 1),
    signature("upper", Function::Text(Text::Upper), 0, 0),
    signature("where", Function::Criteria(Criteria::Where), 1, 1),
];

/// Functions that exist but are refused, and why.
pub(crate) const REFUSED: &[(&str, &str)] = &[
    ("checkModifiers", "profiles are not evaluated"),
    ("conformsTo", "profiles are not evaluated"),
    ("elementDefinition", "profiles are not evaluated"),
    ("hasTemplateIdOf", "CDA is not evaluated"),
    ("htmlChecks", "narrative is not checked"),
    ("memberOf", "there is no terminology service"),
    ("slice", "profiles are not evaluated"),
    ("subsumedBy", "there is no terminology service"),
    ("subsumes", "there is no terminology service"),
];

/// The function of a name.
pub(crate) fn named(name: &str) -> Option<&'static Signature> {
    SIGNATURES.iter().find(|one| one.name == name)
}

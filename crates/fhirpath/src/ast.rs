//! The syntax tree of an expression, before names mean anything.
//!
//! Chains that people write long are flat lists, so that the height of the tree, and with it the
//! depth of any recursion over it, is bounded by [`NESTING_DEPTH_MAX`](crate::NESTING_DEPTH_MAX).

use std::fmt;

use rust_decimal::Decimal;

use crate::quantity::Quantity;
use crate::temporal::{Date, DateTime, Time};

/// A node of the tree and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ast {
    pub(crate) offset: usize,
    /// One more than that of the highest node below.
    pub(crate) height: usize,
    pub(crate) kind: AstKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AstKind {
    /// `{}`
    Empty,
    Literal(Literal),
    /// `%name`
    External(String),
    /// A path; without head it starts at the focus.
    Path(Option<Box<Ast>>, Vec<Segment>),
    /// Unary minus (plus says nothing).
    Negate(Box<Ast>),
    Binary(BinaryOperator, Box<Ast>, Box<Ast>),
    /// Operands of one associative operator.
    Chain(ChainOperator, Vec<Ast>),
    /// `is` and `as` as operators.
    Is(Box<Ast>, TypeSpecifier),
    As(Box<Ast>, TypeSpecifier),
}

/// One part of a path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Segment {
    pub(crate) offset: usize,
    pub(crate) kind: SegmentKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SegmentKind {
    Name(String),
    Call(String, Vec<Ast>),
    Index(Ast),
    /// `$this`, `$index`, `$total`
    Special(Special),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    This,
    Index,
    Total,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Boolean(bool),
    Date(Date),
    DateTime(DateTime),
    Decimal(Decimal),
    Integer(i32),
    Long(i64),
    Quantity(Quantity),
    String(String),
    Time(Time),
}

/// A type by name, perhaps with its namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeSpecifier {
    pub(crate) offset: usize,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

/// Operators that are written as flat lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChainOperator {
    And,
    Or,
    Union,
}

/// The other operators, by precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOperator {
    Implies,
    Xor,
    Contains,
    In,
    Equal,
    Equivalent,
    NotEqual,
    NotEquivalent,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Arithmetic(Arithmetic),
    Concatenate,
}

/// Operators on numbers, quantities and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Div,
    Divide,
    Mod,
    Multiply,
    Subtract,
}

impl BinaryOperator {
    /// How it is written.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Implies => "implies",
            Self::Xor => "xor",
            Self::Contains => "contains",
            Self::In => "in",
            Self::Equal => "=",
            Self::Equivalent => "~",
            Self::NotEqual => "!=",
            Self::NotEquivalent => "!~",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Arithmetic(Arithmetic::Add) => "+",
            Self::Concatenate => "&",
            Self::Arithmetic(Arithmetic::Subtract) => "-",
            Self::Arithmetic(Arithmetic::Div) => "div",
            Self::Arithmetic(Arithmetic::Divide) => "/",
            Self::Arithmetic(Arithmetic::Mod) => "mod",
            Self::Arithmetic(Arithmetic::Multiply) => "*",
        }
    }
}

impl fmt::Display for TypeSpecifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}.")?;
        }
        f.write_str(&self.name)
    }
}

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

/// Operators with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOperator {
    Arithmetic(Arithmetic),
    Concatenate,
    Relation(Relation),
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

/// Operators that yield a boolean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Contains,
    Equal,
    Equivalent,
    Greater,
    GreaterOrEqual,
    Implies,
    In,
    Less,
    LessOrEqual,
    NotEqual,
    NotEquivalent,
    Xor,
}

impl Relation {
    /// Whether it asks which of two items is the greater.
    pub(crate) const fn is_order(self) -> bool {
        match self {
            Self::Greater | Self::GreaterOrEqual | Self::Less | Self::LessOrEqual => true,
            Self::Contains
            | Self::Equal
            | Self::Equivalent
            | Self::Implies
            | Self::In
            | Self::NotEqual
            | Self::NotEquivalent
            | Self::Xor => false,
        }
    }

    /// How it is written.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Contains => "`contains`",
            Self::Equal => "`=`",
            Self::Equivalent => "`~`",
            Self::Greater => "`>`",
            Self::GreaterOrEqual => "`>=`",
            Self::Implies => "`implies`",
            Self::In => "`in`",
            Self::Less => "`<`",
            Self::LessOrEqual => "`<=`",
            Self::NotEqual => "`!=`",
            Self::NotEquivalent => "`!~`",
            Self::Xor => "`xor`",
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

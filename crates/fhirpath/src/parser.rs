//! The parser: the grammar of FHIRPath N1, by precedence climbing.
//!
//! Invariant: neither its recursion nor the height of a tree it yields exceeds
//! [`NESTING_DEPTH_MAX`]. Tests: `parser/tests.rs`.

#[cfg(test)]
mod tests;

use crate::ast::{
    Arithmetic, Ast, AstKind, BinaryOperator, ChainOperator, Literal, Relation, Segment,
    SegmentKind, Special, TypeSpecifier,
};
use crate::error::{CompileError, CompileErrorKind};
use crate::quantity::{Quantity, Unit};
use crate::temporal::CalendarUnit;
use crate::token::{Lexer, Token, TokenKind};

/// The longest expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 10_000;
/// The deepest nesting of parentheses, arguments and operands.
pub const NESTING_DEPTH_MAX: usize = 100;

/// Reads an expression.
pub(crate) fn parse(source: &str) -> Result<Ast, CompileError> {
    if source.len() > EXPRESSION_BYTES_MAX {
        let text = format!("the expression is longer than {EXPRESSION_BYTES_MAX} bytes");
        return Err(CompileError::new(CompileErrorKind::TooLong, EXPRESSION_BYTES_MAX, text));
    }
    let mut lexer = Lexer::new(source);
    let token = lexer.next()?;
    let mut parser = Parser { lexer, token, depth: 0 };
    let ast = parser.expression(0)?;
    if parser.token.kind == TokenKind::End {
        Ok(ast)
    } else {
        Err(parser.unexpected("an operator or the end"))
    }
}

/// An operator between two operands.
enum Infix {
    Binary(BinaryOperator),
    Chain(ChainOperator),
    Is,
    As,
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    token: Token,
    depth: usize,
}

impl Parser<'_> {
    fn advance(&mut self) -> Result<Token, CompileError> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.token.kind, TokenKind::Symbol(found) if found == symbol)
    }

    fn accept(&mut self, symbol: &str) -> Result<bool, CompileError> {
        let found = self.is_symbol(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, symbol: &str) -> Result<(), CompileError> {
        if self.accept(symbol)? { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    fn unexpected(&self, wanted: &str) -> CompileError {
        let found = match &self.token.kind {
            TokenKind::End => "the end".to_owned(),
            TokenKind::Identifier(name) | TokenKind::Delimited(name) => format!("`{name}`"),
            TokenKind::Symbol(symbol) => format!("`{symbol}`"),
            TokenKind::Dollar(name) => format!("`${name}`"),
            TokenKind::Literal(_) => "a literal".to_owned(),
        };
        let text = format!("expected {wanted}, found {found}");
        CompileError::new(CompileErrorKind::Syntax, self.token.offset, text)
    }

    fn node(offset: usize, height: usize, kind: AstKind) -> Result<Ast, CompileError> {
        if height > NESTING_DEPTH_MAX {
            return Err(too_deep(offset));
        }
        Ok(Ast { offset, height, kind })
    }

    /// An expression of operators that bind at least as tightly as `level`.
    fn expression(&mut self, level: u8) -> Result<Ast, CompileError> {
        if self.depth >= NESTING_DEPTH_MAX {
            return Err(too_deep(self.token.offset));
        }
        self.depth += 1;
        let mut left = self.unary()?;
        // The chain that `left` is, if it was written here and not in parentheses.
        let mut open: Option<ChainOperator> = None;
        while let Some((infix, binding)) = self.infix().filter(|(_, binding)| *binding >= level) {
            let offset = self.advance()?.offset;
            left = match infix {
                Infix::Is | Infix::As => self.type_operation(left, &infix)?,
                Infix::Binary(operator) => {
                    let right = self.expression(binding + 1)?;
                    let height = 1 + left.height.max(right.height);
                    let kind = AstKind::Binary(operator, Box::new(left), Box::new(right));
                    Self::node(offset, height, kind)?
                }
                Infix::Chain(operator) => {
                    let right = self.expression(binding + 1)?;
                    chain(offset, operator, open == Some(operator), left, right)?
                }
            };
            open = match infix {
                Infix::Chain(operator) => Some(operator),
                Infix::Binary(_) | Infix::Is | Infix::As => None,
            };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn type_operation(&mut self, left: Ast, infix: &Infix) -> Result<Ast, CompileError> {
        let specifier = self.type_specifier()?;
        let (offset, height) = (left.offset, left.height + 1);
        let left = Box::new(left);
        let kind = match infix {
            Infix::Is => AstKind::Is(left, specifier),
            Infix::As | Infix::Binary(_) | Infix::Chain(_) => AstKind::As(left, specifier),
        };
        Self::node(offset, height, kind)
    }

    fn type_specifier(&mut self) -> Result<TypeSpecifier, CompileError> {
        let offset = self.token.offset;
        let first = self.identifier("a type")?;
        if !self.accept(".")? {
            return Ok(TypeSpecifier { offset, namespace: None, name: first });
        }
        let name = self.identifier("a type")?;
        Ok(TypeSpecifier { offset, namespace: Some(first), name })
    }

    fn identifier(&mut self, wanted: &str) -> Result<String, CompileError> {
        let (TokenKind::Identifier(name) | TokenKind::Delimited(name)) = &self.token.kind else {
            return Err(self.unexpected(wanted));
        };
        let name = name.clone();
        self.advance()?;
        Ok(name)
    }

    /// The identifier at the current token, if it is one and not in backticks.
    fn word(&self) -> Option<&str> {
        if let TokenKind::Identifier(word) = &self.token.kind { Some(word) } else { None }
    }

    /// The infix operator at the current token, and how tightly it binds.
    fn infix(&self) -> Option<(Infix, u8)> {
        let text =
            if let TokenKind::Symbol(symbol) = self.token.kind { symbol } else { self.word()? };
        let relation = |one| Infix::Binary(BinaryOperator::Relation(one));
        let arithmetic = |one| Infix::Binary(BinaryOperator::Arithmetic(one));
        Some(match text {
            "implies" => (relation(Relation::Implies), 1),
            "or" => (Infix::Chain(ChainOperator::Or), 2),
            "xor" => (relation(Relation::Xor), 2),
            "and" => (Infix::Chain(ChainOperator::And), 3),
            "in" => (relation(Relation::In), 4),
            "contains" => (relation(Relation::Contains), 4),
            "=" => (relation(Relation::Equal), 5),
            "~" => (relation(Relation::Equivalent), 5),
            "!=" => (relation(Relation::NotEqual), 5),
            "!~" => (relation(Relation::NotEquivalent), 5),
            ">" => (relation(Relation::Greater), 6),
            ">=" => (relation(Relation::GreaterOrEqual), 6),
            "<" => (relation(Relation::Less), 6),
            "<=" => (relation(Relation::LessOrEqual), 6),
            "|" => (Infix::Chain(ChainOperator::Union), 7),
            "is" => (Infix::Is, 8),
            "as" => (Infix::As, 8),
            "+" => (arithmetic(Arithmetic::Add), 9),
            "-" => (arithmetic(Arithmetic::Subtract), 9),
            "&" => (Infix::Binary(BinaryOperator::Concatenate), 9),
            "*" => (arithmetic(Arithmetic::Multiply), 10),
            "/" => (arithmetic(Arithmetic::Divide), 10),
            "div" => (arithmetic(Arithmetic::Div), 10),
            "mod" => (arithmetic(Arithmetic::Mod), 10),
            _ => return None,
        })
    }

    /// A path with any number of signs before it.
    fn unary(&mut self) -> Result<Ast, CompileError> {
        let mut minus = Vec::new();
        while self.is_symbol("-") || self.is_symbol("+") {
            let negates = self.is_symbol("-");
            let offset = self.advance()?.offset;
            if negates {
                minus.push(offset);
            }
        }
        let mut ast = self.path()?;
        for offset in minus.into_iter().rev() {
            let height = ast.height + 1;
            ast = Self::node(offset, height, AstKind::Negate(Box::new(ast)))?;
        }
        Ok(ast)
    }

    /// A term and what follows it with `.` and `[`.
    fn path(&mut self) -> Result<Ast, CompileError> {
        let offset = self.token.offset;
        let mut height = 0;
        let mut segments = Vec::new();
        let head = self.term()?;
        let head = match head {
            Term::Segment(segment, below) => {
                height = below;
                segments.push(segment);
                None
            }
            Term::Ast(ast) => Some(ast),
        };
        loop {
            let offset = self.token.offset;
            if self.accept(".")? {
                // Here even a keyword can only be a name: `text.div`.
                let (segment, below) = self.invocation()?;
                height = height.max(below);
                segments.push(segment);
            } else if self.accept("[")? {
                let index = self.expression(0)?;
                self.expect("]")?;
                height = height.max(index.height);
                segments.push(Segment { offset, kind: SegmentKind::Index(index) });
            } else {
                break;
            }
        }
        match head {
            Some(ast) if segments.is_empty() => Ok(ast),
            Some(ast) => {
                let height = 1 + height.max(ast.height);
                Self::node(offset, height, AstKind::Path(Some(Box::new(ast)), segments))
            }
            None => Self::node(offset, 1 + height, AstKind::Path(None, segments)),
        }
    }

    fn term(&mut self) -> Result<Term, CompileError> {
        let offset = self.token.offset;
        if self.accept("(")? {
            let inner = self.expression(0)?;
            self.expect(")")?;
            return Ok(Term::Ast(inner));
        }
        if self.accept("{")? {
            self.expect("}")?;
            return Self::node(offset, 1, AstKind::Empty).map(Term::Ast);
        }
        if self.accept("%")? {
            let name = if let TokenKind::Literal(Literal::String(name)) = &self.token.kind {
                let name = name.clone();
                self.advance()?;
                name
            } else {
                self.identifier("the name of a variable")?
            };
            return Self::node(offset, 1, AstKind::External(name)).map(Term::Ast);
        }
        match self.literal()? {
            Some(literal) => Self::node(offset, 1, AstKind::Literal(literal)).map(Term::Ast),
            None => {
                if matches!(self.word(), Some("and" | "or" | "xor" | "implies" | "div" | "mod")) {
                    return Err(self.unexpected("an operand"));
                }
                self.invocation().map(|(segment, height)| Term::Segment(segment, height))
            }
        }
    }

    fn literal(&mut self) -> Result<Option<Literal>, CompileError> {
        let literal = match (&self.token.kind, self.word()) {
            (TokenKind::Literal(literal), _) => literal.clone(),
            (_, Some("true")) => Literal::Boolean(true),
            (_, Some("false")) => Literal::Boolean(false),
            _ => return Ok(None),
        };
        self.advance()?;
        let value = if let Literal::Integer(value) = literal {
            value.into()
        } else if let Literal::Long(value) = literal {
            value.into()
        } else if let Literal::Decimal(value) = literal {
            value
        } else {
            return Ok(Some(literal));
        };
        let unit = if let TokenKind::Literal(Literal::String(code)) = &self.token.kind {
            Some(Unit::quoted(code))
        } else {
            self.word().and_then(CalendarUnit::parse).map(Unit::Calendar)
        };
        let Some(unit) = unit else { return Ok(Some(literal)) };
        self.advance()?;
        Ok(Some(Literal::Quantity(Quantity { value, unit })))
    }

    /// A name, a function call or `$this`, and the height of what is below it.
    fn invocation(&mut self) -> Result<(Segment, usize), CompileError> {
        let offset = self.token.offset;
        if let TokenKind::Dollar(name) = &self.token.kind {
            let special = match name.as_str() {
                "this" => Special::This,
                "index" => Special::Index,
                "total" => Special::Total,
                _ => return Err(self.unexpected("`$this`, `$index` or `$total`")),
            };
            self.advance()?;
            return Ok((Segment { offset, kind: SegmentKind::Special(special) }, 0));
        }
        let name = self.identifier("an operand")?;
        if !self.accept("(")? {
            return Ok((Segment { offset, kind: SegmentKind::Name(name) }, 0));
        }
        let mut arguments = Vec::new();
        if !self.is_symbol(")") {
            loop {
                arguments.push(self.expression(0)?);
                if !self.accept(",")? {
                    break;
                }
            }
        }
        self.expect(")")?;
        let height = arguments.iter().map(|one| one.height).max().unwrap_or(0);
        Ok((Segment { offset, kind: SegmentKind::Call(name, arguments) }, height))
    }
}

/// What a path begins with.
enum Term {
    Ast(Ast),
    Segment(Segment, usize),
}

fn too_deep(offset: usize) -> CompileError {
    let text = format!("the expression is nested deeper than {NESTING_DEPTH_MAX} levels");
    CompileError::new(CompileErrorKind::TooDeep, offset, text)
}

/// Adds an operand to a chain, or begins one.
fn chain(
    offset: usize,
    operator: ChainOperator,
    is_open: bool,
    left: Ast,
    right: Ast,
) -> Result<Ast, CompileError> {
    let (offset, height, operands) = match left {
        Ast { offset, height, kind: AstKind::Chain(_, mut operands) } if is_open => {
            let height = height.max(right.height + 1);
            operands.push(right);
            (offset, height, operands)
        }
        left => (offset, 1 + left.height.max(right.height), vec![left, right]),
    };
    Parser::node(offset, height, AstKind::Chain(operator, operands))
}

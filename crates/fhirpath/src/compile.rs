//! The compiler: from a syntax tree to a program whose names are resolved.
//!
//! The static type of each part is followed as far as it is known; knowing it finds mistakes and saves
//! look-ups, but never changes what is computed. Tests: `expression/tests.rs`.

mod call;
mod name;
mod program;
mod result;
mod statics;

use std::collections::BTreeSet;

use cresset_definitions::Definitions;
use smallvec::smallvec;

use crate::ast::{
    Arithmetic, Ast, AstKind, BinaryOperator, ChainOperator, Literal, Segment, SegmentKind,
    Special, TypeSpecifier,
};
use crate::direct::Direct;
use crate::error::{CompileError, CompileErrorKind};
use crate::function::TypeOperation;
use crate::members::needed;
use crate::parser::parse;
use crate::scope::{Mode, Scope};
use crate::types::{ItemType, SystemType, TypeTest};

pub(crate) use program::{
    Expr, External, NameStep, Operands, Program, Step, StepKind, Target, TargetKind,
};
use statics::Static;

/// Compiles an expression.
pub(crate) fn compile(source: &str, scope: &Scope<'_>) -> Result<Program, CompileError> {
    let ast = parse(source)?;
    let of_type = |name: &str| {
        ItemType::named(scope.definitions, name).ok_or_else(|| {
            let text = format!("the type of the focus, {name}, is not defined");
            CompileError::new(CompileErrorKind::UnknownType, 0, text)
        })
    };
    let root = match (scope.root, scope.roots) {
        (Some(name), _) => Static::of(of_type(name)?),
        (None, []) => Static::any(),
        (None, names) => Static {
            types: Some(names.iter().map(|name| of_type(name)).collect::<Result<_, _>>()?),
            ordered: true,
        },
    };
    let mut compiler = Compiler {
        scope,
        root: root.clone(),
        variables: Vec::new(),
        slots: 0,
        lambda: false,
        resolves: false,
        externals: BTreeSet::new(),
    };
    let (expr, found) = compiler.expression(&ast, &root)?;
    let never_boolean = found.excludes(SystemType::Boolean).then(|| found.names());
    let Compiler { slots, resolves, externals, .. } = compiler;
    let root = scope.root.and_then(|name| scope.definitions.type_named(name));
    let needed = root.and_then(|root| needed(scope.definitions, &expr, root));
    let types = found.fhir_types();
    let direct = Direct::of(&expr, root);
    Ok(Program {
        definitions: scope.definitions,
        root,
        direct,
        is_lenient: scope.mode == Mode::Lenient,
        slots,
        expr,
        never_boolean,
        types,
        needed,
        resolves,
        externals,
    })
}

/// A variable that `defineVariable` defines, visible to the end of its path.
struct Defined {
    name: String,
    slot: usize,
    statics: Static,
}

struct Compiler<'s> {
    scope: &'s Scope<'s>,
    root: Static,
    variables: Vec<Defined>,
    slots: usize,
    /// Whether `$index` means something.
    lambda: bool,
    /// Whether there is a `resolve()` so far.
    resolves: bool,
    /// The variables of the scope that it asks for so far.
    externals: BTreeSet<String>,
}

type Compiled = Result<(Expr, Static), CompileError>;

impl Compiler<'_> {
    fn definitions(&self) -> &'static Definitions {
        self.scope.definitions
    }

    fn is_lenient(&self) -> bool {
        self.scope.mode == Mode::Lenient
    }

    fn expression(&mut self, ast: &Ast, focus: &Static) -> Compiled {
        let boolean = || Static::system(SystemType::Boolean);
        match &ast.kind {
            AstKind::Empty => Ok((Expr::Empty, Static::nothing())),
            AstKind::Literal(literal) => {
                let statics = Static::system(literal_type(literal));
                Ok((Expr::Literal(literal.clone()), statics))
            }
            AstKind::External(name) => self.external(name, ast.offset),
            AstKind::Path(head, segments) => {
                let visible = self.variables.len();
                let compiled = self.path(head.as_deref(), segments, focus);
                self.variables.truncate(visible);
                compiled
            }
            AstKind::Negate(operand) => {
                let (expr, statics) = self.expression(operand, focus)?;
                Ok((Expr::Negate(Box::new(expr), ast.offset), statics))
            }
            AstKind::Binary(operator, left, right) => {
                self.binary(ast.offset, *operator, left, right, focus)
            }
            AstKind::Chain(ChainOperator::Union, operands) => {
                self.union(ast.offset, operands, focus)
            }
            AstKind::Chain(operator, operands) => {
                let operands = self.operands(operands, focus)?;
                let expr = match operator {
                    ChainOperator::And => Expr::And(operands, ast.offset),
                    ChainOperator::Or | ChainOperator::Union => Expr::Or(operands, ast.offset),
                };
                Ok((expr, boolean()))
            }
            AstKind::Is(operand, specifier) => {
                self.type_operator(TypeOperation::Is, operand, specifier, focus)
            }
            AstKind::As(operand, specifier) => {
                self.type_operator(TypeOperation::As, operand, specifier, focus)
            }
        }
    }

    fn operands(&mut self, operands: &[Ast], focus: &Static) -> Result<Box<[Expr]>, CompileError> {
        operands.iter().map(|one| Ok(self.expression(one, focus)?.0)).collect()
    }

    fn union(&mut self, offset: usize, operands: &[Ast], focus: &Static) -> Compiled {
        let mut all = Static::nothing();
        let mut kept = Vec::new();
        for operand in operands {
            let (expr, statics) = self.expression(operand, focus)?;
            // Search parameters of many types are unions of which one branch fits each type.
            if self.is_lenient() && statics.is_nothing() {
                continue;
            }
            all.add(&statics);
            kept.push(expr);
        }
        let expr = match kept.len() {
            0 => Expr::Empty,
            1 if self.is_lenient() => kept.swap_remove(0),
            _ => Expr::Union(kept.into(), offset),
        };
        Ok((expr, all))
    }

    fn binary(
        &mut self,
        offset: usize,
        operator: BinaryOperator,
        left: &Ast,
        right: &Ast,
        focus: &Static,
    ) -> Compiled {
        let (left, left_statics) = self.expression(left, focus)?;
        let (right, right_statics) = self.expression(right, focus)?;
        if !self.is_lenient() {
            check_operands(operator, &left_statics, &right_statics, offset)?;
        }
        let operands = Box::new(Operands { left, right, offset });
        Ok(match operator {
            BinaryOperator::Arithmetic(operator) => {
                let statics = arithmetic_statics(operator, &left_statics, &right_statics);
                (Expr::Arithmetic(operator, operands), statics)
            }
            BinaryOperator::Concatenate => {
                (Expr::Concatenate(operands), Static::system(SystemType::String))
            }
            BinaryOperator::Relation(relation) => {
                (Expr::Relation(relation, operands), Static::system(SystemType::Boolean))
            }
        })
    }

    fn type_operator(
        &mut self,
        operation: TypeOperation,
        operand: &Ast,
        specifier: &TypeSpecifier,
        focus: &Static,
    ) -> Compiled {
        let test = self.type_test(specifier)?;
        let (head, statics) = self.expression(operand, focus)?;
        let mut path = Path::new(head, statics);
        self.push_type_step(&mut path, operation, test, specifier.offset);
        Ok(path.finish())
    }

    /// Adds a type operation; one on the result of `resolve()` is answered from the reference.
    fn push_type_step(
        &self,
        path: &mut Path,
        operation: TypeOperation,
        test: TypeTest,
        offset: usize,
    ) {
        path.statics = match operation {
            TypeOperation::Is => Static::system(SystemType::Boolean),
            TypeOperation::As | TypeOperation::OfType if path.statics.is_nothing() => {
                Static::nothing()
            }
            TypeOperation::As | TypeOperation::OfType | TypeOperation::Head => {
                Static { types: Some(test.types().collect()), ordered: path.statics.ordered }
            }
        };
        if test.is_resource()
            && let Some(step) = path.steps.last_mut()
            && matches!(step.kind, StepKind::Resolve(None))
        {
            if operation == TypeOperation::Is {
                step.kind = StepKind::ResolveIs { test, look_up: !self.is_lenient() };
                return;
            }
            step.kind = StepKind::Resolve(Some(test));
        }
        let strict = operation == TypeOperation::As && !self.is_lenient();
        if operation != TypeOperation::Is && !strict {
            path.narrow(&test);
        }
        path.push(offset, StepKind::Type { operation, test, strict });
    }

    fn type_test(&self, specifier: &TypeSpecifier) -> Result<TypeTest, CompileError> {
        TypeTest::new(self.definitions(), specifier.namespace.as_deref(), &specifier.name)
            .ok_or_else(|| {
                let version = self.definitions().version();
                let text =
                    format!("the type `{specifier}` is not defined in FHIR {}", version.full());
                CompileError::new(CompileErrorKind::UnknownType, specifier.offset, text)
            })
    }

    fn path(&mut self, head: Option<&Ast>, segments: &[Segment], focus: &Static) -> Compiled {
        let mut path = match head {
            Some(ast) => {
                let (expr, statics) = self.expression(ast, focus)?;
                Path::new(expr, statics)
            }
            None => Path::new(Expr::Focus, focus.clone()),
        };
        for (index, segment) in segments.iter().enumerate() {
            let is_head = index == 0 && head.is_none();
            match &segment.kind {
                SegmentKind::Special(special) => {
                    self.special(&mut path, *special, segment.offset, is_head)?;
                }
                SegmentKind::Name(name) => self.name(&mut path, name, segment.offset, is_head)?,
                SegmentKind::Index(index) => {
                    self.check_ordered(&path, "an indexer", segment.offset)?;
                    let (index, _) = self.expression(index, focus)?;
                    path.push(segment.offset, StepKind::Index(index));
                }
                SegmentKind::Call(name, arguments) => {
                    self.call(&mut path, name, arguments, segment.offset, focus)?;
                }
            }
        }
        Ok(path.finish())
    }

    fn special(
        &self,
        path: &mut Path,
        special: Special,
        offset: usize,
        is_head: bool,
    ) -> Result<(), CompileError> {
        let (expr, statics) = match special {
            // `$this` is the focus at the start of a path, and says nothing inside of one.
            Special::This => return Ok(()),
            Special::Index if self.lambda => (Expr::Index, Static::system(SystemType::Integer)),
            Special::Total if self.lambda => (Expr::Total, Static::any()),
            Special::Index | Special::Total => {
                let text =
                    "`$index` and `$total` mean something only inside of a function's criteria";
                return Err(CompileError::new(CompileErrorKind::UnknownVariable, offset, text));
            }
        };
        if !is_head {
            let text = "`$index` and `$total` can only begin a path";
            return Err(CompileError::new(CompileErrorKind::Syntax, offset, text));
        }
        *path = Path::new(expr, statics);
        Ok(())
    }

    fn external(&mut self, name: &str, offset: usize) -> Compiled {
        if let Some(defined) = self.variables.iter().rev().find(|one| one.name == name) {
            return Ok((Expr::Slot(defined.slot), defined.statics.clone()));
        }
        if let Some((_, type_name)) = self.scope.variables.iter().find(|(one, _)| *one == name) {
            let item_type = type_name.and_then(|one| ItemType::named(self.definitions(), one));
            let definition = item_type.and_then(|one| match one {
                ItemType::Fhir(definition) => Some(definition),
                ItemType::System(_) => None,
            });
            let statics = item_type.map_or_else(Static::any, Static::of);
            self.externals.insert(name.to_owned());
            let external = External { name: name.to_owned(), definition };
            return Ok((Expr::External(Box::new(external)), statics));
        }
        if let Some(url) = constant(name) {
            let literal = Expr::Literal(Literal::String(url));
            return Ok((literal, Static::system(SystemType::String)));
        }
        match name {
            "context" | "resource" | "rootResource" => Ok((Expr::Context, self.root.clone())),
            "terminologies" | "factory" | "server" => {
                let text =
                    format!("`%{name}` is not available: no service is called from FHIRPath");
                Err(CompileError::new(CompileErrorKind::Unsupported, offset, text))
            }
            _ => {
                let mut known: Vec<_> = self.scope.variables.iter().map(|(one, _)| *one).collect();
                known.extend(self.variables.iter().map(|one| one.name.as_str()));
                known.push("resource");
                let text = format!(
                    "the variable `%{name}` is not defined here; known are %{}",
                    known.join(", %")
                );
                Err(CompileError::new(CompileErrorKind::UnknownVariable, offset, text))
            }
        }
    }

    /// Refuses to pick from a collection whose order nobody defines.
    fn check_ordered(&self, path: &Path, what: &str, offset: usize) -> Result<(), CompileError> {
        if path.statics.ordered || self.is_lenient() {
            return Ok(());
        }
        let text = format!("{what} cannot pick by position: children have no defined order");
        Err(CompileError::new(CompileErrorKind::Unsupported, offset, text))
    }
}

/// The strings that FHIR gives names.
fn constant(name: &str) -> Option<String> {
    let url = match name {
        "sct" => "http://snomed.info/sct",
        "loinc" => "http://loinc.org",
        "ucum" => "http://unitsofmeasure.org",
        _ => {
            return if let Some(id) = name.strip_prefix("vs-") {
                Some(format!("http://hl7.org/fhir/ValueSet/{id}"))
            } else {
                let id = name.strip_prefix("ext-")?;
                Some(format!("http://hl7.org/fhir/StructureDefinition/{id}"))
            };
        }
    };
    Some(url.to_owned())
}

fn literal_type(literal: &Literal) -> SystemType {
    match literal {
        Literal::Boolean(_) => SystemType::Boolean,
        Literal::Date(_) => SystemType::Date,
        Literal::DateTime(_) => SystemType::DateTime,
        Literal::Decimal(_) => SystemType::Decimal,
        Literal::Integer(_) => SystemType::Integer,
        Literal::Long(_) => SystemType::Long,
        Literal::Quantity(_) => SystemType::Quantity,
        Literal::String(_) => SystemType::String,
        Literal::Time(_) => SystemType::Time,
    }
}

/// The type of an arithmetic result, where both operands' types are known.
/// Refuses operands that an operator can never take, whatever they hold.
fn check_operands(
    operator: BinaryOperator,
    left: &Static,
    right: &Static,
    offset: usize,
) -> Result<(), CompileError> {
    let (Some(a), Some(b)) = (left.value_type(), right.value_type()) else { return Ok(()) };
    if a == SystemType::Any || b == SystemType::Any {
        return Ok(());
    }
    let text = match operator {
        BinaryOperator::Arithmetic(operator) if !has_arithmetic(operator, a, b) => {
            "arithmetic is not defined for"
        }
        BinaryOperator::Relation(relation) if relation.is_order() && !have_order(a, b) => {
            "there is no order between"
        }
        BinaryOperator::Arithmetic(_)
        | BinaryOperator::Concatenate
        | BinaryOperator::Relation(_) => return Ok(()),
    };
    let text = format!("{text} {} and {}", left.names(), right.names());
    Err(CompileError::new(CompileErrorKind::WrongType, offset, text))
}

const fn is_number(one: SystemType) -> bool {
    matches!(
        one,
        SystemType::Decimal | SystemType::Integer | SystemType::Long | SystemType::Quantity
    )
}

const fn is_date(one: SystemType) -> bool {
    matches!(one, SystemType::Date | SystemType::DateTime)
}

fn have_order(a: SystemType, b: SystemType) -> bool {
    let alike = a == b && matches!(a, SystemType::String | SystemType::Time);
    alike || (is_number(a) && is_number(b)) || (is_date(a) && is_date(b))
}

fn has_arithmetic(operator: Arithmetic, a: SystemType, b: SystemType) -> bool {
    let shifted = is_date(a) || a == SystemType::Time;
    match operator {
        _ if is_number(a) && is_number(b) => true,
        Arithmetic::Add if a == SystemType::String => b == SystemType::String,
        Arithmetic::Add | Arithmetic::Subtract => shifted && b == SystemType::Quantity,
        Arithmetic::Div | Arithmetic::Divide | Arithmetic::Mod | Arithmetic::Multiply => false,
    }
}

fn arithmetic_statics(operator: Arithmetic, left: &Static, right: &Static) -> Static {
    let (Some(left), Some(right)) = (left.value_type(), right.value_type()) else {
        return Static::any();
    };
    let system = match (operator, left, right) {
        (_, SystemType::Quantity, _) | (_, _, SystemType::Quantity) => return Static::any(),
        (Arithmetic::Divide, _, _) => SystemType::Decimal,
        (_, one, other) if one == other => one,
        _ => SystemType::Decimal,
    };
    Static { types: Some(smallvec![ItemType::System(system)]), ordered: true }
}

/// A path under construction.
struct Path {
    head: Expr,
    steps: Vec<Step>,
    statics: Static,
}

impl Path {
    fn new(head: Expr, statics: Static) -> Self {
        if let Expr::Chain(head, steps) = head {
            return Self { head: *head, steps: steps.into_vec(), statics };
        }
        Self { head, steps: Vec::new(), statics }
    }

    fn push(&mut self, offset: usize, kind: StepKind) {
        self.steps.push(Step { offset, kind, pattern: None });
    }

    fn push_name(&mut self, name: NameStep) {
        match self.steps.last_mut() {
            Some(Step { kind: StepKind::Names(names), .. }) => names.push(name),
            _ => self.push(name.offset, StepKind::Names(vec![name])),
        }
    }

    /// Forgets the types of a choice that are dropped right away.
    fn narrow(&mut self, test: &TypeTest) {
        let Some(Step { kind: StepKind::Names(names), .. }) = self.steps.last_mut() else { return };
        for target in names.last_mut().into_iter().flat_map(|one| &mut one.targets) {
            if let TargetKind::Choice(types) = &mut target.kind {
                types.retain(|(_, definition)| test.selects(ItemType::Fhir(definition)));
            }
        }
    }

    fn finish(self) -> (Expr, Static) {
        if self.steps.is_empty() {
            return (self.head, self.statics);
        }
        (Expr::Chain(Box::new(self.head), self.steps.into()), self.statics)
    }
}

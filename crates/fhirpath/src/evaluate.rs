//! The evaluator: runs a program over a context, with a budget of steps.
//!
//! Invariants: its recursion is bounded by the program's nesting; every item that is made and every
//! comparison costs a step. Tests: `expression/tests.rs`.

mod arithmetic;
mod budget;
mod contained;
mod convert;
mod criteria;
mod encoding;
mod math;
mod navigate;
mod operator;
mod path;
mod sets;
mod strings;

use std::borrow::Cow;

use cresset_definitions::{Definitions, TypeDefinition};
use serde_json::Value;

use crate::ast::Literal;
use crate::collection::{Collection, truth};
use crate::compile::{Expr, External, Program, Step, StepKind};
use crate::error::EvaluationError;
use crate::expression::Context;
use crate::function::{Function, TypeOperation};
use crate::item::{Item, Node, resource_definition};
use crate::types::{ItemType, TypeTest};

use path::passes;

pub(crate) use budget::Budget;
pub use budget::{COLLECTION_ITEMS_MAX, STRING_BYTES_MAX};
pub(crate) use strings::pattern;

type Result<T, E = EvaluationError> = std::result::Result<T, E>;

/// Runs a program; what it yields is added to `out`, also where it fails after a part of it.
pub(crate) fn evaluate<'a>(
    program: &'a Program,
    context: &Context<'a>,
    out: &mut Collection<'a>,
) -> Result<()> {
    if program.direct.as_ref().is_some_and(|direct| direct.evaluate(context, out)) {
        return Ok(());
    }
    let mut evaluator = Evaluator {
        context,
        definitions: program.definitions,
        budget: Budget::new(context.step_max),
        missing: Vec::new(),
        resolved: Vec::new(),
        slots: Vec::new(),
        root: None,
    };
    if program.slots > 0 {
        evaluator.slots.resize_with(program.slots, Collection::new);
    }
    evaluator.root = evaluator.focus(program.root);
    let root = evaluator.root.map(Item::Node);
    let frame = Frame { focus: root.as_slice(), index: None, total: None };
    let outcome = if let (Expr::Union(operands, offset), true) = (&program.expr, program.is_lenient)
    {
        evaluator.all(operands, *offset, &frame, out)
    } else {
        evaluator.expr(&program.expr, &frame, out)
    };
    if !evaluator.missing.is_empty() {
        // Whatever came out without the resources, even an error, means nothing.
        return Err(EvaluationError::Missing(evaluator.missing));
    }
    outcome
}

/// What an expression is evaluated on.
#[derive(Clone, Copy)]
struct Frame<'f, 'a> {
    focus: &'f [Item<'a>],
    index: Option<usize>,
    total: Option<&'f Collection<'a>>,
}

struct Evaluator<'e, 'a> {
    context: &'e Context<'a>,
    definitions: &'static Definitions,
    budget: Budget,
    /// References that the resolver could not answer.
    missing: Vec<String>,
    /// What the resolver found, each of which may contain resources of its own.
    resolved: Vec<&'a Value>,
    /// The variables that the expression defines.
    slots: Vec<Collection<'a>>,
    /// The context's focus.
    root: Option<Node<'a>>,
}

impl<'a> Evaluator<'_, 'a> {
    /// The focus with its type; nothing if the type is not known at all.
    fn focus(&self, root: Option<&'static TypeDefinition>) -> Option<Node<'a>> {
        let value = self.context.focus?;
        if let Some(definition) = self.context.definition {
            return Some(Node::new(Some(value), None, definition));
        }
        // A concrete type that the expression was compiled for needs no look-up.
        if let Some(root) = root.filter(|root| root.name == self.context.focus_type)
            && !root.is_abstract
        {
            return Some(Node::new(Some(value), None, root));
        }
        let declared = self.definitions.type_named(self.context.focus_type);
        self.value_node(value, declared)
    }

    /// A value from outside as a node: a resource, an element of a declared type, or a scalar.
    fn value_node(
        &self,
        value: &'a Value,
        declared: Option<&'static TypeDefinition>,
    ) -> Option<Node<'a>> {
        let fallback = declared.or_else(|| {
            self.definitions.type_named(match value {
                Value::Null | Value::Array(_) => return None,
                Value::Bool(_) => "boolean",
                Value::Number(_) => "decimal",
                Value::String(_) => "string",
                Value::Object(_) => "Element",
            })
        })?;
        let definition = resource_definition(self.definitions, value, fallback);
        Some(Node::new(Some(value), None, definition))
    }

    fn expr(
        &mut self,
        expr: &'a Expr,
        frame: &Frame<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        self.budget.spend(1)?;
        match expr {
            Expr::Chain(head, steps) => return self.chain(head, steps, frame, out),
            Expr::Focus => out.extend(frame.focus.iter().cloned()),
            Expr::Literal(literal) => out.push(literal_item(literal)),
            Expr::Empty => {}
            Expr::Context => out.extend(self.root.map(Item::Node)),
            Expr::External(external) => self.external(external, out)?,
            Expr::Slot(slot) => out.extend(self.slots[*slot].iter().cloned()),
            Expr::Index => {
                out.extend(frame.index.and_then(|one| i32::try_from(one).ok()).map(Item::Integer));
            }
            Expr::Total => out.extend(frame.total.into_iter().flatten().cloned()),
            Expr::Union(operands, offset) => return self.union(operands, *offset, frame, out),
            Expr::And(operands, offset) => {
                out.extend(self.junction(operands, *offset, frame, false)?.map(Item::Boolean));
            }
            Expr::Or(operands, offset) => {
                out.extend(self.junction(operands, *offset, frame, true)?.map(Item::Boolean));
            }
            Expr::Arithmetic(operator, operands) => {
                return self.arithmetic(*operator, operands, frame, out);
            }
            Expr::Concatenate(operands) => return self.concatenate(operands, frame, out),
            Expr::Relation(relation, operands) => {
                out.extend(self.relation(*relation, operands, frame)?.map(Item::Boolean));
            }
            Expr::Negate(operand, offset) => return self.negate(operand, *offset, frame, out),
        }
        Ok(())
    }

    /// The value of an expression as a new collection.
    fn collect(&mut self, expr: &'a Expr, frame: &Frame<'_, 'a>) -> Result<Collection<'a>> {
        let mut out = Collection::new();
        self.expr(expr, frame, &mut out)?;
        Ok(out)
    }

    /// The truth of an expression.
    fn condition(
        &mut self,
        expr: &'a Expr,
        frame: &Frame<'_, 'a>,
        what: &'static str,
        offset: usize,
    ) -> Result<Option<bool>> {
        match expr {
            Expr::Relation(relation, operands) => return self.relation(*relation, operands, frame),
            Expr::And(operands, offset) => return self.junction(operands, *offset, frame, false),
            Expr::Or(operands, offset) => return self.junction(operands, *offset, frame, true),
            Expr::Arithmetic(..)
            | Expr::Chain(..)
            | Expr::Concatenate(_)
            | Expr::Context
            | Expr::Empty
            | Expr::External(_)
            | Expr::Focus
            | Expr::Index
            | Expr::Literal(_)
            | Expr::Negate(..)
            | Expr::Slot(_)
            | Expr::Total
            | Expr::Union(..) => {}
        }
        let mut items = Collection::new();
        self.expr(expr, frame, &mut items)?;
        truth(&items).ok_or(EvaluationError::Singleton { what, offset })
    }

    fn external(&self, external: &External, out: &mut Collection<'a>) -> Result<()> {
        let mut variables = self.context.variables.iter();
        let Some((_, value)) = variables.find(|(name, _)| *name == external.name) else {
            return Err(EvaluationError::Variable(external.name.clone()));
        };
        if let Some(value) = value {
            out.extend(self.value_node(value, external.definition).map(Item::Node));
        }
        Ok(())
    }

    /// `and` and `or` of any number of operands; `decisive` is the value that settles it.
    fn junction(
        &mut self,
        operands: &'a [Expr],
        offset: usize,
        frame: &Frame<'_, 'a>,
        decisive: bool,
    ) -> Result<Option<bool>> {
        let what = if decisive { "`or`" } else { "`and`" };
        let mut unknown = false;
        for operand in operands {
            match self.condition(operand, frame, what, offset)? {
                Some(value) if value == decisive => return Ok(Some(decisive)),
                Some(_) => {}
                None => unknown = true,
            }
        }
        Ok((!unknown).then_some(!decisive))
    }

    fn step(
        &mut self,
        step: &'a Step,
        input: &[Item<'a>],
        frame: &Frame<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        self.budget.spend(1)?;
        let before = out.len();
        match &step.kind {
            StepKind::Type { operation, test, strict } => {
                self.type_step(*operation, test, *strict, step.offset, input, out)?;
            }
            StepKind::Call(function, arguments) => {
                self.call(*function, arguments, step, input, frame, out)?;
            }
            StepKind::Index(index) => {
                let index = self.collect(index, frame)?;
                let position = integer_argument(&index, "an index", step.offset)?;
                let item = position.and_then(|one| input.get(usize::try_from(one).ok()?));
                out.extend(item.cloned());
            }
            StepKind::Define(slot, value) => {
                let value = match value {
                    Some(expr) => self.collect(expr, &Frame { focus: input, ..*frame })?,
                    None => input.iter().cloned().collect(),
                };
                self.slots[*slot] = value;
                out.extend(input.iter().cloned());
            }
            StepKind::Resolve(wanted) => {
                for item in input {
                    self.resolve(item, wanted.as_ref(), out)?;
                }
            }
            StepKind::ResolveIs { test, look_up } => {
                self.resolve_is(test, *look_up, input, step.offset, out)?;
            }
            // These take each item alone.
            StepKind::Names(_) | StepKind::WhereResolveIs { .. } => {
                for item in input {
                    self.flow(item, std::slice::from_ref(step), out)?;
                }
            }
            StepKind::Sort(keys) => self.sort(keys, step.offset, input, frame, out)?,
        }
        self.budget.made(out.len() - before, out.len(), step.offset)
    }

    fn type_step(
        &self,
        operation: TypeOperation,
        test: &TypeTest,
        strict: bool,
        offset: usize,
        input: &[Item<'a>],
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let is_single = operation == TypeOperation::Is || strict;
        if is_single && input.len() > 1 {
            let what = if operation == TypeOperation::Is { "`is`" } else { "`as`" };
            return Err(EvaluationError::Singleton { what, offset });
        }
        for item in input {
            if operation == TypeOperation::Is {
                out.push(Item::Boolean(test.includes(item.item_type())));
            } else if passes(operation, test, item) {
                out.push(item.clone());
            }
        }
        Ok(())
    }

    fn call(
        &mut self,
        function: Function,
        arguments: &'a [Expr],
        step: &'a Step,
        input: &[Item<'a>],
        frame: &Frame<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let call = Call { function, arguments, step, input, frame };
        match function {
            Function::Clock(clock) => {
                out.extend(self.clock(clock));
                Ok(())
            }
            Function::Convert(target) => self.convert(target, &call, out),
            Function::ConvertsTo(target) => self.converts_to(target, &call, out),
            Function::Criteria(criteria) => self.criteria(criteria, &call, out),
            Function::Math(math) => self.math(math, &call, out),
            Function::Navigation(navigation) => self.navigation(navigation, &call, out),
            Function::Set(set) => self.set(set, &call, out),
            Function::SetPair(pair) => self.set_pair(pair, &call, out),
            Function::Text(text) => self.text(text, &call, out),
            Function::TextPair(pair) => self.text_pair(pair, &call, out),
            // These have steps of their own.
            Function::DefineVariable | Function::Resolve | Function::Sort | Function::Type(_) => {
                Ok(())
            }
        }
    }
}

/// A function call at work.
struct Call<'c, 'a> {
    function: Function,
    arguments: &'a [Expr],
    step: &'a Step,
    input: &'c [Item<'a>],
    frame: &'c Frame<'c, 'a>,
}

impl<'a> Call<'_, 'a> {
    /// The function's name, for messages.
    fn name(&self) -> &'static str {
        let mut all = crate::function::SIGNATURES.iter();
        all.find(|one| one.function == self.function).map_or("a function", |one| one.name)
    }

    /// The single item it is called on, if any.
    fn single(&self) -> Result<Option<&Item<'a>>> {
        single(self.input, self.name(), self.step.offset)
    }
}

/// The single item of a collection, if any.
fn single<'i, 'a>(
    items: &'i [Item<'a>],
    what: &'static str,
    offset: usize,
) -> Result<Option<&'i Item<'a>>> {
    match items {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(EvaluationError::Singleton { what, offset }),
    }
}

/// A single integer, if any.
fn integer_argument(items: &[Item<'_>], what: &'static str, offset: usize) -> Result<Option<i64>> {
    use crate::item::Scalar;
    let Some(item) = single(items, what, offset)? else { return Ok(None) };
    match item.scalar() {
        Some(Scalar::Integer(value) | Scalar::Long(value)) => Ok(Some(value)),
        Some(_) | None => {
            Err(wrong_type(&format!("{what} must be an integer"), item.item_type(), offset))
        }
    }
}

fn wrong_type(wanted: &str, found: ItemType, offset: usize) -> EvaluationError {
    EvaluationError::Type { text: format!("{wanted}, not {}", found.name()), offset }
}

fn literal_item(literal: &Literal) -> Item<'_> {
    match literal {
        Literal::Boolean(value) => Item::Boolean(*value),
        Literal::Date(value) => Item::Date(*value),
        Literal::DateTime(value) => Item::DateTime(*value),
        Literal::Decimal(value) => Item::Decimal(*value),
        Literal::Integer(value) => Item::Integer(*value),
        Literal::Long(value) => Item::Long(*value),
        Literal::Quantity(value) => Item::Quantity(Box::new(value.clone())),
        Literal::String(text) => Item::String(Cow::Borrowed(text)),
        Literal::Time(value) => Item::Time(*value),
    }
}

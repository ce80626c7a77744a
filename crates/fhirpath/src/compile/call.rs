//! Compiling function calls.

use super::statics::Static;
use super::{Compiler, Defined, Path, StepKind};
use crate::ast::{Ast, AstKind, Literal, SegmentKind, TypeSpecifier};
use crate::error::{CompileError, CompileErrorKind};
use crate::evaluate::pattern;
use crate::function::{self, Criteria, Function, Set, Signature, Text};
use crate::types::{ItemType, SystemType};

use super::{Expr, program::Step};

/// Names of variables that an expression cannot define anew.
const RESERVED: [&str; 6] = ["context", "resource", "rootResource", "ucum", "sct", "loinc"];

impl Compiler<'_> {
    pub(super) fn call(
        &mut self,
        path: &mut Path,
        name: &str,
        arguments: &[Ast],
        offset: usize,
        focus: &Static,
    ) -> Result<(), CompileError> {
        let signature = signature(name, arguments.len(), offset)?;
        let function = signature.function;
        self.check_input(path, signature, offset)?;
        match function {
            Function::Type(operation) => {
                let test = self.type_test(&type_argument(&arguments[0])?)?;
                self.push_type_step(path, operation, test, offset);
                return Ok(());
            }
            Function::Resolve => {
                path.statics = Static::of(self.fhir_type("Resource", offset)?);
                path.push(offset, StepKind::Resolve(None));
                self.resolves = true;
                return Ok(());
            }
            Function::DefineVariable => return self.define(path, arguments, offset),
            Function::Sort => return self.sort(path, arguments, offset),
            Function::Clock(_) if !self.scope.clock => {
                let text = format!("`{name}()` is not available here: there is no clock");
                return Err(CompileError::new(CompileErrorKind::Unsupported, offset, text));
            }
            Function::Clock(_)
            | Function::Convert(_)
            | Function::ConvertsTo(_)
            | Function::Criteria(_)
            | Function::Math(_)
            | Function::Navigation(_)
            | Function::Set(_)
            | Function::SetPair(_)
            | Function::Text(_)
            | Function::TextPair(_) => {}
        }
        let (compiled, statics) = self.arguments(path, function, arguments, focus)?;
        if let (Function::Criteria(Criteria::Where), [Expr::Chain(head, steps)]) =
            (function, compiled.as_slice())
            && let (Expr::Focus, [step]) = (&**head, &**steps)
            && let StepKind::ResolveIs { test, look_up } = step.kind
        {
            path.push(step.offset, StepKind::WhereResolveIs { test, look_up });
            return Ok(());
        }
        let pattern = literal_pattern(function, arguments)?;
        path.statics = self.result(function, &path.statics, &statics, offset)?;
        path.steps.push(Step { offset, kind: StepKind::Call(function, compiled.into()), pattern });
        Ok(())
    }

    pub(super) fn fhir_type(&self, name: &str, offset: usize) -> Result<ItemType, CompileError> {
        ItemType::named(self.definitions(), name).ok_or_else(|| {
            let text = format!("the type `{name}` is not defined");
            CompileError::new(CompileErrorKind::UnknownType, offset, text)
        })
    }

    /// Refuses an input that can never be right.
    fn check_input(
        &self,
        path: &Path,
        signature: &Signature,
        offset: usize,
    ) -> Result<(), CompileError> {
        let function = signature.function;
        let picks = [Set::First, Set::Last, Set::Skip, Set::Tail, Set::Take];
        if picks.into_iter().any(|one| function == Function::Set(one)) {
            return self.check_ordered(path, &format!("`{}()`", signature.name), offset);
        }
        let is_text = matches!(function, Function::Text(_) | Function::TextPair(_));
        if is_text && path.statics.excludes(SystemType::String) {
            let found = path.statics.names();
            let text = format!("`{}()` needs a string, not {found}", signature.name);
            return Err(CompileError::new(CompileErrorKind::WrongType, offset, text));
        }
        Ok(())
    }

    /// Compiles arguments, each over what it will be evaluated on.
    fn arguments(
        &mut self,
        path: &Path,
        function: Function,
        arguments: &[Ast],
        focus: &Static,
    ) -> Result<(Vec<Expr>, Vec<Static>), CompileError> {
        let input = path.statics.clone();
        let mut exprs = Vec::with_capacity(arguments.len());
        let mut all = Vec::with_capacity(arguments.len());
        for (index, argument) in arguments.iter().enumerate() {
            let (expr, statics) = match argument_focus(function, index) {
                ArgumentFocus::Outer => self.expression(argument, focus)?,
                ArgumentFocus::Input => self.expression(argument, &input)?,
                ArgumentFocus::Item => self.lambda(argument, &input)?,
            };
            if function == Function::Criteria(Criteria::Iif)
                && index == 0
                && !self.is_lenient()
                && statics.excludes(SystemType::Boolean)
            {
                let text = format!("the criterion of `iif()` is {}, not Boolean", statics.names());
                return Err(CompileError::new(CompileErrorKind::WrongType, argument.offset, text));
            }
            exprs.push(expr);
            all.push(statics);
        }
        let repeats = [Criteria::Repeat, Criteria::RepeatAll];
        if repeats.into_iter().any(|one| function == Function::Criteria(one)) {
            // What is found is searched again: its types are known only if that adds none.
            let again = self.lambda(&arguments[0], &all[0]).map(|(_, statics)| statics);
            let mut both = all[0].clone();
            match again {
                Ok(again) => both.add(&again),
                Err(_) => both.types = None,
            }
            let grown = both.types.as_ref().map(|one| one.len());
            if grown != all[0].types.as_ref().map(|one| one.len()) {
                all[0].types = None;
            }
        }
        Ok((exprs, all))
    }

    fn lambda(&mut self, argument: &Ast, input: &Static) -> super::Compiled {
        let outer = std::mem::replace(&mut self.lambda, true);
        let compiled = self.expression(argument, &Static { ordered: true, ..input.clone() });
        self.lambda = outer;
        compiled
    }

    fn define(
        &mut self,
        path: &mut Path,
        arguments: &[Ast],
        offset: usize,
    ) -> Result<(), CompileError> {
        let AstKind::Literal(Literal::String(name)) = &arguments[0].kind else {
            let text = "the name of a variable must be written as a string";
            return Err(CompileError::new(CompileErrorKind::Unsupported, offset, text));
        };
        let is_taken = RESERVED.contains(&name.as_str())
            || self.variables.iter().any(|one| one.name == *name)
            || self.scope.variables.iter().any(|(one, _)| one == name);
        if is_taken {
            let text = format!("the variable `%{name}` is already defined");
            return Err(CompileError::new(CompileErrorKind::UnknownVariable, offset, text));
        }
        let visible = self.variables.len();
        let (expr, statics) = match arguments.get(1) {
            None => (None, path.statics.clone()),
            Some(argument) => {
                let (expr, statics) = self.expression(argument, &path.statics.clone())?;
                (Some(expr), statics)
            }
        };
        self.variables.truncate(visible);
        let slot = self.slots;
        self.slots += 1;
        self.variables.push(Defined { name: name.clone(), slot, statics });
        path.push(offset, StepKind::Define(slot, expr));
        Ok(())
    }

    /// A key with a minus before it sorts descending, whatever its type.
    fn sort(
        &mut self,
        path: &mut Path,
        arguments: &[Ast],
        offset: usize,
    ) -> Result<(), CompileError> {
        let input = path.statics.clone();
        let keys: Result<Vec<_>, _> = arguments
            .iter()
            .map(|argument| {
                let negated =
                    if let AstKind::Negate(key) = &argument.kind { Some(key) } else { None };
                let (key, descending) = negated.map_or((argument, false), |key| (key, true));
                Ok((self.lambda(key, &input)?.0, descending))
            })
            .collect();
        path.push(offset, StepKind::Sort(keys?.into()));
        path.statics.ordered = true;
        Ok(())
    }
}

/// What an argument is evaluated on.
enum ArgumentFocus {
    /// Each item of the input, one at a time.
    Item,
    /// The input as a whole.
    Input,
    /// What the call itself is evaluated on.
    Outer,
}

fn argument_focus(function: Function, index: usize) -> ArgumentFocus {
    let Function::Criteria(criteria) = function else { return ArgumentFocus::Outer };
    match criteria {
        Criteria::Iif => ArgumentFocus::Input,
        // The initial value of `aggregate` and the label of `trace` belong to the call.
        Criteria::Aggregate if index == 1 => ArgumentFocus::Outer,
        Criteria::Trace if index == 0 => ArgumentFocus::Outer,
        Criteria::Aggregate
        | Criteria::All
        | Criteria::Exists
        | Criteria::Repeat
        | Criteria::RepeatAll
        | Criteria::Select
        | Criteria::Trace
        | Criteria::Where => ArgumentFocus::Item,
    }
}

fn signature(name: &str, count: usize, offset: usize) -> Result<&'static Signature, CompileError> {
    let Some(signature) = function::named(name) else {
        if let Some((_, reason)) = function::REFUSED.iter().find(|(one, _)| *one == name) {
            let text = format!("`{name}()` is not supported: {reason}");
            return Err(CompileError::new(CompileErrorKind::Unsupported, offset, text));
        }
        let lower = name.to_ascii_lowercase();
        let near = function::SIGNATURES.iter().find(|one| one.name.to_ascii_lowercase() == lower);
        let hint = near.map_or_else(String::new, |one| format!("; is `{}` meant?", one.name));
        let text = format!("there is no function `{name}`{hint}");
        return Err(CompileError::new(CompileErrorKind::UnknownFunction, offset, text));
    };
    if (signature.min..=signature.max).contains(&count) {
        return Ok(signature);
    }
    let wanted = match (signature.min, signature.max) {
        (0, 0) => "no argument".to_owned(),
        (min, max) if min == max => format!("{min} argument(s)"),
        (min, max) => format!("{min} to {max} arguments"),
    };
    let text = format!("`{name}()` takes {wanted}, not {count}");
    Err(CompileError::new(CompileErrorKind::Syntax, offset, text))
}

/// The type that an argument names.
fn type_argument(argument: &Ast) -> Result<TypeSpecifier, CompileError> {
    let offset = argument.offset;
    if let AstKind::Path(None, segments) = &argument.kind {
        let names: Option<Vec<_>> = segments
            .iter()
            .map(|one| match &one.kind {
                SegmentKind::Name(name) => Some(name.clone()),
                SegmentKind::Call(..) | SegmentKind::Index(_) | SegmentKind::Special(_) => None,
            })
            .collect();
        match names.as_deref() {
            Some([name]) => {
                return Ok(TypeSpecifier { offset, namespace: None, name: name.clone() });
            }
            Some([namespace, name]) => {
                let namespace = Some(namespace.clone());
                return Ok(TypeSpecifier { offset, namespace, name: name.clone() });
            }
            _ => {}
        }
    }
    Err(CompileError::new(CompileErrorKind::Syntax, offset, "the argument must name a type"))
}

/// A regular expression that is written as a string, compiled beforehand.
fn literal_pattern(
    function: Function,
    arguments: &[Ast],
) -> Result<Option<Box<regex::Regex>>, CompileError> {
    let flags_index = if function == Function::Text(Text::ReplaceMatches) {
        2
    } else if matches!(function, Function::Text(Text::Matches | Text::MatchesFull)) {
        1
    } else {
        return Ok(None);
    };
    let text = |ast: &Ast| {
        if let AstKind::Literal(Literal::String(text)) = &ast.kind {
            Some(text.clone())
        } else {
            None
        }
    };
    let Some(source) = arguments.first().and_then(text) else {
        return Ok(None);
    };
    let flags = match arguments.get(flags_index) {
        None => String::new(),
        Some(flags) => match text(flags) {
            Some(flags) => flags,
            None => return Ok(None),
        },
    };
    match pattern(&source, &flags, function == Function::Text(Text::MatchesFull)) {
        Some(pattern) => Ok(Some(Box::new(pattern))),
        None => {
            let text = "the regular expression is not understood, or too large";
            Err(CompileError::new(CompileErrorKind::Unsupported, arguments[0].offset, text))
        }
    }
}

//! Compiling names: elements, and types at the start of a path.

use cresset_definitions::{Element, TypeDefinition, TypeKind};
use smallvec::SmallVec;

use super::statics::Static;
use super::{Compiler, NameStep, Path, StepKind, Target, TargetKind};
use crate::error::{CompileError, CompileErrorKind};
use crate::function::TypeOperation;
use crate::types::{ItemType, SystemType, TypeTest};

/// Names of elements shown in a message.
const SUGGESTIONS_MAX: usize = 40;

/// What a name leads to in all the types it is looked up in.
#[derive(Default)]
struct Found {
    targets: Vec<Target>,
    types: SmallVec<[ItemType; 2]>,
    /// Whether some type is not known well enough to say.
    unknown: bool,
}

impl Compiler<'_> {
    pub(super) fn name(
        &self,
        path: &mut Path,
        name: &str,
        offset: usize,
        is_head: bool,
    ) -> Result<(), CompileError> {
        if is_head && self.type_head(path, name, offset)? {
            return Ok(());
        }
        let Some(types) = &path.statics.types else {
            path.push_name(self.name_step(name, offset, Vec::new()));
            return Ok(());
        };
        if types.is_empty() {
            return Ok(());
        }
        let mut found = Found::default();
        for one in types {
            self.look_up(*one, name, &mut found);
        }
        if found.types.is_empty() && !found.unknown {
            if is_head && self.is_lenient() {
                path.statics = Static::nothing();
                path.push_name(self.name_step(name, offset, Vec::new()));
                return Ok(());
            }
            return Err(self.unknown_element(&path.statics, name, offset));
        }
        path.statics.types = (!found.unknown).then_some(found.types);
        path.push_name(self.name_step(name, offset, found.targets));
        Ok(())
    }

    fn name_step(&self, name: &str, offset: usize, targets: Vec<Target>) -> NameStep {
        NameStep { name: name.to_owned(), offset, json: self.is_lenient(), targets }
    }

    /// Whether a path starts with a type; then only what is of it goes on.
    fn type_head(&self, path: &mut Path, name: &str, offset: usize) -> Result<bool, CompileError> {
        if !name.starts_with(|c: char| c.is_ascii_uppercase()) {
            return Ok(false);
        }
        let Some(definition) = self.definitions().type_named(name) else {
            return Ok(false);
        };
        let test = TypeTest::of(self.definitions(), definition);
        let Some(types) = &path.statics.types else {
            self.push_type_step(path, TypeOperation::Head, test, offset);
            return Ok(true);
        };
        if !types.is_empty() && types.iter().all(|one| test.includes(*one)) {
            return Ok(true);
        }
        if types.iter().any(|one| test.may_include(*one)) {
            self.push_type_step(path, TypeOperation::Head, test, offset);
            return Ok(true);
        }
        if !self.is_lenient() && !types.is_empty() {
            let text =
                format!("the path starts at {name}, but is evaluated on {}", path.statics.names());
            return Err(CompileError::new(CompileErrorKind::UnknownElement, offset, text));
        }
        path.statics = Static::nothing();
        path.push(offset, StepKind::Type { operation: TypeOperation::Head, test, strict: false });
        Ok(true)
    }

    fn look_up(&self, one: ItemType, name: &str, found: &mut Found) {
        let owner = match one {
            ItemType::System(SystemType::TypeInfo) if name == "name" || name == "namespace" => {
                found.types.push(ItemType::System(SystemType::String));
                return;
            }
            ItemType::System(_) => return,
            ItemType::Fhir(owner) => owner,
        };
        let Some(kind) = self.target(owner, name) else {
            found.unknown |= self.may_have(owner, name);
            return;
        };
        let mut add = |one: ItemType| {
            if !found.types.contains(&one) {
                found.types.push(one);
            }
        };
        match &kind {
            TargetKind::Choice(types) => types.iter().for_each(|(_, one)| add(ItemType::Fhir(one))),
            TargetKind::Plain(definition) => add(ItemType::Fhir(definition)),
            TargetKind::Value(system) => add(ItemType::System(*system)),
        }
        found.targets.push(Target { owner, kind });
    }

    fn target(&self, owner: &'static TypeDefinition, name: &str) -> Option<TargetKind> {
        if let Some(element) = owner.element(name) {
            return self.element_target(element);
        }
        if !self.is_lenient() {
            return None;
        }
        let (_, type_name) = owner.element_for_json(name)?;
        let definition = self.definitions().type_named(type_name)?;
        Some(TargetKind::Choice(vec![(name.to_owned(), definition)]))
    }

    fn element_target(&self, element: &Element) -> Option<TargetKind> {
        let types = element.types.iter();
        if element.choice {
            let named = types.filter_map(|one| {
                let definition = self.definitions().type_named(one.name)?;
                let mut capital = one.name.to_owned();
                capital[..1].make_ascii_uppercase();
                Some((format!("{}{capital}", element.name), definition))
            });
            return Some(TargetKind::Choice(named.collect()));
        }
        let mut types = types;
        match ItemType::named(self.definitions(), types.next()?.name)? {
            ItemType::Fhir(definition) => Some(TargetKind::Plain(definition)),
            ItemType::System(system) => Some(TargetKind::Value(system)),
        }
    }

    /// Whether what is declared as an abstract type may turn out to have an element.
    fn may_have(&self, owner: &TypeDefinition, name: &str) -> bool {
        if !owner.is_abstract {
            return false;
        }
        if owner.kind != TypeKind::Resource {
            return true;
        }
        self.definitions().resource_types().any(|one| {
            let one = self.definitions().type_named(one);
            one.is_some_and(|one| self.target(one, name).is_some())
        })
    }

    fn unknown_element(&self, statics: &Static, name: &str, offset: usize) -> CompileError {
        let owner = statics.types.iter().flatten().find_map(|one| match one {
            ItemType::Fhir(definition) => Some(*definition),
            ItemType::System(_) => None,
        });
        let mut text = format!("`{name}` is not an element of {}", statics.names());
        if let Some(owner) = owner {
            if let Some((element, type_name)) = owner.element_for_json(name) {
                text.push_str("; write `");
                text.push_str(element.name);
                text.push_str(".ofType(");
                text.push_str(type_name);
                text.push_str(")`");
            } else {
                let names = owner.elements().iter().map(|one| one.name);
                let names: Vec<_> = names.take(SUGGESTIONS_MAX).collect();
                text.push_str("; it has ");
                text.push_str(&names.join(", "));
            }
        }
        CompileError::new(CompileErrorKind::UnknownElement, offset, text)
    }
}

//! Types and their elements.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::bindings::Bindings;
use super::{STRUCTURE_DEFINITION, list, strings, text, type_name};

const SYSTEM: &str = "http://hl7.org/fhirpath/";
const FHIR_TYPE: &str = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type";

/// All types, sorted by name, each with its own elements: what a base has is not said again.
pub(super) fn render(
    all: &BTreeMap<String, Value>,
    bindings: &mut Bindings<'_>,
    out: &mut String,
) -> Result<()> {
    let mut types = BTreeMap::new();
    for one in all.values() {
        if let Some(one) = Type::of(one)? {
            types.insert(one.name, one);
        }
    }
    let mut sections = BTreeMap::new();
    for one in types.values() {
        sections.insert(one.name, one.section(&types, bindings)?);
        for (path, base) in one.backbones()? {
            let head = format!("backbone {path} : {base}");
            sections.insert(path, head + &one.own_lines(path, Some(base), &types, bindings)?);
        }
    }
    for section in sections.into_values() {
        out.push('\n');
        out.push_str(&section);
    }
    Ok(())
}

/// A structure definition that defines a type and is no profile on one.
struct Type<'v> {
    name: &'v str,
    kind: &'static str,
    is_abstract: bool,
    base: Option<&'v str>,
    /// All elements below the root, by path, in order.
    elements: Vec<(&'v str, &'v Value)>,
}

impl<'v> Type<'v> {
    fn of(definition: &'v Value) -> Result<Option<Self>> {
        let kind = match text(definition, "kind")? {
            "primitive-type" => "primitive",
            "complex-type" => "complex",
            "resource" => "resource",
            "logical" => return Ok(None),
            other => bail!("the unknown kind {other}"),
        };
        if definition["derivation"] == "constraint" {
            return Ok(None);
        }
        let name = text(definition, "type")?;
        let url = text(definition, "url")?;
        ensure!(url == format!("{STRUCTURE_DEFINITION}{name}"), "{url} defines {name}");
        let elements = list(&definition["snapshot"], "element")
            .map(|element| Ok((text(element, "path")?, element)))
            .filter(|element| !matches!(element, Ok((path, _)) if *path == name));
        Ok(Some(Self {
            name,
            kind,
            is_abstract: definition["abstract"] == true,
            base: definition["baseDefinition"].as_str().map(type_name),
            elements: elements.collect::<Result<_>>()?,
        }))
    }

    fn section(
        &self,
        types: &BTreeMap<&str, Type<'_>>,
        bindings: &mut Bindings<'_>,
    ) -> Result<String> {
        let is_abstract = if self.is_abstract { " abstract" } else { "" };
        let base = self.base.map(|base| format!(" : {base}")).unwrap_or_default();
        let own = self.own_lines(self.name, self.base, types, bindings)?;
        Ok(format!("{} {}{is_abstract}{base}{own}", self.kind, self.name))
    }

    /// The paths of elements that have elements of their own, and the type these extend.
    fn backbones(&self) -> Result<Vec<(&'v str, &'v str)>> {
        let backbones = self.elements.iter().filter(|(path, _)| self.has_children(path));
        backbones.map(|(path, element)| Ok((*path, text(&element["type"][0], "code")?))).collect()
    }

    fn has_children(&self, of: &str) -> bool {
        self.elements.iter().any(|(path, _)| is_child(path, of))
    }

    /// The lines below a head: what stands directly under `path` and is not as in `base`.
    fn own_lines(
        &self,
        path: &str,
        base: Option<&str>,
        types: &BTreeMap<&str, Type<'_>>,
        bindings: &mut Bindings<'_>,
    ) -> Result<String> {
        let inherited = match base {
            Some(base) => types.get(base).context("a base is no type")?.lines(base, bindings)?,
            None => Vec::new(),
        };
        let mut own = String::from("\n");
        for line in self.lines(path, bindings)? {
            if !inherited.contains(&line) {
                own.push_str(&line);
            }
        }
        Ok(own)
    }

    fn lines(&self, of: &str, bindings: &mut Bindings<'_>) -> Result<Vec<String>> {
        let children = self.elements.iter().filter(|(path, _)| is_child(path, of));
        children.map(|(path, element)| self.line(path, element, bindings)).collect()
    }

    fn line(&self, path: &str, element: &Value, bindings: &mut Bindings<'_>) -> Result<String> {
        let name = path.rsplit('.').next().unwrap_or_default();
        let types = self.types(path, name, element)?;
        ensure!(!types.is_empty(), "{path} has no type");
        ensure!(types.len() == 1 || name.ends_with("[x]"), "{path} has several types");
        let min = element["min"].as_u64().context("no min")?;
        let max = text(element, "max")?;
        let bound = bindings.of(element)?.map(|name| format!(" {{{name}}}")).unwrap_or_default();
        Ok(format!(" {name} {min}..{max} {} {}{bound}\n", flags(element), types.join(" ")))
    }

    fn types(&self, path: &str, name: &str, element: &Value) -> Result<Vec<String>> {
        if let Some(reference) = element["contentReference"].as_str() {
            let (_, target) = reference.split_once('#').context("a content reference without #")?;
            return Ok(vec![target.to_owned()]);
        }
        if self.has_children(path) {
            return Ok(vec![path.to_owned()]);
        }
        list(element, "type").map(|one| self.type_ref(path, name, one)).collect()
    }

    fn type_ref(&self, path: &str, name: &str, one: &Value) -> Result<String> {
        let code = text(one, "code")?;
        if let Some(system) = code.strip_prefix(SYSTEM) {
            return Ok(match name {
                // The definitions disagree on the type of ids (R4 says string for resources, R5 id
                // for data types); FHIR's text does not.
                "id" if self.kind == "resource" && path.matches('.').count() == 1 => "id".into(),
                "id" => "string".into(),
                "value" if self.kind == "primitive" => system.into(),
                _ => fhir_type(one).with_context(|| format!("{path} has no FHIR type"))?.into(),
            });
        }
        let mut targets: Vec<&str> = strings(one, "targetProfile").map(type_name).collect();
        targets.sort_unstable();
        targets.dedup();
        Ok(if targets.is_empty() {
            code.to_owned()
        } else {
            format!("{code}({})", targets.join("|"))
        })
    }
}

fn is_child(path: &str, of: &str) -> bool {
    path.strip_prefix(of)
        .and_then(|rest| rest.strip_prefix('.'))
        .is_some_and(|rest| !rest.contains('.'))
}

fn flags(element: &Value) -> String {
    let representation = |wanted: &str| strings(element, "representation").any(|one| one == wanted);
    let flags: String = [
        (element["isModifier"] == true, 'm'),
        (element["isSummary"] == true, 's'),
        (representation("xmlAttr"), 'a'),
        (representation("xhtml"), 'x'),
    ]
    .into_iter()
    .filter_map(|(is, flag)| is.then_some(flag))
    .collect();
    if flags.is_empty() { "-".to_owned() } else { flags }
}

fn fhir_type(one: &Value) -> Option<&str> {
    list(one, "extension")
        .find(|extension| extension["url"] == FHIR_TYPE)
        .and_then(|extension| extension["valueUrl"].as_str())
}

//! Which codes a ValueSet has, as far as its own content and the CodeSystems here tell.
//!
//! Its definition (`compose`) counts first. Where that cannot be decided here, a complete expansion
//! that is stored with it does. A whole code system takes every code that says it is of the system.
//! Versions of code systems are looked at for hierarchies only; codes are compared exactly.

use serde_json::Value;
use smol_str::SmolStr;

use super::{IMPORT_DEPTH_MAX, SetReader};
use crate::uri::split_version;
use crate::{Need, ProblemKind};

/// Extensions of an expansion that does not hold all codes.
const INCOMPLETE: [&str; 2] = [
    "http://hl7.org/fhir/StructureDefinition/valueset-toocostly",
    "http://hl7.org/fhir/StructureDefinition/valueset-unclosed",
];

/// Whether a value set has a code of this system; `depth` counts the imports that led here.
pub(super) fn contains<'a>(
    reader: &mut SetReader<'_, 'a>,
    set: &'a Value,
    system: &str,
    code: &str,
    depth: u32,
) -> Result<bool, ProblemKind> {
    let defined = match set.get("compose") {
        Some(compose) => defines(reader, compose, system, code, depth),
        None => Err(ProblemKind::Unavailable("the ValueSet does not say which codes it has")),
    };
    match (defined, set.get("expansion")) {
        (Err(ProblemKind::Unavailable(reason)), Some(expansion)) => {
            expands_to(reader, expansion, system, code)?.ok_or(ProblemKind::Unavailable(reason))
        }
        (defined, _) => defined,
    }
}

/// Whether some of what is included has the code, and nothing that is excluded.
fn defines<'a>(
    reader: &mut SetReader<'_, 'a>,
    compose: &'a Value,
    system: &str,
    code: &str,
    depth: u32,
) -> Result<bool, ProblemKind> {
    Ok(any(reader, compose, "include", (system, code), depth)?
        && !any(reader, compose, "exclude", (system, code), depth)?)
}

/// Whether one of the parts has the code. One that has decides, whatever another one's problem.
fn any<'a>(
    reader: &mut SetReader<'_, 'a>,
    compose: &'a Value,
    parts: &str,
    (system, code): (&str, &str),
    depth: u32,
) -> Result<bool, ProblemKind> {
    let mut undecided = None;
    for part in list(compose, parts) {
        match has(reader, part, system, code, depth) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(problem) => {
                let missing = matches!(problem, ProblemKind::Missing(_));
                if missing || undecided.is_none() {
                    undecided = Some(problem);
                }
            }
        }
    }
    undecided.map_or(Ok(false), Err)
}

fn has<'a>(
    reader: &mut SetReader<'_, 'a>,
    part: &'a Value,
    system: &str,
    code: &str,
    depth: u32,
) -> Result<bool, ProblemKind> {
    let own = part.get("system").and_then(Value::as_str);
    if own.is_none() && list(part, "valueSet").next().is_none() {
        return Err(ProblemKind::Unavailable("the ValueSet includes what it does not name"));
    }
    if let Some(own) = own
        && (own != system || !has_of_system(reader, part, system, code)?)
    {
        return Ok(false);
    }
    for imported in list(part, "valueSet") {
        reader.step()?;
        let Some(imported) = imported.as_str() else {
            return Err(ProblemKind::Malformed("ValueSet"));
        };
        if depth == IMPORT_DEPTH_MAX {
            return Err(ProblemKind::Unavailable("value sets import each other too deep"));
        }
        let (url, version) = split_version(imported);
        let need = Need::Canonical { resource_type: "ValueSet", url: SmolStr::new(url) };
        let set = reader.latest(&need, version)?;
        if !contains(reader, set, system, code, depth + 1)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a part of this system has the code: it is listed, or all filters let it through, or the
/// part is the whole system.
fn has_of_system<'a>(
    reader: &mut SetReader<'_, 'a>,
    part: &'a Value,
    system: &str,
    code: &str,
) -> Result<bool, ProblemKind> {
    if part.get("concept").is_some() {
        for concept in list(part, "concept") {
            reader.step()?;
            if concept.get("code").and_then(Value::as_str) == Some(code) {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    let version = part.get("version").and_then(Value::as_str);
    for filter in list(part, "filter") {
        if !passes(reader, filter, (system, version), code)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a filter over the hierarchy lets the code through; others need a terminology server.
fn passes(
    reader: &mut SetReader<'_, '_>,
    filter: &Value,
    (system, version): (&str, Option<&str>),
    code: &str,
) -> Result<bool, ProblemKind> {
    let text = |name: &str| filter.get(name).and_then(Value::as_str);
    let (property, operation, value) = (text("property"), text("op"), text("value"));
    let Some(value) = value.filter(|_| matches!(property, Some("concept" | "code"))) else {
        return Err(needs_terminology());
    };
    let mut is = |below: bool| reader.is_related((system, version), value, code, below);
    match operation {
        Some("=") => Ok(code == value),
        Some("descendent-of") => is(true),
        Some("generalizes") => Ok(code == value || is(false)?),
        Some("is-a") => Ok(code == value || is(true)?),
        Some("is-not-a") => Ok(code != value && !is(true)?),
        Some(_) | None => Err(needs_terminology()),
    }
}

fn needs_terminology() -> ProblemKind {
    ProblemKind::Unavailable("the ValueSet filters codes in a way that needs a terminology server")
}

/// Whether an expansion lists the code; `None` if it does not and is not known to be complete.
fn expands_to(
    reader: &mut SetReader<'_, '_>,
    expansion: &Value,
    system: &str,
    code: &str,
) -> Result<Option<bool>, ProblemKind> {
    let mut listed: u64 = 0;
    let mut open = vec![expansion];
    while let Some(node) = open.pop() {
        for one in list(node, "contains") {
            reader.step()?;
            let text = |name: &str| one.get(name).and_then(Value::as_str);
            let is_member = one.get("abstract") != Some(&Value::Bool(true));
            if is_member && text("system") == Some(system) && text("code") == Some(code) {
                return Ok(Some(true));
            }
            listed += 1;
            open.push(one);
        }
    }
    let is_cut = expansion.get("total").and_then(Value::as_u64).is_some_and(|total| total > listed)
        || expansion.get("offset").and_then(Value::as_u64).is_some_and(|offset| offset > 0)
        || list(expansion, "extension").any(|extension| {
            let url = extension.get("url").and_then(Value::as_str);
            url.is_some_and(|url| INCOMPLETE.contains(&url))
        });
    Ok((!is_cut).then_some(false))
}

fn list<'v>(json: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    json.get(name).and_then(Value::as_array).into_iter().flatten()
}

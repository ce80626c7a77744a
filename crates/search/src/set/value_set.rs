//! Which codes a ValueSet has, as far as its own content and the CodeSystems here tell.
//!
//! Its definition (`compose`) counts first. Where that cannot be decided here, a complete expansion
//! that is stored with it does. A whole code system takes every code that says it is of the system.
//! Versions of code systems are looked at for hierarchies only; codes are compared exactly.

use serde_json::Value;
use smol_str::SmolStr;

use super::{IMPORT_DEPTH_MAX, SetReader};
use crate::problem::Open;
use crate::uri::split_version;
use crate::{Need, ProblemKind};

/// Extensions of an expansion that does not hold all codes.
const INCOMPLETE: [&str; 2] = [
    "http://hl7.org/fhir/StructureDefinition/valueset-toocostly",
    "http://hl7.org/fhir/StructureDefinition/valueset-unclosed",
];

/// A code, and the system it is of; `None` for any, and then what is excluded does not count.
pub(super) type Asked<'c> = (Option<&'c str>, &'c str);

/// Whether a value set has a code; `depth` counts the imports that led here.
pub(super) fn contains<'a>(
    reader: &mut SetReader<'_, 'a>,
    set: &'a Value,
    asked: Asked<'_>,
    depth: u32,
) -> Result<bool, ProblemKind> {
    let defined = match set.get("compose") {
        Some(compose) => defines(reader, compose, asked, depth),
        None => Err(ProblemKind::Unavailable("the ValueSet does not say which codes it has")),
    };
    match (defined, set.get("expansion")) {
        (Err(ProblemKind::Unavailable(reason)), Some(expansion)) => {
            expands_to(reader, expansion, asked)?.ok_or(ProblemKind::Unavailable(reason))
        }
        (defined, _) => defined,
    }
}

/// Whether some of what is included has the code, and nothing that is excluded.
fn defines<'a>(
    reader: &mut SetReader<'_, 'a>,
    compose: &'a Value,
    asked: Asked<'_>,
    depth: u32,
) -> Result<bool, ProblemKind> {
    Ok(any(reader, compose, "include", asked, depth)?
        && !(asked.0.is_some() && any(reader, compose, "exclude", asked, depth)?))
}

/// Whether one of the parts has the code. One that has decides, whatever another one's problem;
/// until then all of them say what they are missing, so that it is looked up at once.
fn any<'a>(
    reader: &mut SetReader<'_, 'a>,
    compose: &'a Value,
    parts: &str,
    asked: Asked<'_>,
    depth: u32,
) -> Result<bool, ProblemKind> {
    let mut open = Open::default();
    for part in list(compose, parts) {
        match has(reader, part, asked, depth) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(problem) => open.add(problem),
        }
    }
    open.unless(false)
}

/// Whether a part has the code: its system has, and each value set that it imports.
fn has<'a>(
    reader: &mut SetReader<'_, 'a>,
    part: &'a Value,
    asked: Asked<'_>,
    depth: u32,
) -> Result<bool, ProblemKind> {
    let own = part.get("system").and_then(Value::as_str);
    if own.is_none() && list(part, "valueSet").next().is_none() {
        return Err(ProblemKind::Unavailable("the ValueSet includes what it does not name"));
    }
    if let Some(own) = own
        && (asked.0.is_some_and(|system| own != system)
            || !has_of_system(reader, part, own, asked.1)?)
    {
        return Ok(false);
    }
    let mut open = Open::default();
    for imported in list(part, "valueSet") {
        match imports(reader, imported, asked, depth) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(problem) => open.add(problem),
        }
    }
    open.unless(true)
}

/// Whether an imported value set has the code.
fn imports<'a>(
    reader: &mut SetReader<'_, 'a>,
    imported: &'a Value,
    asked: Asked<'_>,
    depth: u32,
) -> Result<bool, ProblemKind> {
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
    contains(reader, set, asked, depth + 1)
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
    (system, code): Asked<'_>,
) -> Result<Option<bool>, ProblemKind> {
    let mut listed: u64 = 0;
    let mut open = vec![expansion];
    while let Some(node) = open.pop() {
        for one in list(node, "contains") {
            reader.step()?;
            let text = |name: &str| one.get(name).and_then(Value::as_str);
            let is_member = one.get("abstract") != Some(&Value::Bool(true));
            let is_of = system.is_none_or(|system| text("system") == Some(system));
            if is_member && is_of && text("code") == Some(code) {
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

//! Search parameters.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use serde_json::Value;

use super::{list, one_line, strings, text};

/// Only official ones carry this extension; the packages hold examples and drafts besides.
const STANDARDS_STATUS: &str =
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status";

/// The parameters the version officially has, by URL.
pub(super) fn official(all: BTreeMap<String, Value>) -> Vec<Value> {
    let is_official = |one: &Value| list(one, "extension").any(|e| e["url"] == STANDARDS_STATUS);
    all.into_values().filter(is_official).collect()
}

pub(super) fn render(parameters: &[Value], out: &mut String) -> Result<()> {
    let any = longest_targets(parameters);
    writeln!(out, "\nany {any}")?;
    for one in parameters {
        let (kind, code, url) = (text(one, "type")?, text(one, "code")?, text(one, "url")?);
        writeln!(out, "parameter {kind} {code} {url} {}", sorted(one, "base"))?;
        if let Some(expression) = one["expression"].as_str() {
            writeln!(out, " = {}", one_line(expression)?)?;
        }
        let targets = sorted(one, "target");
        line(">", if targets == any { "*" } else { &targets }, out)?;
        for component in list(one, "component") {
            let expression = one_line(text(component, "expression")?)?;
            writeln!(out, " & {} {expression}", text(component, "definition")?)?;
        }
        line("<", &strings(one, "comparator").collect::<Vec<_>>().join(" "), out)?;
        line(":", &strings(one, "modifier").collect::<Vec<_>>().join(" "), out)?;
    }
    Ok(())
}

/// The list of all types a reference can point at: it stands at dozens of parameters, and makes a
/// third of the table when it is written out at each.
fn longest_targets(parameters: &[Value]) -> String {
    let lists = parameters.iter().map(|one| sorted(one, "target"));
    lists.max_by_key(String::len).unwrap_or_default()
}

fn line(sign: &str, rest: &str, out: &mut String) -> Result<()> {
    if !rest.is_empty() {
        writeln!(out, " {sign} {rest}")?;
    }
    Ok(())
}

fn sorted(value: &Value, name: &str) -> String {
    let mut words: Vec<&str> = strings(value, name).collect();
    words.sort_unstable();
    words.dedup();
    words.join(" ")
}

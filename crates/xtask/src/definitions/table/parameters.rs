//! Search parameters.

use std::collections::BTreeMap;

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
    out.push('\n');
    for one in parameters {
        let (kind, code, url) = (text(one, "type")?, text(one, "code")?, text(one, "url")?);
        out.push_str(&format!("parameter {kind} {code} {url} {}\n", sorted(one, "base")));
        if let Some(expression) = one["expression"].as_str() {
            out.push_str(&format!(" = {}\n", one_line(expression)?));
        }
        line(">", &sorted(one, "target"), out);
        for component in list(one, "component") {
            let expression = one_line(text(component, "expression")?)?;
            out.push_str(&format!(" & {} {expression}\n", text(component, "definition")?));
        }
        line("<", &strings(one, "comparator").collect::<Vec<_>>().join(" "), out);
        line(":", &strings(one, "modifier").collect::<Vec<_>>().join(" "), out);
    }
    Ok(())
}

fn line(sign: &str, rest: &str, out: &mut String) {
    if !rest.is_empty() {
        out.push_str(&format!(" {sign} {rest}\n"));
    }
}

fn sorted(value: &Value, name: &str) -> String {
    let mut words: Vec<&str> = strings(value, name).collect();
    words.sort_unstable();
    words.dedup();
    words.join(" ")
}

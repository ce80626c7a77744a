use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use cresset_definitions::{Definitions, SearchKind};
use serde_json::Value;

use crate::parameter::{branches_for, top_level_branches};
use crate::tests::{env_is, shared_data, unpacked};
use crate::{Parameter, Parameters};

use super::*;

/// Value sets and bindings of one FHIR version, as HL7 publishes them.
#[derive(Default)]
struct Published {
    /// The systems and the value sets that a value set includes.
    includes: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>,
    /// The value set that an element is bound to, by path.
    bindings: BTreeMap<String, String>,
}

fn without_version(canonical: &str) -> String {
    canonical.split('|').next().unwrap().to_owned()
}

impl Published {
    fn read(folder: &Path) -> Self {
        let mut all = Self::default();
        for file in ["valuesets", "profiles-types", "profiles-resources"] {
            let bundle = unpacked(&folder.join(format!("{file}.json.zst")));
            let bundle: Value = serde_json::from_str(&bundle).unwrap();
            for entry in bundle["entry"].as_array().unwrap() {
                all.add(&entry["resource"]);
            }
        }
        all
    }

    fn add(&mut self, resource: &Value) {
        let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
        match resource["resourceType"].as_str() {
            Some("ValueSet") => {
                let (systems, sets) =
                    self.includes.entry(resource["url"].as_str().unwrap().to_owned()).or_default();
                for include in list(&resource["compose"]["include"]) {
                    systems.extend(include["system"].as_str().map(str::to_owned));
                    let included = list(&include["valueSet"]);
                    sets.extend(included.iter().map(|one| without_version(one.as_str().unwrap())));
                }
            }
            Some("StructureDefinition") => {
                for element in list(&resource["snapshot"]["element"]) {
                    if let Some(value_set) = element["binding"]["valueSet"].as_str() {
                        let path = element["path"].as_str().unwrap().to_owned();
                        self.bindings.insert(path, without_version(value_set));
                    }
                }
            }
            _ => {}
        }
    }

    fn systems(&self, value_set: &str, depth: usize) -> BTreeSet<String> {
        let Some((systems, sets)) = self.includes.get(value_set).filter(|_| depth < 8) else {
            return BTreeSet::new();
        };
        let nested = sets.iter().flat_map(|set| self.systems(set, depth + 1));
        systems.iter().cloned().chain(nested).collect()
    }

    /// The systems of all `code` elements that a parameter finds.
    fn of_parameter(&self, definitions: &Definitions, parameter: &Parameter) -> BTreeSet<String> {
        let Some(source) = parameter.definition().expression else { return BTreeSet::new() };
        let source = branches_for(source, parameter.resource_type(), definitions);
        let branches = top_level_branches(&source);
        branches
            .iter()
            .filter_map(|branch| code_element(definitions, &plain_path(branch)))
            .filter_map(|path| self.bindings.get(&path))
            .flat_map(|value_set| self.systems(value_set, 0))
            .collect()
    }
}

/// The path of a branch without parentheses, functions and casts: `(A.b as code)` is `A.b`.
fn plain_path(branch: &str) -> String {
    let branch = branch.trim_matches(['(', ')', ' ']);
    let branch = branch.split(" as ").next().unwrap();
    let mut path = String::new();
    let mut depth = 0;
    for step in branch.split_inclusive(['.', '(', ')']) {
        if depth == 0 && !step.ends_with('(') {
            path.push_str(step);
        }
        depth += i32::from(step.ends_with('(')) - i32::from(step.ends_with(')'));
    }
    path.trim_matches(['.', '(', ')', ' ']).to_owned()
}

/// The path by which definitions name the last element of a path, if it may be a `code`.
fn code_element(definitions: &Definitions, path: &str) -> Option<String> {
    let mut steps = path.split('.').filter(|step| !step.is_empty());
    let mut at = definitions.type_named(steps.next()?)?;
    let mut steps = steps.peekable();
    while let Some(step) = steps.next() {
        let element = at.element(step)?;
        if steps.peek().is_none() {
            let suffix = if element.choice { "[x]" } else { "" };
            let is_code = element.types.iter().any(|one| one.name == "code");
            return is_code.then(|| format!("{}.{step}{suffix}", at.name));
        }
        at = definitions.type_named(element.types.first()?.name)?;
    }
    None
}

#[test]
fn the_tables_are_what_hl7_s_definitions_say() {
    let Some(data) = shared_data("definitions") else { return };
    for (version, folder) in
        [(FhirVersion::R4, "R4"), (FhirVersion::R4B, "R4B"), (FhirVersion::R5, "R5")]
    {
        let published = Published::read(&data.join(folder));
        let parameters = Parameters::of(version);
        let mut lines = BTreeSet::new();
        for resource_type in parameters.definitions().resource_types() {
            for parameter in parameters.of_type(resource_type) {
                if parameter.kind() != SearchKind::Token {
                    continue;
                }
                let systems = published.of_parameter(parameters.definitions(), parameter);
                if !systems.is_empty() {
                    let mut line = format!("{} {}", parameter.resource_type(), parameter.code());
                    systems.iter().for_each(|system| write!(line, " {system}").unwrap());
                    lines.insert(line + "\n");
                }
            }
        }
        let text: String = lines.into_iter().collect();
        let name = format!("data/implied-systems-{}.txt", version.path());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        if env_is("UPDATE_GOLDEN", "1") {
            fs::write(&path, &text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap();
        assert!(committed == text, "{} is not what HL7's definitions say", path.display());
    }
}

#[test]
fn a_code_is_found_with_the_system_its_element_implies() {
    let systems = implied_systems(FhirVersion::R4, "Encounter", "status");
    assert_eq!(systems, ["http://hl7.org/fhir/encounter-status"]);
    let systems = implied_systems(FhirVersion::R5, "Patient", "gender");
    assert_eq!(systems, ["http://hl7.org/fhir/administrative-gender"]);
    assert!(implied_systems(FhirVersion::R4, "Observation", "code").is_empty());
}

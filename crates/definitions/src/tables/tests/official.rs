//! The tables against the official files in `../shared/data/definitions`, which are never committed.

use std::io::Read as _;
use std::path::PathBuf;

use serde_json::Value;

use super::super::*;

/// The bundle's resources, or `None` when the data is not on this machine.
fn resources(version: FhirVersion, file: &str) -> Option<Vec<Value>> {
    let data = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"));
    if !data.exists() {
        assert!(std::env::var_os("CI").is_none(), "{} is missing", data.display());
        eprintln!("skipped: {} is missing", data.display());
        return None;
    }
    let path = data.join(format!("definitions/{version}/{file}.json.zst"));
    let mut text = Vec::new();
    let compressed = std::fs::File::open(&path).unwrap();
    zstd::Decoder::new(compressed).unwrap().read_to_end(&mut text).unwrap();
    let mut bundle: Value = serde_json::from_slice(&text).unwrap();
    let entries = bundle["entry"].as_array_mut().unwrap();
    Some(entries.iter_mut().map(|entry| entry["resource"].take()).collect())
}

fn sorted<'v>(value: &'v Value, prefix: &str) -> Vec<&'v str> {
    let mut all: Vec<_> = strings(value).map(|one| one.strip_prefix(prefix).unwrap()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[test]
fn every_official_search_parameter_is_in_the_table_as_it_is() {
    for (version, count) in FhirVersion::ALL.into_iter().zip([1375, 1414, 1239]) {
        let Some(official) = resources(version, "search-parameters") else { return };
        assert_eq!(official.len(), count);
        let definitions = Definitions::of(version);
        for one in &official {
            let url = one["url"].as_str().unwrap();
            let ours = definitions.search_parameter_by_url(url).unwrap();
            assert_eq!(Some(ours.code), one["code"].as_str(), "{version} {url}");
            assert_eq!(Some(ours.kind.code()), one["type"].as_str(), "{version} {url}");
            assert_eq!(ours.expression, one["expression"].as_str(), "{version} {url}");
            assert_eq!(ours.base, sorted(&one["base"], ""), "{version} {url}");
            assert_eq!(ours.targets, sorted(&one["target"], ""), "{version} {url}");
            assert!(ours.comparators.iter().copied().eq(strings(&one["comparator"])), "{url}");
            assert!(ours.modifiers.iter().copied().eq(strings(&one["modifier"])), "{url}");
            let components = one["component"].as_array().map_or(&[][..], Vec::as_slice);
            assert_eq!(ours.components.len(), components.len(), "{version} {url}");
            for (ours, official) in ours.components.iter().zip(components) {
                assert_eq!(Some(ours.definition), official["definition"].as_str(), "{url}");
                assert_eq!(Some(ours.expression), official["expression"].as_str(), "{url}");
            }
            for base in &ours.base {
                let found = definitions.search_parameter(base, ours.code);
                assert_eq!(found, Some(ours), "{version} {base} {}", ours.code);
            }
        }
        let backport = if version == FhirVersion::R5 { 0 } else { 4 };
        assert_eq!(definitions.by_url.len(), count + backport, "{version}");
    }
}

#[test]
fn every_official_element_is_in_the_table_as_it_is() {
    for version in FhirVersion::ALL {
        let mut elements = 0;
        for file in ["profiles-types", "profiles-resources"] {
            let Some(official) = resources(version, file) else { return };
            for one in official.iter().filter(|one| is_type(one)) {
                elements += check_type(version, one);
            }
        }
        // R4B's abstract DataType is defined without the elements it inherits.
        let is_stub = |name| version == FhirVersion::R4B && name == "DataType";
        let types = Definitions::of(version).types().filter(|one| !is_stub(one.name));
        let known: usize = types.map(|one| one.elements().len()).sum();
        assert!(elements > 7_000, "{version}: only {elements} elements compared");
        assert_eq!(known, elements, "{version}: the table has elements that HL7 has not");
    }
}

fn is_type(one: &Value) -> bool {
    one["resourceType"] == "StructureDefinition"
        && one["derivation"] != "constraint"
        && one["kind"] != "logical"
}

/// Compares all elements of one structure definition; how many there were.
fn check_type(version: FhirVersion, official: &Value) -> usize {
    let name = official["type"].as_str().unwrap();
    let ours = Definitions::of(version).type_named(name).unwrap();
    let base = official["baseDefinition"].as_str();
    assert_eq!(ours.base, base.map(|base| base.rsplit('/').next().unwrap()), "{version} {name}");
    assert_eq!(ours.is_abstract, official["abstract"] == true, "{version} {name}");
    let elements = official["snapshot"]["element"].as_array().unwrap();
    let mut seen: FxHashMap<&str, usize> = FxHashMap::default();
    for element in elements.iter().skip(1) {
        let path = element["path"].as_str().unwrap();
        let (of, last) = path.rsplit_once('.').unwrap();
        let parent = Definitions::of(version).type_named(of).unwrap();
        let name = last.strip_suffix("[x]").unwrap_or(last);
        let index = seen.entry(of).or_default();
        let ours = parent.element(name).unwrap();
        assert_eq!(parent.elements()[*index].name, name, "{version} {path}: order");
        *index += 1;
        assert_eq!(ours.choice, last.ends_with("[x]"), "{version} {path}");
        assert_eq!(u64::from(ours.min), element["min"].as_u64().unwrap(), "{version} {path}");
        let max = ours.max.map_or_else(|| "*".to_owned(), |max| max.to_string());
        assert_eq!(element["max"], max, "{version} {path}");
        assert_eq!(ours.is_modifier, element["isModifier"] == true, "{version} {path}");
        assert_eq!(ours.is_summary, element["isSummary"] == true, "{version} {path}");
        check_types(version, path, ours, element);
    }
    elements.len() - 1
}

fn check_types(version: FhirVersion, path: &str, ours: &crate::Element, official: &Value) {
    if let Some(reference) = official["contentReference"].as_str() {
        assert_eq!(format!("#{}", ours.types[0].name), reference, "{version} {path}");
        return;
    }
    let types = official["type"].as_array().unwrap();
    assert_eq!(ours.types.len(), types.len(), "{version} {path}");
    for (ours, official) in ours.types.iter().zip(types) {
        let code = official["code"].as_str().unwrap();
        let prefix = "http://hl7.org/fhir/StructureDefinition/";
        assert_eq!(ours.targets, sorted(&official["targetProfile"], prefix), "{version} {path}");
        match code.strip_prefix("http://hl7.org/fhirpath/") {
            None if ours.name == path => assert!(code.ends_with("Element"), "{version} {path}"),
            None => assert_eq!(ours.name, code, "{version} {path}"),
            // The table says `id`, `string`, `uri` where HL7 says System.String.
            Some(_) if path.ends_with(".id") => {
                let resource =
                    Definitions::of(version).is_subtype(&path[..path.len() - 3], "Resource");
                assert_eq!(ours.name, if resource { "id" } else { "string" }, "{version} {path}");
            }
            Some(_) if path == "Extension.url" => assert_eq!(ours.name, "uri"),
            Some(system) => assert_eq!(ours.name, system, "{version} {path}"),
        }
    }
}

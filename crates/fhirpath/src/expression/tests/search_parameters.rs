//! All official search parameters of all versions, over all official examples.

use cresset_definitions::{Definitions, FhirVersion};
use serde_json::Value;

use super::shared;
use crate::{Context, EvaluationError, Expression, Scope};

/// All expressions of a resource type's search parameters, components included; what does not compile
/// is a failure.
fn expressions(version: FhirVersion, resource_type: &str) -> Vec<Expression> {
    let definitions = Definitions::of(version);
    let scope = Scope::new(definitions).root(resource_type).lenient();
    let mut all = Vec::new();
    for parameter in definitions.search_parameters(resource_type) {
        let Some(source) = parameter.expression else { continue };
        match Expression::compile(source, &scope) {
            Ok(expression) => all.push(expression),
            Err(error) => panic!("{version} {resource_type}.{}: {error}: {source}", parameter.code),
        }
    }
    all
}

#[test]
fn every_official_search_parameter_runs_over_every_official_example() {
    for (version, folder) in
        [(FhirVersion::R4, "R4"), (FhirVersion::R4B, "R4B"), (FhirVersion::R5, "R5")]
    {
        let definitions = Definitions::of(version);
        let compiled: std::collections::BTreeMap<_, _> =
            definitions.resource_types().map(|one| (one, expressions(version, one))).collect();
        let Some(lines) = shared::read_zstd(&format!("examples/all-{folder}.ndjson.zst")) else {
            return;
        };
        let (mut evaluated, mut items) = (0, 0);
        for line in lines.lines() {
            let resource: Value = serde_json::from_str(line).expect("JSON");
            let resource_type = resource["resourceType"].as_str().expect("a type");
            for expression in compiled.get(resource_type).into_iter().flatten() {
                let context = Context::new(Some(&resource), resource_type);
                match expression.evaluate(&context) {
                    Ok(found) => items += found.len(),
                    Err(error @ EvaluationError::Missing(_)) => {
                        panic!("{version} {expression}: {error}")
                    }
                    Err(error) => panic!("{version} {expression}: {error}"),
                }
                evaluated += 1;
            }
        }
        println!("{version}: {evaluated} evaluations found {items} items");
        assert!(items > evaluated / 10, "{version}: hardly anything was found");
    }
}

//! Parameters, request bodies and responses that many operations have.

use serde_json::{Map, Value, json};

use super::component;

const JSON: &str = "application/fhir+json";
const XML: &str = "application/fhir+xml";

/// Parameters by the name of their component: name, place, schema, what it is.
const PARAMETERS: [(&str, &str, &str, &str, &str); 20] = [
    ("at", "_at", "query", "dateTime", "Versions that were current at some time within this"),
    ("count", "_count", "query", "unsignedInt", "How many on a page"),
    ("elements", "_elements", "query", "string", "Elements at the top that are shown"),
    ("id", "id", "path", "id", "Id of the resource"),
    ("if-match", "If-Match", "header", "string", "Entity tag of the version that is meant"),
    ("if-modified-since", "If-Modified-Since", "header", "string", "Date of what is known already"),
    (
        "if-none-exist",
        "If-None-Exist",
        "header",
        "string",
        "Criteria: create only if they find nothing",
    ),
    ("if-none-match", "If-None-Match", "header", "string", "Entity tag of what is known already"),
    ("if-new", "If-None-Match", "header", "string", "`*`: only if there is none"),
    ("include", "_include", "query", "string", "What matches refer to goes with them"),
    ("last-updated", "_lastUpdated", "query", "search-date", "When it was written"),
    ("number", "number", "path", "id", "Number of a version"),
    ("prefer", "Prefer", "header", "string", "`return=minimal`, `handling=lenient` and the like"),
    ("revinclude", "_revinclude", "query", "string", "What refers to matches goes with them"),
    ("since", "_since", "query", "dateTime", "What was made at or after this"),
    ("sort", "_sort", "query", "string", "Search parameters, `-` before one for descending"),
    ("summary", "_summary", "query", "code", "`true`, `text`, `data`, `count` or `false`"),
    ("total", "_total", "query", "code", "`none`, `estimate` or `accurate`"),
    ("type", "type", "path", "code", "A resource type"),
    ("types", "_type", "query", "string", "Resource types, with commas between them"),
];

/// All components, with these schemas and a body and an answer for each of these types.
pub(super) fn of<'t>(
    types: impl Iterator<Item = &'t str>,
    mut schemas: Map<String, Value>,
) -> Value {
    let (mut bodies, mut responses) = (Map::new(), Map::new());
    for name in types.chain(["Bundle", "CapabilityStatement", "OperationOutcome", "Parameters"]) {
        let schema = component("schemas", name);
        bodies.insert(name.to_owned(), body(&schema));
        responses.insert(name.to_owned(), answer(&format!("A {name}"), &schema));
    }
    bodies.insert("patch".to_owned(), patch());
    bodies.insert("search".to_owned(), search());
    for (name, description) in
        [("nothing", "Done; there is nothing to show"), ("known", "The client has it already")]
    {
        responses.insert(name.to_owned(), json!({"description": description}));
    }
    let refused = answer(
        "Refused; what is wrong, each with its element",
        &component("schemas", "OperationOutcome"),
    );
    responses.insert("refused".to_owned(), refused);
    let written = json!({"anyOf": [component("schemas", "Resource"), {"type": "null"}]});
    responses.insert("written".to_owned(), answer("What was written, as `Prefer` says", &written));
    for name in ["code", "dateTime", "id", "instant", "string", "unsignedInt"] {
        schemas.entry(name).or_insert_with(|| super::schemas::primitive(name));
    }
    json!({
        "parameters": parameters(),
        "requestBodies": bodies,
        "responses": responses,
        "schemas": schemas,
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
    })
}

fn parameters() -> Map<String, Value> {
    let one = |(key, name, place, schema, description): (&str, &str, &str, &str, &str)| {
        let parameter = json!({
            "name": name,
            "in": place,
            "required": place == "path",
            "description": description,
            "schema": component("schemas", schema),
        });
        (key.to_owned(), parameter)
    };
    PARAMETERS.into_iter().map(one).collect()
}

fn body(schema: &Value) -> Value {
    json!({"required": true, "content": {JSON: {"schema": schema}}})
}

fn answer(description: &str, schema: &Value) -> Value {
    json!({
        "description": description,
        "content": {JSON: {"schema": schema}, XML: {"schema": {"type": "string"}}},
    })
}

/// JSON Patch, or FHIRPath Patch.
fn patch() -> Value {
    let operation = json!({
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"enum": ["add", "copy", "move", "remove", "replace", "test"]},
            "path": {"type": "string", "pattern": "^(/[^/]*)*$"},
            "from": {"type": "string", "pattern": "^(/[^/]*)*$"},
            "value": {},
        },
    });
    json!({
        "required": true,
        "content": {
            "application/json-patch+json": {"schema": {"type": "array", "items": operation}},
            JSON: {"schema": component("schemas", "Parameters")},
        },
    })
}

/// Search parameters in a body.
fn search() -> Value {
    let schema = json!({"type": "object", "additionalProperties": {"type": "string"}});
    json!({"content": {"application/x-www-form-urlencoded": {"schema": schema}}})
}

//! The paths of the server, of a base and of a resource type, with what can be done at each.

use cresset_definitions::{Definitions, FhirVersion};
use serde_json::{Value, json};

use super::{Paths, component, operations};
use crate::capability::{CapabilityFacts, ResourceFacts, SearchParameterFacts};

/// What a search may have besides search parameters.
const OF_SEARCHES: [&str; 10] = [
    "count",
    "elements",
    "if-none-match",
    "include",
    "last-updated",
    "prefer",
    "revinclude",
    "sort",
    "summary",
    "total",
];

/// An operation in OpenAPI's sense, in the making.
#[derive(Clone, Copy)]
pub(super) struct Operation<'o> {
    /// Its name; with the tag it is the operation's id.
    pub(super) name: &'o str,
    /// The resource type that it is about, or what else.
    pub(super) tag: &'o str,
    /// Parameters by their components.
    pub(super) parameters: &'o [&'o str],
    /// The body's component.
    pub(super) body: Option<&'o str>,
    /// Status and component of what it answers when all is well.
    pub(super) answers: &'o [(&'o str, &'o str)],
}

impl Operation<'_> {
    pub(super) fn render(&self) -> Value {
        let refused = component("responses", "refused");
        let mut responses = json!({"4XX": refused, "5XX": refused});
        for (status, name) in self.answers {
            responses[*status] = component("responses", name);
        }
        let parameters = self.parameters.iter().map(|name| component("parameters", name));
        let mut operation = json!({
            "operationId": format!("{}-{}", self.tag, self.name),
            "tags": [self.tag],
            "parameters": parameters.collect::<Vec<_>>(),
            "responses": responses,
        });
        if let Some(body) = self.body {
            operation["requestBody"] = component("requestBodies", body);
        }
        operation
    }
}

/// Health and what operators ask.
pub(super) fn of_server(version: FhirVersion, paths: &mut Paths) {
    let get = |name: &str, content: &str, schema: &Value, parameters: &[&str]| {
        let parameters = parameters.iter().map(|name| component("parameters", name));
        let (answer, refused) = (json!({"schema": schema}), component("responses", "refused"));
        json!({"get": {
            "operationId": format!("server-{name}"),
            "tags": ["server"],
            "parameters": parameters.collect::<Vec<_>>(),
            "responses": {
                "200": {"description": "As asked", "content": {content: answer}},
                "4XX": refused,
                "503": {"description": "Not now"},
            },
        }})
    };
    let (text, object) = (json!({"type": "string"}), json!({"type": "object"}));
    for (path, name) in [("/health/live", "live"), ("/health/ready", "ready")] {
        paths.insert(path.to_owned(), get(name, "text/plain", &text, &[]));
    }
    let json = "application/json";
    paths.insert("/admin/delivery".to_owned(), get("delivery", json, &object, &[]));
    let attempts = get("attempts", json, &object, &["id"]);
    paths.insert("/admin/subscriptions/{id}/attempts".to_owned(), attempts);
    let bundle = component("schemas", "Bundle");
    let mut audit = get("audit", "application/fhir+json", &bundle, &["count"]);
    if let Some(parameters) = audit["get"]["parameters"].as_array_mut() {
        parameters.extend([("since", "instant"), ("subscription", "id")].map(|(name, schema)| {
            json!({"name": name, "in": "query", "schema": component("schemas", schema)})
        }));
    }
    paths.insert(format!("/admin/audit/{}", version.path()), audit);
    let mut recover = get("recover", json, &object, &[]);
    recover["get"]["requestBody"] = json!({"required": true, "content": {json: {"schema": {
        "type": "object",
        "required": ["since"],
        "properties": {
            "endpoint": {"type": "string"},
            "topic": {"type": "string"},
            "since": component("schemas", "instant"),
        },
        "additionalProperties": false,
    }}}});
    paths.insert("/admin/recover".to_owned(), json!({"post": recover["get"]}));
}

/// What is asked of a base as a whole.
pub(super) fn of_base(version: FhirVersion, paths: &mut Paths) {
    let base = format!("/{}", version.path());
    let of = |name, parameters, body, answer| {
        let answers = &[("200", answer)];
        Operation { name, tag: "base", parameters, body, answers }.render()
    };
    let search = &[&OF_SEARCHES[..], &["types"]].concat()[..];
    let mut search = of("search", search, None, "Bundle");
    search["responses"]["304"] = component("responses", "known");
    let bundle = of("bundle", &["prefer"], Some("Bundle"), "Bundle");
    paths.insert(base.clone(), json!({"get": search, "post": bundle}));
    let by_post = of("search-by-post", &["types"], Some("search"), "Bundle");
    paths.insert(format!("{base}/_search"), json!({"post": by_post}));
    let history = of("history", &["at", "count", "since"], None, "Bundle");
    paths.insert(format!("{base}/_history"), json!({"get": history}));
    let metadata = of("metadata", &[], None, "CapabilityStatement");
    paths.insert(format!("{base}/metadata"), json!({"get": metadata}));
    let mut description = of("openapi", &["types"], None, "nothing");
    description["responses"]["200"] = json!({
        "description": "This description, or that of some types",
        "content": {"application/json": {"schema": {"type": "object"}}},
    });
    paths.insert(format!("{base}/openapi.json"), json!({"get": description}));
}

/// What can be done with resources of a type.
pub(super) fn of_type(
    version: FhirVersion,
    facts: &CapabilityFacts<'_>,
    resource: &ResourceFacts<'_>,
    paths: &mut Paths,
) {
    let tag = resource.resource_type;
    let root = format!("/{}/{tag}", version.path());
    let of = |name, parameters, body, answers| {
        Operation { name, tag, parameters, body, answers }.render()
    };
    let one = [("200", tag)];
    let (bundle, validated) = (&[("200", "Bundle")][..], &[("200", "OperationOutcome")][..]);
    paths.insert(root.clone(), whole_type(resource));
    paths.insert(format!("{root}/{{id}}"), instance(tag));
    let by_post = of("search-by-post", &[], Some("search"), bundle);
    paths.insert(format!("{root}/_search"), json!({"post": by_post}));
    let history = of("history", &["at", "count", "since"], None, bundle);
    paths.insert(format!("{root}/_history"), json!({"get": history}));
    let history = of("history-instance", &["id", "at", "count", "since"], None, bundle);
    paths.insert(format!("{root}/{{id}}/_history"), json!({"get": history}));
    let vread = of("vread", &["id", "number"], None, &one);
    paths.insert(format!("{root}/{{id}}/_history/{{number}}"), json!({"get": vread}));
    let validate = of("validate", &[], Some(tag), validated);
    paths.insert(format!("{root}/$validate"), json!({"post": validate}));
    let validate = of("validate-instance", &["id"], Some(tag), validated);
    paths.insert(format!("{root}/{{id}}/$validate"), json!({"post": validate}));
    if facts.system_search && Definitions::of(version).compartments().any(|one| one == tag) {
        let parameters = &[&["id", "type"][..], &OF_SEARCHES].concat()[..];
        let found = &[("200", "Bundle"), ("304", "known")];
        let search = of("compartment", parameters, None, found);
        paths.insert(format!("{root}/{{id}}/{{type}}"), json!({"get": search}));
        let by_post = of("compartment-by-post", &["id", "type"], Some("search"), bundle);
        paths.insert(format!("{root}/{{id}}/{{type}}/_search"), json!({"post": by_post}));
    }
    operations::of_type(version, facts, tag, paths);
}

/// Search, create, and what is done to what criteria find.
fn whole_type(resource: &ResourceFacts<'_>) -> Value {
    let tag = resource.resource_type;
    let mut search = Operation {
        name: "search",
        tag,
        parameters: &OF_SEARCHES,
        body: None,
        answers: &[("200", "Bundle"), ("304", "known")],
    }
    .render();
    if let Some(parameters) = search["parameters"].as_array_mut() {
        parameters.extend(resource.search_parameters.iter().filter_map(search_parameter));
    }
    let written = [("200", "written"), ("201", "written"), ("204", "nothing")];
    let create = ["if-none-exist", "prefer"];
    let create =
        Operation { name: "create", tag, parameters: &create, body: Some(tag), answers: &written };
    let found = ["if-match", "prefer"];
    let update = Operation {
        name: "update-found",
        tag,
        parameters: &found,
        body: Some(tag),
        answers: &written,
    };
    let patch = Operation { name: "patch-found", body: Some("patch"), ..update };
    let delete = Operation { name: "delete-found", body: None, ..update };
    let by_criteria = |operation: &Operation<'_>| {
        let mut rendered = operation.render();
        if let Some(parameters) = rendered["parameters"].as_array_mut() {
            parameters.push(criteria());
        }
        rendered
    };
    json!({
        "get": search,
        "post": create.render(),
        "put": by_criteria(&update),
        "patch": by_criteria(&patch),
        "delete": by_criteria(&delete),
    })
}

/// Search parameters in the query of what is no search.
fn criteria() -> Value {
    json!({
        "name": "criteria",
        "in": "query",
        "style": "form",
        "explode": true,
        "schema": {"type": "object", "additionalProperties": {"type": "string"}},
    })
}

/// A search parameter; `_lastUpdated` is among those of all searches.
fn search_parameter(parameter: &SearchParameterFacts<'_>) -> Option<Value> {
    let schema = format!("search-{}", parameter.kind.code());
    (parameter.code != "_lastUpdated").then(
        || json!({"name": parameter.code, "in": "query", "schema": component("schemas", &schema)}),
    )
}

fn instance(tag: &str) -> Value {
    let written = [("200", "written"), ("201", "written"), ("204", "nothing")];
    let read = Operation {
        name: "read",
        tag,
        parameters: &["id", "if-modified-since", "if-none-match"],
        body: None,
        answers: &[("200", tag), ("304", "known")],
    };
    let write = ["id", "if-match", "if-new", "prefer"];
    let update =
        Operation { name: "update", tag, parameters: &write, body: Some(tag), answers: &written };
    let patch = Operation { name: "patch", body: Some("patch"), ..update };
    let delete = Operation { name: "delete", body: None, ..update };
    json!({
        "get": read.render(),
        "put": update.render(),
        "patch": patch.render(),
        "delete": delete.render(),
    })
}

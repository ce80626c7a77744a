//! FHIR REST on resources.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use cresset_definitions::FhirVersion;
use cresset_model::IssueCode;
use cresset_node::{Error, Kind, Representation};

use crate::context::{Answer, Context, Request, version_of};
use crate::negotiate::{self, Return};
use crate::outcome::Refusal;
use crate::{operations, respond};

/// `GET [base]/metadata`
pub(crate) async fn metadata(
    State(context): State<Context>,
    Path(version): Path<String>,
    request: Request,
) -> Answer<Response> {
    let version = version_of(&version)?;
    request.check_accept(version)?;
    Ok(respond::json(version, context.node.capability_statement(version)))
}

/// `GET [base]/openapi.json`, of the types that `_type` names.
pub(crate) async fn openapi(
    State(context): State<Context>,
    Path(version): Path<String>,
    request: Request,
) -> Answer<Response> {
    let version = version_of(&version)?;
    let parameters = request.parameters().into_iter().filter(|(name, _)| name == "_type");
    let types: Vec<String> = parameters.map(|(_, types)| types).collect();
    // Of all types it is some megabytes: too long to keep a thread that serves connections.
    let rendered = tokio::task::spawn_blocking(move || {
        let types = types.iter().flat_map(|types| types.split(','));
        let types: Vec<&str> = types.filter(|name| !name.is_empty()).collect();
        context.node.openapi(version, &types)
    });
    let body = rendered.await.map_err(Error::internal)??;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// `POST [base]`
pub(crate) async fn bundle(
    State(context): State<Context>,
    Path(version): Path<String>,
    request: Request,
    body: Body,
) -> Answer<Response> {
    let version = version_of(&version)?;
    let caller = request.caller(&context, version)?;
    let bytes = request.json_body(&context, version, body).await?;
    let explicit = request.headers.contains_key("prefer");
    let representation = match negotiate::wanted_return(&request.headers) {
        Return::Representation if explicit => Representation::Full,
        Return::Outcome => Representation::Outcome,
        Return::Minimal | Return::Representation => Representation::None,
    };
    let answer = context.node.bundle(&caller, version, bytes, representation).await?;
    Ok(respond::json(version, answer))
}

/// `POST [base]/[type]`
pub(crate) async fn create(
    State(context): State<Context>,
    Path((version, resource_type)): Path<(String, String)>,
    request: Request,
    body: Body,
) -> Answer<Response> {
    let version = version_of(&version)?;
    let caller = request.caller(&context, version)?;
    let bytes = request.json_body(&context, version, body).await?;
    let written = match request.headers.get("if-none-exist") {
        Some(criteria) => {
            let criteria = criteria.to_str().map_err(|_| unreadable_criteria())?;
            let target = (resource_type.as_str(), criteria);
            context.node.create_unless_found(&caller, version, target, bytes).await?
        }
        None => context.node.create(&caller, version, &resource_type, bytes).await?,
    };
    Ok(respond::written_as_wanted(&context, version, &request, &written))
}

/// `GET [base]/[type]/[id]`, or an operation on the type.
pub(crate) async fn read(
    State(context): State<Context>,
    Path((version, resource_type, id)): Path<(String, String, String)>,
    request: Request,
) -> Answer<Response> {
    let version = version_of(&version)?;
    if id.starts_with('$') {
        return operations::on_type_by_get(&context, version, &resource_type, &id, &request).await;
    }
    let stored = read_stored(&context, version, (&resource_type, &id), &request).await;
    let Err(Refusal(error)) = &stored else { return stored };
    // The server's own definitions are for all to read, as the CapabilityStatement is.
    let is_hidden = matches!(
        error.kind(),
        Kind::Forbidden | Kind::Gone | Kind::NotFound | Kind::Unauthenticated
    );
    let built_in = is_hidden.then(|| context.node.built_in(version, &resource_type, &id));
    let Some(body) = built_in.flatten() else { return stored };
    request.check_accept(version)?;
    Ok(respond::json(version, body))
}

async fn read_stored(
    context: &Context,
    version: FhirVersion,
    (resource_type, id): (&str, &str),
    request: &Request,
) -> Answer<Response> {
    let caller = request.caller(context, version)?;
    let change = context.node.read(&caller, version, resource_type, id).await?;
    if negotiate::is_known(&request.headers, &change) {
        return Ok(respond::not_modified(&change));
    }
    Ok(respond::resource(version, &change))
}

/// `GET [base]/[type]/[id]/_history/[version]`
pub(crate) async fn read_version(
    State(context): State<Context>,
    Path((version, resource_type, id, number)): Path<(String, String, String, String)>,
    request: Request,
) -> Answer<Response> {
    let version = version_of(&version)?;
    let caller = request.caller(&context, version)?;
    let change = context.node.read_version(&caller, version, &resource_type, &id, &number).await?;
    Ok(respond::resource(version, &change))
}

/// `PUT [base]/[type]/[id]`
pub(crate) async fn update(
    State(context): State<Context>,
    Path((version, resource_type, id)): Path<(String, String, String)>,
    request: Request,
    body: Body,
) -> Answer<Response> {
    let version = version_of(&version)?;
    let caller = request.caller(&context, version)?;
    let condition = negotiate::condition(&request.headers)?;
    let bytes = request.json_body(&context, version, body).await?;
    let target = (resource_type.as_str(), id.as_str());
    let written = context.node.update(&caller, version, target, condition, bytes).await?;
    Ok(respond::written_as_wanted(&context, version, &request, &written))
}

/// `DELETE [base]/[type]/[id]`
pub(crate) async fn delete(
    State(context): State<Context>,
    Path((version, resource_type, id)): Path<(String, String, String)>,
    request: Request,
) -> Answer<Response> {
    let version = version_of(&version)?;
    let caller = request.caller(&context, version)?;
    let condition = negotiate::condition(&request.headers)?;
    let target = (resource_type.as_str(), id.as_str());
    let written = context.node.delete(&caller, version, target, condition).await?;
    let base_url = context.node.base_url_of(version);
    Ok(respond::written(version, &base_url, &written, Return::Minimal))
}

fn unreadable_criteria() -> Error {
    let text = "If-None-Exist must be search parameters in ASCII, such as identifier=system|value";
    Error::of(Kind::Malformed, IssueCode::InvalidPrecondition, text)
}

/// For handlers that need to name the version in a refusal.
pub(crate) fn unknown_operation(version: FhirVersion, name: &str) -> Refusal {
    let text = format!("there is no operation {name} here; see /{}/metadata", version.path());
    Refusal(Error::of(Kind::NotFound, IssueCode::UnknownPath, text))
}

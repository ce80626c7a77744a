//! PATCH, by id and conditional, and the other conditional interactions on a type.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::Response;
use cresset_definitions::FhirVersion;
use cresset_model::IssueCode;
use cresset_node::{Error, Kind, Patch, Target};

use crate::context::{Answer, Context, Request, read_body, version_of};
use crate::negotiate::{self, Return};
use crate::respond;

/// The media type of JSON Patch (RFC 6902).
const JSON_PATCH: &str = "application/json-patch+json";

/// `PATCH [base]/[type]/[id]`
pub(crate) async fn patch(
    State(context): State<Context>,
    Path((version, resource_type, id)): Path<(String, String, String)>,
    request: Request,
    body: Body,
) -> Answer<Response> {
    let version = version_of(&version)?;
    patch_target(&context, version, (&resource_type, Target::Id(id)), request, body).await
}

/// `PATCH [base]/[type]?criteria`
pub(crate) async fn patch_found(
    State(context): State<Context>,
    Path((version, resource_type)): Path<(String, String)>,
    request: Request,
    body: Body,
) -> Answer<Response> {
    let version = version_of(&version)?;
    let target = Target::Query(request.query.clone());
    patch_target(&context, version, (&resource_type, target), request, body).await
}

async fn patch_target(
    context: &Context,
    version: FhirVersion,
    target: (&str, Target),
    request: Request,
    body: Body,
) -> Answer<Response> {
    let caller = request.caller(context, version)?;
    let condition = negotiate::condition(&request.headers)?;
    let content_type = negotiate::text(&request.headers, header::CONTENT_TYPE).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is_json_patch = essence.eq_ignore_ascii_case(JSON_PATCH);
    if !is_json_patch && negotiate::check_content_type(version, &request.headers).is_err() {
        let text = "send a JSON Patch as application/json-patch+json, or a FHIRPath Patch \
                    (Parameters) as application/fhir+json or application/fhir+xml";
        let code = IssueCode::UnsupportedMediaType;
        return Err(Error::of(Kind::UnsupportedMediaType, code, text).into());
    }
    let bytes = read_body(context, &request.headers, body).await?;
    let patch = Patch::parse(&bytes, is_json_patch)?;
    let written = context.node.patch(&caller, version, target, condition, patch).await?;
    Ok(respond::written_as_wanted(context, version, &request, &written))
}

/// `PUT [base]/[type]?criteria`
pub(crate) async fn update_found(
    State(context): State<Context>,
    Path((version, resource_type)): Path<(String, String)>,
    request: Request,
    body: Body,
) -> Answer<Response> {
    let version = version_of(&version)?;
    let caller = request.caller(&context, version)?;
    let condition = negotiate::condition(&request.headers)?;
    let bytes = request.json_body(&context, version, body).await?;
    let target = (resource_type.as_str(), request.query.as_str());
    let written = context.node.update_found(&caller, version, target, condition, bytes).await?;
    Ok(respond::written_as_wanted(&context, version, &request, &written))
}

/// `DELETE [base]/[type]?criteria`
pub(crate) async fn delete_found(
    State(context): State<Context>,
    Path((version, resource_type)): Path<(String, String)>,
    request: Request,
) -> Answer<Response> {
    let version = version_of(&version)?;
    let caller = request.caller(&context, version)?;
    let condition = negotiate::condition(&request.headers)?;
    let target = (resource_type.as_str(), request.query.as_str());
    let written = context.node.delete_found(&caller, version, target, condition).await?;
    let base_url = context.node.base_url_of(version);
    Ok(respond::written(version, &base_url, &written, Return::Minimal))
}

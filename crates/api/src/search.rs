//! Search: of a type, of a compartment, of the whole base; by GET and by POST.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use cresset_definitions::FhirVersion;
use cresset_model::IssueCode;
use cresset_node::{Error, Kind, SearchRequest, SearchTarget};

use crate::context::{Answer, Context, Request, read_body, version_of};
use crate::formats::Wish;
use crate::outcome::Refusal;
use crate::{negotiate, respond};

/// `GET [base]/[type]`
pub(crate) async fn of_type(
    State(context): State<Context>,
    Path((version, resource_type)): Path<(String, String)>,
    request: Request,
) -> Answer<Response> {
    by_get(&context, version_of(&version)?, SearchTarget::Type(&resource_type), &request).await
}

/// `POST [base]/[type]/_search`
pub(crate) async fn of_type_by_post(
    State(context): State<Context>,
    Path((version, resource_type)): Path<(String, String)>,
    request: Request,
    body: Body,
) -> Answer<Response> {
    let target = SearchTarget::Type(&resource_type);
    by_post(&context, version_of(&version)?, target, (&request, body)).await
}

/// `GET [base]`
pub(crate) async fn of_system(
    State(context): State<Context>,
    Path(version): Path<String>,
    request: Request,
) -> Answer<Response> {
    by_get(&context, version_of(&version)?, SearchTarget::System, &request).await
}

/// `POST [base]/_search`
pub(crate) async fn of_system_by_post(
    State(context): State<Context>,
    Path(version): Path<String>,
    request: Request,
    body: Body,
) -> Answer<Response> {
    by_post(&context, version_of(&version)?, SearchTarget::System, (&request, body)).await
}

/// `GET [base]/[compartment]/[id]/[type]`; `*` for all types.
pub(crate) async fn of_compartment(
    context: &Context,
    version: FhirVersion,
    (compartment, id, resource_type): (&str, &str, &str),
    request: &Request,
) -> Answer<Response> {
    by_get(context, version, SearchTarget::in_compartment(compartment, id, resource_type), request)
        .await
}

/// `POST [base]/[compartment]/[id]/[type]/_search`
pub(crate) async fn of_compartment_by_post(
    State(context): State<Context>,
    Path((version, compartment, id, resource_type)): Path<(String, String, String, String)>,
    request: Request,
    body: Body,
) -> Answer<Response> {
    let target = SearchTarget::in_compartment(&compartment, &id, &resource_type);
    by_post(&context, version_of(&version)?, target, (&request, body)).await
}

async fn by_get(
    context: &Context,
    version: FhirVersion,
    target: SearchTarget<'_>,
    request: &Request,
) -> Answer<Response> {
    let caller = request.caller(context, version)?;
    let search = SearchRequest {
        parameters: request.parameters(),
        lenient: negotiate::is_lenient(&request.headers),
    };
    let answer = context.node.search(&caller, version, target, &search).await?;
    if is_known(&request.headers, &answer.etag) {
        return Ok(respond::search_not_modified(&answer.etag));
    }
    Ok(respond::search(version, answer))
}

async fn by_post(
    context: &Context,
    version: FhirVersion,
    target: SearchTarget<'_>,
    (request, body): (&Request, Body),
) -> Answer<Response> {
    let caller = request.authenticated(context)?;
    let content_type = negotiate::text(&request.headers, header::CONTENT_TYPE).unwrap_or_default();
    if !content_type.starts_with("application/x-www-form-urlencoded") {
        let text = "send the search as application/x-www-form-urlencoded";
        let code = IssueCode::UnsupportedMediaType;
        return Err(Refusal(Error::of(Kind::UnsupportedMediaType, code, text)));
    }
    let bytes = read_body(context, &request.headers, body).await?;
    let form = SearchRequest::parse(&String::from_utf8_lossy(&bytes)).parameters;
    let wish = Wish::read(version, &form)?;
    if !wish.names_format() {
        request.check_accept(version)?;
    }
    let parameters = request.parameters().into_iter().chain(form).collect();
    let search = SearchRequest { parameters, lenient: negotiate::is_lenient(&request.headers) };
    let mut answer = match context.node.search(&caller, version, target, &search).await {
        Ok(answer) => respond::search(version, answer),
        Err(error) => Refusal(error).into_response(),
    };
    answer.extensions_mut().insert(wish);
    Ok(answer)
}

/// Whether the client has the answer with this entity tag (`If-None-Match`, compared weakly).
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let lines = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(',')).map(opaque);
    tags.any(|tag| tag == "*" || tag == opaque(etag))
}

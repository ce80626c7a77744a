//! FHIR REST on resources.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::Response;
use cresset_definitions::FhirVersion;
use cresset_fhir::{HistoryEntry, HistoryPage, render_history};
use cresset_model::{IssueCode, VersionId};
use cresset_node::{Error, HISTORY_PAGE_MAX, Kind, Representation};

use crate::context::{Answer, Context, Request, version_of};
use crate::negotiate::{self, Return};
use crate::outcome::Refusal;
use crate::{operations, respond};

/// Versions on a page of a history when the client names no `_count`.
const HISTORY_COUNT_DEFAULT: usize = 100;

/// `GET [base]/metadata`
pub(crate) async fn metadata(
    State(context): State<Context>,
    Path(version): Path<String>,
    request: Request,
) -> Answer<Response> {
    let version = version_of(&version)?;
    let parameters = request.parameters();
    let format = parameters.iter().find_map(|(name, value)| (name == "_format").then_some(value));
    negotiate::check_accept(version, &request.headers, format.map(String::as_str))?;
    Ok(respond::json(version, context.node.capability_statement(version)))
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
        Return::Representation | Return::Minimal | Return::Outcome => Representation::None,
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
    if request.headers.contains_key("if-none-exist") {
        let text = "conditional create is not supported";
        let code = IssueCode::UnsupportedSearch;
        return Err(Refusal(Error::of(Kind::Unprocessable, code, text)));
    }
    let bytes = request.json_body(&context, version, body).await?;
    let written = context.node.create(&caller, version, &resource_type, bytes).await?;
    let base_url = context.node.base_url_of(version);
    let wanted = negotiate::wanted_return(&request.headers);
    Ok(respond::written(version, &base_url, &written, wanted))
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
    let caller = request.caller(&context, version)?;
    let change = context.node.read(&caller, version, &resource_type, &id).await?;
    let known =
        negotiate::text(&request.headers, header::IF_NONE_MATCH).and_then(negotiate::etag_version);
    if known == Some(change.version) {
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
    let base_url = context.node.base_url_of(version);
    let wanted = negotiate::wanted_return(&request.headers);
    Ok(respond::written(version, &base_url, &written, wanted))
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

/// `GET [base]/[type]/[id]/_history`
pub(crate) async fn history(
    State(context): State<Context>,
    Path((version, resource_type, id)): Path<(String, String, String)>,
    request: Request,
) -> Answer<Response> {
    let version = version_of(&version)?;
    let caller = request.caller(&context, version)?;
    let page = history_page(&request)?;
    let target = (resource_type.as_str(), id.as_str());
    let found = context.node.history(&caller, version, target, page.before, page.count).await?;
    let base_url = context.node.base_url_of(version);
    let url = |before: Option<VersionId>| {
        let before = before.map(|before| format!("&_before={before}")).unwrap_or_default();
        format!("{base_url}/{resource_type}/{id}/_history?_count={}{before}", page.count)
    };
    let entries: Vec<HistoryEntry<'_>> = found
        .changes
        .iter()
        .map(|change| HistoryEntry {
            resource_type: &change.key.resource_type,
            id: &change.key.id,
            version: change.version,
            interaction: change.interaction,
            at: change.at,
            body: &change.body,
        })
        .collect();
    let next_url = found.before.map(|before| url(Some(before)));
    let bundle = render_history(&HistoryPage {
        base_url: &base_url,
        self_url: &url(page.before),
        next_url: next_url.as_deref(),
        total: Some(found.total),
        entries: &entries,
    });
    Ok(respond::json(version, bundle))
}

/// The part of a history that a request asks for.
struct Page {
    count: usize,
    before: Option<VersionId>,
}

fn history_page(request: &Request) -> Result<Page, Error> {
    let mut page = Page { count: HISTORY_COUNT_DEFAULT, before: None };
    for (name, value) in request.parameters() {
        let bad = || {
            let text =
                format!("`{name}` is not a parameter of an instance's history, or has a bad value");
            Error::of(Kind::Malformed, IssueCode::InvalidParameter, text)
        };
        match name.as_str() {
            "_count" => {
                page.count = value.parse::<usize>().map_err(|_| bad())?.clamp(1, HISTORY_PAGE_MAX);
            }
            "_before" => {
                let number = value.parse().ok().and_then(VersionId::new);
                page.before = Some(number.ok_or_else(bad)?);
            }
            "_format" | "_pretty" => {}
            _ => return Err(bad()),
        }
    }
    Ok(page)
}

/// For handlers that need to name the version in a refusal.
pub(crate) fn unknown_operation(version: FhirVersion, name: &str) -> Refusal {
    let text = format!("there is no operation {name} here; see /{}/metadata", version.path());
    Refusal(Error::of(Kind::NotFound, IssueCode::UnknownPath, text))
}

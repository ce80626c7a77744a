//! What a page says that cannot be shown, and the headers of all of them.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cresset_model::{Issue, Severity};
use cresset_node::Error;

use crate::context::{Context, not_found, status_of};
use crate::page::{Page, html};

/// What a page may load and do: nothing of elsewhere, and no script or style within it.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; \
    frame-ancestors 'none'; base-uri 'none'";

/// An error on its way to its page, which [`dress`] makes.
pub(crate) struct Failure(pub(crate) Error);

/// The same, as what a response carries.
#[derive(Clone)]
struct Cause(Arc<Error>);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = status_of(&self.0).into_response();
        response.extensions_mut().insert(Cause(Arc::new(self.0)));
        response
    }
}

/// What a handler answers.
pub(crate) type Answer = Result<Response, Failure>;

/// One thing that is wrong, or worth telling.
pub(crate) struct Told {
    pub(crate) severity: &'static str,
    pub(crate) text: String,
    /// Where.
    pub(crate) element: String,
    pub(crate) code: &'static str,
}

impl Told {
    pub(crate) fn of(issue: &Issue) -> Self {
        let severity = match issue.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Information => "information",
        };
        let element = issue.expression.clone().unwrap_or_default();
        Self { severity, text: issue.text.clone(), element, code: issue.code.as_str() }
    }
}

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage {
    page: Page,
    title: String,
    issues: Vec<Told>,
}

/// `/console/…`, where nothing is.
pub(crate) async fn unknown_path() -> Answer {
    Err(not_found("there is no such page").into())
}

/// Gives an error its page, and every answer its headers.
pub(crate) async fn dress(
    State(context): State<Context>,
    request: Request,
    next: Next,
) -> Response {
    let session = context.sessions.of(request.headers());
    let mut response = next.run(request).await;
    if let Some(Cause(error)) = response.extensions_mut().remove::<Cause>() {
        let status = response.status();
        if status.is_server_error() {
            tracing::error!(error = &*error as &dyn std::error::Error, "a page failed");
        }
        let page = Page::new(&context, session.as_ref(), "");
        let title = status.canonical_reason().unwrap_or("Failed").to_owned();
        let issues = error.issues().0.iter().map(Told::of).collect();
        response = (status, html(&FailurePage { page, title, issues })).into_response();
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        // With `no-referrer`, forms would have the origin `null`.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

//! From a refusal to an HTTP answer with an OperationOutcome.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cresset_fhir::render_outcome;
use cresset_node::{Error, Kind};
use uuid::Uuid;

/// Seconds after which a client may try again when the server cannot answer just now.
const RETRY_AFTER: &str = "1";

/// The MIME type of OperationOutcomes and everything else that has no version to name.
pub(crate) const FHIR_JSON: &str = "application/fhir+json";

/// An error on its way to the client.
pub(crate) struct Refusal(pub(crate) Error);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let status = StatusCode::from_u16(error.kind().http_status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut issues = error.issues().clone();
        if status.is_server_error() {
            let request = Uuid::now_v7();
            tracing::error!(
                request.id = %request,
                error = &error as &dyn std::error::Error,
                "a request failed"
            );
            for issue in &mut issues.0 {
                issue.text = format!("{} (request {request})", issue.text);
            }
        }
        let body = render_outcome(&issues);
        let mut response = (status, [(header::CONTENT_TYPE, FHIR_JSON)], body).into_response();
        let headers = response.headers_mut();
        match error.kind() {
            Kind::Throttled | Kind::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
            }
            Kind::Unauthenticated => {
                let challenge = HeaderValue::from_static("Bearer realm=\"cresset\"");
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            Kind::Conflict
            | Kind::Forbidden
            | Kind::Gone
            | Kind::Internal
            | Kind::Malformed
            | Kind::MethodNotAllowed
            | Kind::NotAcceptable
            | Kind::NotFound
            | Kind::Timeout
            | Kind::TooCostly
            | Kind::TooLarge
            | Kind::Unprocessable
            | Kind::UnsupportedMediaType
            | Kind::VersionMismatch => {}
        }
        response
    }
}

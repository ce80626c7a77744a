//! The paths that Medplum's client has built in (docs/clients.md): `/fhir/R4/…`, which is `/r4/…`
//! here, and the websocket `/ws/subscriptions-r4`.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use cresset_definitions::FhirVersion;
use tower::ServiceExt as _;

use crate::context::Context;
use crate::{fallback, websocket};

/// Where its client looks for FHIR.
const FHIR: &str = "/fhir/R4";

/// The routes with those paths beside their own.
pub(crate) fn with_paths(routes: Router, context: &Context) -> Router {
    let own = routes.clone();
    let socket = any(websocket::upgrade_for_medplum).with_state(context.clone());
    let fhir = any(move |request: Request| renamed(own.clone(), request));
    routes
        .route("/ws/subscriptions-r4", socket)
        .route(FHIR, fhir.clone())
        .route("/fhir/R4/{*path}", fhir)
}

/// Answers as the same request to the base of R4.
async fn renamed(routes: Router, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(uri) = own_uri(&parts.uri) else {
        return fallback::unknown_path().await.into_response();
    };
    // A new one: what routing has noted in the old one is about another path.
    let mut own = Request::new(Body::new(body));
    *own.method_mut() = parts.method;
    *own.headers_mut() = parts.headers;
    *own.uri_mut() = uri;
    match routes.oneshot(own).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn own_uri(uri: &Uri) -> Option<Uri> {
    let rest = uri.path_and_query()?.as_str().strip_prefix(FHIR)?;
    let own = format!("/{}{rest}", FhirVersion::R4.path());
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(own).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_medplums_is_one_of_r4s() {
        for (given, own) in [
            ("/fhir/R4", "/r4"),
            ("/fhir/R4/Patient?name=a%20b", "/r4/Patient?name=a%20b"),
            ("http://a.test/fhir/R4/Patient/p", "http://a.test/r4/Patient/p"),
        ] {
            let uri = own_uri(&given.parse().unwrap()).unwrap();
            assert_eq!(uri.to_string(), own);
        }
    }
}

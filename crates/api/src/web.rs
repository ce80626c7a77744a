//! What the web asks of every answer: CORS for pages of other origins, gzip, and word of how it may
//! be kept.
//!
//! All stand around everything else, so that refusals have them too. Behind them a body is what it is
//! without gzip: its bound is that of what it unpacks to.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use cresset_model::IssueCode;
use cresset_node::{Error, Kind};
use tower_http::CompressionLevel;
use tower_http::compression::{CompressionLayer, predicate::SizeAbove};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tower_http::decompression::RequestDecompressionLayer;

use crate::negotiate;
use crate::outcome::Refusal;

/// Answers smaller than this are sent as they are: they fit one packet anyway.
const GZIP_BYTES_MIN: u16 = 1024;
/// How long a browser may remember what a preflight answered.
const PREFLIGHT_AGE: Duration = Duration::from_secs(10 * 60);
/// Stands for every origin.
const ANY: &str = "*";

/// Puts CORS for these origins and gzip around all routes.
pub(crate) fn layered(router: Router, origins: &[String]) -> Router {
    // One layer of several, from the outside in, which costs each request less.
    let router = router.layer((
        CompressionLayer::new()
            .quality(CompressionLevel::Fastest)
            .compress_when(SizeAbove::new(GZIP_BYTES_MIN)),
        middleware::from_fn(check_encoding),
        RequestDecompressionLayer::new(),
        middleware::map_response(with_caching),
    ));
    match cors(origins) {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

/// Whether pages of an origin may use the server.
pub(crate) fn is_allowed(origins: &[String], origin: &str) -> bool {
    origins.iter().any(|one| one == ANY || one == origin)
}

/// What pages of these origins may do; nothing where there are none.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let layer = CorsLayer::new()
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([
            header::CONTENT_LOCATION,
            header::ETAG,
            header::LAST_MODIFIED,
            header::LOCATION,
            header::RETRY_AFTER,
            HeaderName::from_static("x-request-id"),
        ])
        .max_age(PREFLIGHT_AGE);
    if origins.iter().any(|origin| origin == ANY) {
        return Some(layer.allow_origin(AllowOrigin::any()));
    }
    let origins: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    // Some clients always ask for it, though nothing here goes by cookies.
    (!origins.is_empty())
        .then(|| layer.allow_origin(AllowOrigin::list(origins)).allow_credentials(true))
}

/// Says that an answer is for its caller alone and is asked for again before it is shown again, and
/// which headers it went by: rights and resources change, and one URL has JSON and XML.
async fn with_caching(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    headers.append(header::VARY, HeaderValue::from_static("accept, authorization, prefer"));
    answer
}

/// Refuses with 415 bodies that are packed in a way that is not unpacked here.
async fn check_encoding(request: Request, next: Next) -> Response {
    let encoding = negotiate::text(request.headers(), header::CONTENT_ENCODING);
    if encoding.is_none_or(|one| matches!(one, "gzip" | "identity")) {
        return next.run(request).await;
    }
    let text = "send the body as it is, or with Content-Encoding: gzip";
    let code = IssueCode::UnsupportedMediaType;
    Refusal(Error::of(Kind::UnsupportedMediaType, code, text)).into_response()
}

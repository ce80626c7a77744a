//! What every handler has: the node, the limits, and the request taken apart.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use cresset_definitions::FhirVersion;
use cresset_model::{IssueCode, TraceContext};
use cresset_node::{Caller, Error, Kind, Node, SearchRequest};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::Semaphore;

use crate::http_figures::{HttpFigures, RequestTrace};
use crate::negotiate;
use crate::outcome::Refusal;
use crate::server::Config;

/// The header of W3C trace context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Bytes of a body that are read and thrown away behind the limit.
const DISCARD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long that may take.
const DISCARD_TIME_MAX: Duration = Duration::from_secs(5);

/// Shared by all handlers. One pointer: each layer that a request goes through has it cloned.
#[derive(Clone)]
pub(crate) struct Context(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) node: Arc<Node>,
    pub(crate) config: Arc<Config>,
    /// Room for requests under way.
    pub(crate) requests: Semaphore,
    /// Room for their bodies, in KiB.
    pub(crate) bodies: Semaphore,
    /// Room for bodies that are being made another form of.
    pub(crate) translations: Arc<Semaphore>,
    /// What is counted of requests.
    pub(crate) http: HttpFigures,
}

impl std::ops::Deref for Context {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Context {
    pub(crate) fn new(node: Arc<Node>, config: Config) -> Self {
        Self(Arc::new(Inner {
            requests: Semaphore::new(config.requests_max),
            bodies: Semaphore::new(BODIES_KIB_MAX as usize),
            translations: Arc::new(Semaphore::new(TRANSLATIONS_MAX)),
            http: HttpFigures::default(),
            node,
            config: Arc::new(config),
        }))
    }
}

/// Bodies of all requests under way together, in KiB; what is parsed of them takes several times
/// as much.
pub(crate) const BODIES_KIB_MAX: u32 = 512 * 1024;

/// Bodies that are made another form of at the same time: each takes a multiple of its size and
/// keeps a processor busy (I10).
const TRANSLATIONS_MAX: usize = 4;

/// The version that the first part of the path names.
pub(crate) fn version_of(path: &str) -> Result<FhirVersion, Error> {
    let known = FhirVersion::ALL.into_iter().find(|version| version.path() == path);
    known.ok_or_else(|| {
        let text = "the bases of this server are /r4, /r4b and /r5";
        Error::of(Kind::NotFound, IssueCode::UnknownPath, text)
    })
}

/// The trace that the headers of a request name; one sent twice is none, as the standard says.
pub(crate) fn trace_of(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    TraceContext::parse(value.to_str().ok()?)
}

/// Everything about a request but its path and body.
pub(crate) struct Request {
    pub(crate) headers: HeaderMap,
    /// The query string as it came.
    pub(crate) query: String,
    /// The trace that it belongs to.
    trace: Option<TraceContext>,
}

/// Takes the headers out of the request: an extractor that needs them too stands before this one.
impl<S: Send + Sync> FromRequestParts<S> for Request {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let here = parts.extensions.get::<RequestTrace>().map(|RequestTrace(trace)| *trace);
        let trace = here.or_else(|| trace_of(&parts.headers));
        Ok(Self { headers: std::mem::take(&mut parts.headers), query, trace })
    }
}

impl Request {
    /// The caller, once the answer can take a form that it accepts.
    pub(crate) fn caller(&self, context: &Context, version: FhirVersion) -> Result<Caller, Error> {
        let caller = self.authenticated(context)?;
        self.check_accept(version)?;
        Ok(caller)
    }

    /// The caller, whatever form of the answer it accepts.
    pub(crate) fn authenticated(&self, context: &Context) -> Result<Caller, Error> {
        let authorization = negotiate::text(&self.headers, header::AUTHORIZATION);
        Ok(context.node.authenticate(authorization)?.traced(self.trace))
    }

    /// Refuses what can be answered in no form that the client accepts.
    pub(crate) fn check_accept(&self, version: FhirVersion) -> Result<(), Error> {
        let parameters = self.parameters();
        let format =
            parameters.iter().find_map(|(name, value)| (name == "_format").then_some(value));
        negotiate::check_accept(version, &self.headers, format.map(String::as_str))
    }

    /// The query, decoded.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        SearchRequest::parse(&self.query).parameters
    }

    /// The body, if it is said to be JSON and not larger than allowed.
    pub(crate) async fn json_body(
        &self,
        context: &Context,
        version: FhirVersion,
        body: Body,
    ) -> Result<Bytes, Error> {
        negotiate::check_content_type(version, &self.headers)?;
        read_body(context, &self.headers, body).await
    }
}

/// Reads a body up to the limit, within the time allowed.
pub(crate) async fn read_body(
    context: &Context,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<Bytes, Error> {
    let max = context.config.body_bytes_max;
    let too_large = || {
        let text = format!("the body is larger than {max} bytes");
        Error::of(Kind::TooLarge, IssueCode::BodyTooLarge, text)
    };
    let announced = negotiate::text(headers, header::CONTENT_LENGTH).map(u64::from_str);
    if matches!(announced, Some(Ok(length)) if length > max as u64) {
        discard(&mut body).await;
        return Err(too_large());
    }
    let read = Limited::new(&mut body, max).collect();
    match tokio::time::timeout(context.config.request_time_max, read).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            discard(&mut body).await;
            Err(too_large())
        }
        Ok(Err(_)) => {
            let text = "the body ended before it was complete";
            Err(Error::of(Kind::Malformed, IssueCode::NotJson, text))
        }
        Err(_) => {
            let text = "the body did not arrive in time";
            Err(Error::of(Kind::Timeout, IssueCode::Timeout, text))
        }
    }
}

/// Reads on for a while without keeping anything: a client that is still sending when the
/// connection closes loses the refusal.
async fn discard(body: &mut Body) {
    let mut left = DISCARD_BYTES_MAX;
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    // A client that takes longer is left with a broken connection.
    drop(tokio::time::timeout(DISCARD_TIME_MAX, read).await);
}

/// The outcome of a handler.
pub(crate) type Answer<T> = Result<T, Refusal>;

//! The channel `rest-hook`: one HTTP POST to an endpoint (RQ-CH-20 to RQ-CH-29).
//!
//! **For**: one attempt, and what came of it. **Owns** the HTTP client with its connection pool.
//! **Must not know** what the bytes are, nor what happens after a failure.
//!
//! **Invariants**: the attempt ends within its deadline, whatever the endpoint does; a redirect is a
//! failure; at most [`RESPONSE_TEXT_BYTES_MAX`] of the response are kept, and reading stops there; no
//! proxy of the environment is used, only one that is configured: it resolves names past the address
//! policy.
//!
//! Its tests are in `rest_hook/tests.rs`.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue, RETRY_AFTER};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::clients::Clients;
use crate::endpoint::{EndpointPolicy, endpoint_refusal};
use crate::header::header_map;
use crate::host::HostPattern;
use crate::outcome::{Failure, FailureKind, NoResponse, Outcome, ResponseText, Verdict};
use crate::proxy::ProxyUrl;
use crate::resolver::{AllRefused, Crowded, Lookup, SystemLookup};
use crate::retry_after::parse_retry_after;
use crate::signature::{SigningKey, signatures};
use crate::tls::{Error, Identity, untrusted_because};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");

/// Most bytes of a response's body that are read and kept.
pub const RESPONSE_TEXT_BYTES_MAX: usize = 1024;

/// Longest time that is spent on a response's body once its head is here. The outcome is known by
/// then; reading on only lets the connection be used again.
const RESPONSE_TEXT_TIME_MAX: Duration = Duration::from_secs(1);

/// How the client behaves towards all endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Longest time to make a connection; part of an attempt's deadline.
    pub connect_timeout: Duration,
    /// Most unused connections kept per host.
    pub idle_connections_per_host_max: usize,
    /// How long an unused connection is kept.
    pub idle_connection_timeout: Duration,
    /// Files in PEM form of authorities trusted besides the system's.
    pub extra_ca_files: Vec<PathBuf>,
    /// Trust and identity of single hosts; the first with a pattern for a host counts.
    pub hosts: Vec<HostConfig>,
    /// The proxy that makes all connections, in place of this process. It looks up names itself, so
    /// the address policy holds for literal addresses only.
    pub proxy: Option<ProxyUrl>,
    /// The `User-Agent` header, unless the subscriber asks for its own.
    pub user_agent: String,
}

/// How the client behaves towards single hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostConfig {
    /// Which hosts.
    pub hosts: Vec<HostPattern>,
    /// Files in PEM form of authorities trusted for these hosts, besides those for all.
    pub ca_files: Vec<PathBuf>,
    /// What the server shows where a host asks who it is.
    pub identity: Option<Identity>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            idle_connections_per_host_max: 8,
            idle_connection_timeout: Duration::from_secs(60),
            extra_ca_files: Vec::new(),
            hosts: Vec::new(),
            proxy: None,
            user_agent: concat!("cresset/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// What a request asks of the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// To take what is sent.
    Post,
    /// To make what is sent the state of the endpoint's own resource (RQ-SB-02).
    Put,
}

/// One request to make.
#[derive(Clone)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Where to; used exactly as given.
    pub endpoint: Url,
    /// The `Content-Type` header, if there is content.
    pub content_type: Option<String>,
    /// Further headers as name and value; a name may come more than once.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// How long name lookup, connecting, sending and the wait for the response's head may take
    /// together.
    pub deadline: Duration,
    /// The time now, which a date in `Retry-After` is measured from.
    pub now: Timestamp,
    /// What the receiver can tell a repetition by; the same for every attempt of one message.
    pub message_id: String,
    /// The header `traceparent`, if one is to be sent.
    pub traceparent: Option<String>,
}

/// Not derived: headers and body are not for logs, nor is all of the endpoint.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("host", &self.endpoint.host_str())
            .field("content_type", &self.content_type)
            .field("headers", &self.headers.len())
            .field("body_bytes", &self.body.len())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// The rest-hook channel. Clones share one connection pool.
#[derive(Clone)]
pub struct RestHook {
    shared: Arc<Shared>,
    signing_keys: Arc<[SigningKey]>,
}

/// What clones share.
struct Shared {
    config: Config,
    policy: EndpointPolicy,
    lookup: Arc<dyn Lookup>,
    clients: ArcSwap<Clients>,
}

impl fmt::Debug for RestHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestHook").field("policy", &self.shared.policy).finish_non_exhaustive()
    }
}

impl RestHook {
    /// Builds the client. Reads certificate files; call it at start-up.
    ///
    /// # Errors
    ///
    /// Files of authorities that cannot be used, or no working TLS: do not start.
    pub fn new(config: &Config, policy: EndpointPolicy) -> Result<Self, Error> {
        Self::with_lookup(config, policy, Arc::new(SystemLookup))
    }

    /// As [`Self::new`], with names resolved by `lookup`.
    fn with_lookup(
        config: &Config,
        policy: EndpointPolicy,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, Error> {
        let clients = Clients::new(config, &policy, &lookup)?;
        let (config, clients) = (config.clone(), ArcSwap::from_pointee(clients));
        let shared = Arc::new(Shared { config, policy, lookup, clients });
        Ok(Self { shared, signing_keys: Arc::default() })
    }

    /// Reads all certificate files again, for this and all its clones; attempts under way end as they
    /// began. Reads files; do not call it where nothing may block.
    ///
    /// # Errors
    ///
    /// As [`Self::new`]. Everything stays as it was then.
    pub fn reload(&self) -> Result<(), Error> {
        let Shared { config, policy, lookup, clients } = &*self.shared;
        clients.store(Arc::new(Clients::new(config, policy, lookup)?));
        Ok(())
    }

    /// The same, signing every request with each of these keys.
    #[must_use]
    pub fn signing_with(self, keys: Vec<SigningKey>) -> Self {
        Self { signing_keys: keys.into(), ..self }
    }

    /// How many certificate authorities are trusted. With none, no `https` endpoint can be reached.
    pub fn trusted_roots(&self) -> usize {
        self.shared.clients.load().trusted_roots
    }

    /// The policy that endpoints are held to.
    pub fn policy(&self) -> &EndpointPolicy {
        &self.shared.policy
    }

    /// Sends one request and waits for its outcome.
    ///
    /// A success means that the endpoint has answered 2xx, no more. After a failure of kind
    /// `NoResponse` it may have taken the notification all the same.
    ///
    /// Cancel safety: dropping the future abandons the attempt; whether anything was sent is then
    /// unknown.
    ///
    /// Spec: RQ-CH-20 to RQ-CH-23, RQ-CH-26, RQ-SB-06, RQ-SS-08.
    pub async fn attempt(&self, request: Request) -> Outcome {
        let started = Instant::now();
        let deadline = started + request.deadline;
        let now = request.now;
        let request = match self.checked(request) {
            Ok(request) => request,
            Err(failure) => return failed(failure, started),
        };
        let client = self.shared.clients.load().of(request.url()).clone();
        match timeout_at(deadline, client.execute(request)).await {
            Err(_) => failed(timed_out(), started),
            Ok(Err(error)) => failed(failure_of(&error), started),
            Ok(Ok(response)) => answered(response, started, deadline, now).await,
        }
    }

    /// The request in the client's form, if the policy allows it.
    fn checked(&self, request: Request) -> Result<reqwest::Request, Failure> {
        if let Some(refusal) = endpoint_refusal(&request.endpoint, self.policy()) {
            return Err(refused(refusal.to_string()));
        }
        let mut headers = header_map(request.content_type.as_deref(), &request.headers)
            .map_err(|refusal| refused(refusal.to_string()))?;
        self.sign(&request, &mut headers)
            .map_err(|_| refused("the request cannot be signed".to_owned()))?;
        let method = match request.method {
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
        };
        let mut checked = reqwest::Request::new(method, request.endpoint);
        *checked.headers_mut() = headers;
        *checked.body_mut() = Some(request.body.into());
        Ok(checked)
    }
}

impl RestHook {
    /// Sets the headers that are the server's own, whatever the subscriber asked for.
    fn sign(&self, request: &Request, headers: &mut HeaderMap) -> Result<(), InvalidHeaderValue> {
        if let Some(traceparent) = &request.traceparent {
            headers.insert(TRACEPARENT, HeaderValue::from_str(traceparent)?);
        }
        if !self.signing_keys.is_empty() {
            let timestamp = request.now.as_second();
            let id = &request.message_id;
            let signatures = signatures(&self.signing_keys, id, timestamp, &request.body);
            headers.insert(WEBHOOK_ID, HeaderValue::from_str(id)?);
            headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp));
            headers.insert(WEBHOOK_SIGNATURE, HeaderValue::from_str(&signatures)?);
        }
        Ok(())
    }
}

/// The outcome of a response.
async fn answered(
    response: reqwest::Response,
    started: Instant,
    deadline: Instant,
    now: Timestamp,
) -> Outcome {
    let duration = started.elapsed();
    let status = response.status();
    let verdict = if status.is_success() {
        Verdict::Success { status: status.as_u16() }
    } else {
        let at = SignedDuration::try_from(duration).ok().and_then(|d| now.checked_add(d).ok());
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| parse_retry_after(value, at.unwrap_or(now)));
        Verdict::Failure(Failure {
            kind: FailureKind::Response { status: status.as_u16(), retry_after },
            detail: format!("the endpoint answered with HTTP status {}", status.as_u16()),
        })
    };
    Outcome { verdict, duration, text: text_of(response, deadline).await }
}

/// Reads the beginning of the body; what does not come in time is left out.
async fn text_of(mut response: reqwest::Response, deadline: Instant) -> Option<ResponseText> {
    let until = deadline.min(Instant::now() + RESPONSE_TEXT_TIME_MAX);
    let mut text: Vec<u8> = Vec::new();
    while text.len() < RESPONSE_TEXT_BYTES_MAX {
        match timeout_at(until, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                let room = RESPONSE_TEXT_BYTES_MAX - text.len();
                text.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            Ok(Ok(None) | Err(_)) | Err(_) => break,
        }
    }
    (!text.is_empty()).then(|| ResponseText::new(&text))
}

fn failed(failure: Failure, started: Instant) -> Outcome {
    Outcome { verdict: Verdict::Failure(failure), duration: started.elapsed(), text: None }
}

fn refused(detail: String) -> Failure {
    Failure { kind: FailureKind::Refused, detail }
}

fn timed_out() -> Failure {
    no_response(NoResponse::Timeout, "the endpoint did not answer in time".to_owned())
}

fn no_response(why: NoResponse, detail: String) -> Failure {
    Failure { kind: FailureKind::NoResponse(why), detail }
}

/// What kind of failure the client's error is. Its own text is not used: it holds the URL.
fn failure_of(error: &reqwest::Error) -> Failure {
    if let Some(refusal) = cause::<AllRefused>(error) {
        return Failure { kind: FailureKind::RefusedAddress, detail: refusal.to_string() };
    }
    if let Some(crowded) = cause::<Crowded>(error) {
        return Failure { kind: FailureKind::NoRoom, detail: crowded.to_string() };
    }
    if error.is_dns() {
        let detail = "the name of the endpoint's host could not be resolved".to_owned();
        return Failure { kind: FailureKind::DnsResolution, detail };
    }
    if let Some(cause) = cause::<rustls::Error>(error) {
        return no_response(NoResponse::Tls, untrusted_because(cause).to_owned());
    }
    if error.is_timeout() {
        return timed_out();
    }
    let cause = cause::<io::Error>(error).map_or(String::new(), |io| format!(": {}", io.kind()));
    if error.is_connect() {
        no_response(NoResponse::Connect, format!("no connection to the endpoint{cause}"))
    } else if error.is_builder() {
        refused("the endpoint cannot be used in a request".to_owned())
    } else {
        no_response(NoResponse::Interrupted, format!("the connection broke{cause}"))
    }
}

/// The first cause of this type. `io::Error` hides what it wraps from `source`, so it is opened.
fn cause<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests;

//! Requests to one base of a FHIR server.
//!
//! Its tests are in `client/tests.rs`.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use rustls::ClientConfig;
use serde_json::{Value, json};
use url::Url;

use crate::binding::BindingToken;
use crate::capability::Capabilities;
use crate::error::Error;
use crate::json::{items, text};
use crate::notification::{NOTIFICATION_BYTES_MAX, Notification, SubscriptionStatus};
use crate::subscription::{PayloadContent, Subscription};
use crate::tls;
use crate::version::FhirVersion;

/// How long to wait for a whole answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long to wait for a connection.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Most pages of a search that are followed: a server whose pages never end is not read for ever.
const PAGES_MAX: usize = 10_000;
/// Most tries to change what others change, too.
const TRIES_MAX: u32 = 3;
/// Most issues of a refusal that are kept.
const ISSUES_MAX: usize = 20;
const MIME_TYPE: &str = "application/fhir+json";

/// A client of one base of a server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    base: Url,
    http: reqwest::Client,
    tls: Arc<ClientConfig>,
    bearer: Option<String>,
}

impl Client {
    /// A client of a base, such as `https://example.org/fhir`. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Url`] for what is no base, [`Error::Tls`] if the machine lacks what TLS needs.
    pub fn new(base: &str) -> Result<Self, Error> {
        let invalid = || Error::Url(base.to_owned());
        let mut url: Url = base.parse().map_err(|_| invalid())?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(invalid());
        }
        url.set_query(None);
        url.set_fragment(None);
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let tls = tls::client_config()?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build()
            .map_err(Error::unreachable)?;
        Ok(Self { base: url, http, tls: Arc::new(tls), bearer: None })
    }

    /// With a bearer token, which goes to this server alone.
    #[must_use]
    pub fn bearer(mut self, token: impl Into<String>) -> Self {
        self.bearer = Some(token.into());
        self
    }

    /// The base, with a slash at its end.
    pub const fn base(&self) -> &Url {
        &self.base
    }

    pub(crate) fn tls(&self) -> Arc<ClientConfig> {
        self.tls.clone()
    }

    /// What the server can do (RQ-CF-14).
    ///
    /// # Errors
    ///
    /// If it does not answer, or with something else.
    pub async fn capabilities(&self) -> Result<Capabilities, Error> {
        Capabilities::parse(&self.get("metadata").await?)
    }

    /// Canonicals of the topics: by the guide's extension in R4, by search in R4B and R5 (RQ-OP-60, RQ-OP-62).
    ///
    /// # Errors
    ///
    /// As [`Self::search`].
    pub async fn topics(&self, of: &Capabilities) -> Result<Vec<String>, Error> {
        let mut topics = of.topics.clone();
        if of.version != FhirVersion::R4 {
            let found = self.search(of.version.topic_type(), &[]).await?;
            topics.extend(found.iter().filter_map(|topic| text(topic, "url")));
        }
        Ok(topics.into_iter().collect())
    }

    /// Creates a subscription; gives what the server made of it, which has its id.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the server does not want it.
    pub async fn subscribe(
        &self,
        version: FhirVersion,
        subscription: &Subscription,
    ) -> Result<Subscription, Error> {
        let created = self.create(&subscription.render(version)).await?;
        Subscription::parse(version, &created)
            .map_err(|_| Error::Answer("what was created is no subscription to a topic"))
    }

    /// Deletes a subscription; that it is gone already is as good.
    ///
    /// # Errors
    ///
    /// If the server does not do it.
    pub async fn unsubscribe(&self, id: &str) -> Result<(), Error> {
        match self.send(Method::DELETE, &format!("Subscription/{id}"), None).await {
            Ok(_) | Err(Error::Refused { status: 404 | 410, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Asks for a status: `requested` begins again, `off` ends. Gives the resource as the server has it then.
    /// What somebody else changes meanwhile stays.
    ///
    /// # Errors
    ///
    /// If the server does not have it, refuses, or has another version of it each time.
    pub async fn set_status(&self, id: &str, status: SubscriptionStatus) -> Result<Value, Error> {
        let mut tries = 1;
        loop {
            match self.try_set_status(id, status).await {
                Err(Error::Refused { status: 412, .. }) if tries < TRIES_MAX => tries += 1,
                answer => return answer,
            }
        }
    }

    async fn try_set_status(&self, id: &str, status: SubscriptionStatus) -> Result<Value, Error> {
        let path = format!("Subscription/{id}");
        let mut resource = self.get(&path).await?;
        if !resource.is_object() {
            return Err(Error::Answer("the Subscription is no resource"));
        }
        resource["status"] = status.code().into();
        let mut request = self.request(Method::PUT, self.url(&path)?, Some(&resource));
        if let Some(version) = resource["meta"]["versionId"].as_str() {
            request = request.header("if-match", format!("W/\"{version}\""));
        }
        answer(request).await
    }

    /// What `$status` says of a subscription.
    ///
    /// # Errors
    ///
    /// If the server does not have it, or answers something else.
    pub async fn status(&self, id: &str) -> Result<Notification, Error> {
        let answer = self.get(&format!("Subscription/{id}/$status")).await?;
        let mut statuses = Notification::statuses(&answer)?;
        statuses.pop().ok_or(Error::Answer("$status tells of no subscription"))
    }

    /// Events that a subscription had, by number, both ends included (RQ-OP-21). None if the server has none of
    /// them any more.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the server does not offer `$events`, which is optional.
    pub async fn events(
        &self,
        id: &str,
        numbers: &RangeInclusive<u64>,
        content: Option<PayloadContent>,
    ) -> Result<Notification, Error> {
        let content = content.map(|content| format!("&content={}", content.code()));
        let path = format!(
            "Subscription/{id}/$events?eventsSinceNumber={}&eventsUntilNumber={}{}",
            numbers.start(),
            numbers.end(),
            content.unwrap_or_default()
        );
        Ok(Notification::from_json(&self.get(&path).await?)?)
    }

    /// A token that binds a websocket to a subscription (RQ-OP-40).
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if it is no websocket subscription, or not the caller's.
    pub async fn binding_token(&self, id: &str) -> Result<BindingToken, Error> {
        let path = format!("Subscription/{id}/$get-ws-binding-token");
        BindingToken::parse(&self.get(&path).await?)
    }

    /// All resources that a search finds, page by page; at most 10,000 pages.
    ///
    /// # Errors
    ///
    /// If the server does not answer, or refuses.
    pub async fn search(
        &self,
        resource_type: &str,
        criteria: &[(&str, &str)],
    ) -> Result<Vec<Value>, Error> {
        let mut url = self.url(resource_type)?;
        if !criteria.is_empty() {
            url.query_pairs_mut().extend_pairs(criteria);
        }
        let mut found = Vec::new();
        for _ in 0..PAGES_MAX {
            let page = answer(self.request(Method::GET, url.clone(), None)).await?;
            let is_match = |entry: &&Value| entry["search"]["mode"].as_str() != Some("outcome");
            let entries = items(&page, "entry").iter().filter(is_match);
            found.extend(entries.map(|entry| entry["resource"].clone()));
            let next = items(&page, "link").iter().find(|link| link["relation"] == "next");
            let Some(next) = next.and_then(|next| next["url"].as_str()) else { return Ok(found) };
            let next = url.join(next).map_err(|_| Error::Answer("a page has no valid link"))?;
            if next == url {
                return Err(Error::Answer("a page is its own next one"));
            }
            url = next;
        }
        Err(Error::Answer("the pages of a search do not end"))
    }

    /// GET of a path below the base.
    ///
    /// # Errors
    ///
    /// If the server does not answer, or refuses.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        self.send(Method::GET, path, None).await
    }

    /// Creates a resource by POST; gives what the server made of it.
    ///
    /// # Errors
    ///
    /// If the server does not answer, or refuses.
    pub async fn create(&self, resource: &Value) -> Result<Value, Error> {
        let resource_type = resource["resourceType"].as_str();
        self.post(resource_type.unwrap_or_default(), resource).await
    }

    /// POST to a path below the base, such as an operation.
    ///
    /// # Errors
    ///
    /// If the server does not answer, or refuses.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// PUT of a resource to its id.
    ///
    /// # Errors
    ///
    /// If the server does not answer, or refuses.
    pub async fn put(&self, path: &str, resource: &Value) -> Result<Value, Error> {
        self.send(Method::PUT, path, Some(resource)).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        answer(self.request(method, self.url(path)?, body)).await
    }

    fn request(&self, method: Method, url: Url, body: Option<&Value>) -> RequestBuilder {
        let is_ours = url.origin() == self.base.origin();
        let mut request = self.http.request(method, url).header("accept", MIME_TYPE);
        if let Some(body) = body {
            request = request
                .header("content-type", MIME_TYPE)
                .header("prefer", "return=representation")
                .body(body.to_string());
        }
        // The next page of a search may be anywhere; the token is this server's.
        if let Some(bearer) = self.bearer.as_ref().filter(|_| is_ours) {
            request = request.bearer_auth(bearer);
        }
        request
    }

    fn url(&self, path: &str) -> Result<Url, Error> {
        self.base.join(path).map_err(|_| Error::Url(path.to_owned()))
    }
}

async fn answer(request: RequestBuilder) -> Result<Value, Error> {
    let mut response = request.send().await.map_err(Error::unreachable)?;
    let status = response.status();
    let body = body(&mut response).await?;
    let json: Option<Value> = serde_json::from_slice(&body).ok();
    if !status.is_success() {
        let issues = json.as_ref().map(issues).unwrap_or_default();
        return Err(Error::Refused { status: status.as_u16(), issues });
    }
    match json {
        Some(json) => Ok(json),
        None if body.is_empty() => Ok(json!({})),
        None => Err(Error::Answer("it is no JSON")),
    }
}

async fn body(response: &mut Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Error::unreachable)? {
        if body.len() + chunk.len() > NOTIFICATION_BYTES_MAX {
            return Err(Error::Answer("it is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The texts of an OperationOutcome, each with the element that it is about.
fn issues(outcome: &Value) -> Vec<String> {
    let told = |issue: &Value| {
        let told = text(&issue["details"], "text").or_else(|| text(issue, "diagnostics"));
        let told = told.or_else(|| text(issue, "code"))?;
        let at = issue["expression"][0].as_str().map(|at| format!("{at}: ")).unwrap_or_default();
        Some(format!("{at}{told}"))
    };
    items(outcome, "issue").iter().filter_map(told).take(ISSUES_MAX).collect()
}

#[cfg(test)]
mod tests;

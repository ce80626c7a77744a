//! A FHIR client of one base.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use reqwest::Method;
use reqwest::redirect::Policy;
use serde_json::Value;

use crate::notification::{Notification, Status};
use crate::reply::Reply;
use crate::socket::Socket;
use crate::subscription::Subscribe;
use crate::verifies::asked;
use crate::version::Version;
use crate::wait::{PATIENCE, until};

/// A client of one base, as whoever it says it is.
#[derive(Debug, Clone)]
pub struct Client {
    /// The version of the base.
    pub version: Version,
    /// URL of the base, without a slash at the end.
    pub url: String,
    bearer: Option<String>,
    http: reqwest::Client,
}

/// A request in the making.
#[derive(Debug)]
pub struct Request {
    asked: String,
    builder: reqwest::RequestBuilder,
}

/// What `$get-ws-binding-token` answered.
#[derive(Debug, Clone)]
pub struct Token {
    /// `token`
    pub token: String,
    /// `expiration`
    pub expiration: String,
    /// `subscription`, all of them.
    pub subscriptions: Vec<String>,
    /// `websocket-url`
    pub url: String,
}

impl Client {
    pub(crate) fn new(version: Version, server: &str) -> Self {
        let url = format!("{server}/{version}");
        Self { version, url, bearer: None, http: connections() }
    }

    /// The same base with this bearer token.
    #[must_use]
    pub fn with_bearer(&self, token: &str) -> Self {
        Self { bearer: Some(token.to_owned()), ..self.clone() }
    }

    /// A request to a path of the base, or to a whole URL.
    pub fn request(&self, method: Method, path: &str) -> Request {
        asked(self.version);
        let url = match path {
            "" => self.url.clone(),
            _ if path.starts_with("http://") => path.to_owned(),
            _ => format!("{}/{path}", self.url),
        };
        let asked = format!("{method} {url}");
        let mut builder = self.http.request(method, url);
        if let Some(bearer) = &self.bearer {
            builder = builder.bearer_auth(bearer);
        }
        Request { asked, builder }
    }

    /// Sends a body of unknown length.
    ///
    /// # Errors
    /// If there is no answer, which a server may do to a body that is too long.
    pub async fn stream(
        &self,
        method: Method,
        path: &str,
        body: reqwest::Body,
    ) -> Result<Reply, reqwest::Error> {
        let mut request =
            self.request(method, path).header("content-type", "application/fhir+json");
        request.builder = request.builder.body(body);
        request.try_send().await
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Reply {
        self.request(Method::GET, path).send().await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Reply {
        self.request(Method::DELETE, path).send().await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.request(Method::POST, path).json(body).send().await
    }

    /// PUT of JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.request(Method::PUT, path).json(body).send().await
    }

    /// Creates by POST; gives what the server made of it.
    pub async fn create(&self, resource: &Value) -> Value {
        self.post(type_of(resource), resource).await.expect(201).json()
    }

    /// Creates or changes by PUT to the resource's id; gives what the server made of it.
    pub async fn save(&self, resource: &Value) -> Value {
        let path = path_of(resource);
        let reply = self.put(&path, resource).await;
        assert!(matches!(reply.status, 200 | 201), "{reply}");
        reply.json()
    }

    /// Reads what is there.
    pub async fn read(&self, path: &str) -> Value {
        self.get(path).await.expect(200).json()
    }

    /// Deletes what is there.
    pub async fn remove(&self, path: &str) {
        let reply = self.delete(path).await;
        assert!(matches!(reply.status, 200 | 204), "{reply}");
    }

    /// Creates a subscription; gives its id.
    pub async fn subscribe(&self, subscribe: &Subscribe) -> String {
        let created = self.create(&subscribe.json(self.version)).await;
        created["id"].as_str().expect("an id").to_owned()
    }

    /// The answer of `$status` for one subscription.
    pub async fn status(&self, subscription: &str) -> Status {
        let answer = self.read(&format!("Subscription/{subscription}/$status")).await;
        let statuses = Status::of_searchset(self.version, &answer);
        assert_eq!(statuses.len(), 1, "{answer}");
        statuses.into_iter().next().expect("one, see above")
    }

    /// Waits until a subscription has this status.
    pub async fn wait_for_status(&self, subscription: &str, wanted: &str) -> Status {
        let what = format!("{}/Subscription/{subscription} is {wanted}", self.url);
        until(&what, || async {
            let status = self.status(subscription).await;
            (status.status == wanted).then_some(status)
        })
        .await
    }

    /// Number of the subscription's last event.
    pub async fn count(&self, subscription: &str) -> u64 {
        self.status(subscription).await.count
    }

    /// The answer of `$events`.
    pub async fn events(&self, subscription: &str, query: &str) -> Notification {
        let mark = if query.is_empty() { "" } else { "?" };
        let path = format!("Subscription/{subscription}/$events{mark}{query}");
        Notification::read(self.version, &self.read(&path).await)
    }

    /// A binding token for these subscriptions.
    pub async fn token(&self, subscriptions: &[&str]) -> Token {
        let query: Vec<String> = subscriptions.iter().map(|id| format!("id={id}")).collect();
        let path = format!("Subscription/$get-ws-binding-token?{}", query.join("&"));
        Token::read(&self.read(&path).await)
    }

    /// A socket bound to a subscription, its handshake read.
    pub async fn listen(&self, subscription: &str) -> Socket {
        let token = self.token(&[subscription]).await;
        let mut socket = Socket::open(self.version, &token.url).await;
        socket.bind(&token).await;
        let handshake = socket.next().await;
        assert_eq!(handshake.kind, "handshake", "{}", handshake.json);
        assert_eq!(handshake.subscription_id(), subscription);
        socket
    }
}

impl Request {
    /// Adds a header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        Self { builder: self.builder.header(name, value), ..self }
    }

    /// Sends this JSON as `application/fhir+json`.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    /// Sends these bytes as `application/fhir+json`.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        self.body_as(body, "application/fhir+json")
    }

    /// Sends these bytes as something else.
    #[must_use]
    pub fn body_as(self, body: impl Into<Bytes>, content_type: &str) -> Self {
        let body: Bytes = body.into();
        Self { builder: self.builder.header("content-type", content_type).body(body), ..self }
    }

    /// Sends it.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn send(self) -> Reply {
        let asked = self.asked.clone();
        self.try_send().await.unwrap_or_else(|error| panic!("{asked}: {error:?}"))
    }

    /// Sends it to a server that may be gone.
    ///
    /// # Errors
    /// If there is no answer, or only part of one.
    pub async fn try_send(self) -> Result<Reply, reqwest::Error> {
        let response = self.builder.send().await?;
        let reply = Reply {
            asked: self.asked,
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?,
        };
        reply.keep();
        Ok(reply)
    }
}

impl Token {
    /// Reads the Parameters of the answer, with the types that RQ 7.3 asks for.
    ///
    /// # Panics
    /// If a part is missing or of another type.
    pub fn read(answer: &Value) -> Self {
        assert_eq!(answer["resourceType"], "Parameters", "{answer}");
        let all = |name: &str, value: &str| -> Vec<String> {
            let parameters = answer["parameter"].as_array().expect("parameters");
            let named = parameters.iter().filter(|parameter| parameter["name"] == name);
            named
                .map(|parameter| {
                    let text = parameter[value].as_str();
                    text.unwrap_or_else(|| panic!("no {value} in {parameter}")).to_owned()
                })
                .collect()
        };
        let one = |name: &str, value: &str| -> String {
            let found = all(name, value);
            assert_eq!(found.len(), 1, "{name} in {answer}");
            found.into_iter().next().expect("one, see above")
        };
        Self {
            token: one("token", "valueString"),
            expiration: one("expiration", "valueDateTime"),
            subscriptions: all("subscription", "valueString"),
            url: one("websocket-url", "valueUrl"),
        }
    }
}

/// `Type/id` of a resource.
fn path_of(resource: &Value) -> String {
    let id = resource["id"].as_str().expect("an id");
    format!("{}/{id}", type_of(resource))
}

fn type_of(resource: &Value) -> &str {
    resource["resourceType"].as_str().expect("a resource type")
}

/// One pool of connections for a test's runtime; TLS is set up although only plain HTTP is used,
/// because the client cannot be built without.
fn connections() -> reqwest::Client {
    static PROVIDER: LazyLock<Arc<rustls::crypto::CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    let tls = rustls::ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        // What is packed is for the test that asks for it to unpack.
        .no_gzip()
        .redirect(Policy::none())
        .timeout(PATIENCE)
        .build()
        .expect("a client without TLS of its own")
}

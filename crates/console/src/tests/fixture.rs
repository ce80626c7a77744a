//! A console over a node in memory, and short ways to ask it things.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, Method, Request, StatusCode, header};
use bytes::Bytes;
use cresset_channel::RestHook;
use cresset_definitions::FhirVersion;
use cresset_model::ClientName;
use cresset_node::{
    AuditConfig, Authentication, Brokers, Caller, Clock, Condition, Config, Node, Right, Rights,
    Stopper, TokenHash, TopicConfig, ValidationLevel,
};
use cresset_store::MemoryStore;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use url::{Url, form_urlencoded};

use crate::console::{self, Password};

/// An admin's token.
pub(super) const TOKEN: &str = "the-admins-token";

/// The console, and the cookie of who uses it.
pub(super) struct Console {
    router: Router,
    node: Arc<Node>,
    /// What browsers ask for.
    host: String,
    cookie: Mutex<String>,
    /// Ends the node's loops with the test.
    _stopper: Stopper,
}

/// What was answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: axum::http::HeaderMap,
    pub(super) text: String,
}

impl Answer {
    /// A header; empty if there is none.
    pub(super) fn header(&self, name: HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Console {
    pub(super) fn new() -> Self {
        Self::at("http://test")
    }

    pub(super) fn at(base_url: &str) -> Self {
        Self::start(config(base_url, tokens()), None)
    }

    pub(super) fn with_password() -> Self {
        Self::start(config("http://test", Authentication::None), Some(password()))
    }

    pub(super) fn with_tokens_and_password() -> Self {
        Self::start(config("http://test", tokens()), Some(password()))
    }

    pub(super) async fn logged_in() -> Self {
        Self::new().log_in().await
    }

    /// The same, where subscriptions may name drafts of topics.
    pub(super) async fn accepting_drafts() -> Self {
        let topics = TopicConfig { accept_draft: true };
        let config = Config { topics, ..config("http://test", tokens()) };
        Self::start(config, None).log_in().await
    }

    /// The same, with an audit trail in this folder.
    pub(super) async fn audited(folder: &Path) -> Self {
        let audit = AuditConfig {
            notifications: false,
            directory: folder.to_owned(),
            file_bytes_max: 1024 * 1024,
            files_max: NonZeroUsize::MIN,
        };
        let config = Config { audit: Some(audit), ..config("http://test", tokens()) };
        Self::start(config, None).log_in().await
    }

    async fn log_in(self) -> Self {
        let answer = self.post("/login", &[("secret", TOKEN)]).await;
        let cookie = answer.header(header::SET_COOKIE).split(';').next().unwrap().to_owned();
        *self.cookie.lock().unwrap() = cookie;
        self
    }

    fn start(config: Config, password: Option<Password>) -> Self {
        let url = Url::parse(&config.base_url).unwrap();
        let host = url.host_str().unwrap().to_owned();
        let endpoints = config.subscriptions.endpoints.clone();
        let rest_hook = RestHook::new(&cresset_channel::Config::default(), endpoints).unwrap();
        let store = Arc::new(MemoryStore::new());
        let started = Node::start(config, store, rest_hook, Brokers::default(), Clock::system());
        let (node, stopper) = started.unwrap();
        let session_lifetime = Duration::from_secs(3600);
        let router = console::router(node.clone(), console::Config { password, session_lifetime });
        Self { router, node, host, cookie: Mutex::default(), _stopper: stopper }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, Body::empty(), &[]).await
    }

    pub(super) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.ask(Method::POST, path, form(fields), &[]).await
    }

    /// POSTs with other headers.
    pub(super) async fn post_with(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        self.ask(Method::POST, path, form(fields), headers).await
    }

    /// What the forms of this session hold.
    pub(super) async fn csrf(&self) -> String {
        let page = self.get("/try").await.text;
        let field = page.split("name=\"csrf\" value=\"").nth(1).unwrap();
        field.split('"').next().unwrap().to_owned()
    }

    /// A text as it stands in a URL.
    pub(super) fn quoted(&self, text: &str) -> String {
        form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
    }

    /// The beginning of a stream: so many events.
    pub(super) async fn first_events(&self, path: &str, count: usize) -> String {
        let response = self.response(Method::GET, path, Body::empty(), &[]).await;
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        let mut body = response.into_body();
        let mut text = String::new();
        while text.matches("\n\n").count() < count {
            let frame = body.frame().await.unwrap().unwrap();
            text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
        text
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Body,
        headers: &[(&str, &str)],
    ) -> Answer {
        let response = self.response(method, path, body, headers).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    async fn response(
        &self,
        method: Method,
        path: &str,
        body: Body,
        others: &[(&str, &str)],
    ) -> axum::response::Response {
        let cookie = self.cookie.lock().unwrap().clone();
        let request = Request::builder()
            .method(method)
            .uri(format!("/console{path}"))
            .header(header::HOST, self.host.as_str())
            .header(header::COOKIE, cookie);
        let mut request = request.body(body).unwrap();
        for (name, value) in others {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Writes a resource of R4 as an admin.
    pub(super) async fn put(&self, resource_type: &str, resource: &Value) {
        let target = (resource_type, resource["id"].as_str().unwrap());
        let bytes = Bytes::from(resource.to_string());
        let admin = admin();
        let written = self.node.update(&admin, FhirVersion::R4, target, Condition::None, bytes);
        written.await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Reads a resource of R4.
    pub(super) async fn read(&self, resource_type: &str, id: &str) -> Value {
        let stored = self.node.read(&admin(), FhirVersion::R4, resource_type, id).await;
        serde_json::from_slice(&stored.unwrap().body).unwrap()
    }

    /// Subscribes to a topic of [`topic`] over a websocket, with a header of this name.
    pub(super) async fn subscribe(&self, topic: &str, header: &str) -> String {
        const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition";
        let subscription = json!({
            "resourceType": "Subscription",
            "status": "requested",
            "reason": "test",
            "criteria": format!("http://test/topic/{topic}"),
            "channel": {
                "type": "websocket",
                "payload": "application/fhir+json",
                "_payload": {"extension": [{
                    "url": format!("{GUIDE}/backport-payload-content"),
                    "valueCode": "full-resource",
                }]},
                "header": [format!("{header}: an old one")],
            },
        });
        let bytes = Bytes::from(subscription.to_string());
        let created = self.node.create(&admin(), FhirVersion::R4, "Subscription", bytes).await;
        let created = created.unwrap_or_else(|error| panic!("{error}"));
        created.change.unwrap().key.id.to_string()
    }
}

fn form(fields: &[(&str, &str)]) -> Body {
    Body::from(form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish())
}

fn admin() -> Caller {
    Caller::new(ClientName::new("admin").unwrap(), Rights::ALL)
}

/// A topic on every change of patients, in R4's form.
pub(super) fn topic(id: &str, title: &str) -> Value {
    const BASE: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic";
    json!({
        "resourceType": "Basic",
        "id": id,
        "code": {"coding": [{"system": "http://hl7.org/fhir/fhir-types", "code": "SubscriptionTopic"}]},
        "modifierExtension": [{"url": format!("{BASE}.status"), "valueCode": "active"}],
        "extension": [
            {"url": format!("{BASE}.url"), "valueUri": format!("http://test/topic/{id}")},
            {"url": format!("{BASE}.title"), "valueString": title},
            {"url": format!("{BASE}.description"), "valueMarkdown": title},
            {"url": format!("{BASE}.resourceTrigger"), "extension": [
                {"url": "resource", "valueUri": "Patient"},
                {"url": "description", "valueMarkdown": title},
            ]},
            {"url": format!("{BASE}.canFilterBy"), "extension": [
                {"url": "resource", "valueUri": "Patient"},
                {"url": "filterParameter", "valueString": "gender"},
                {"url": "description", "valueMarkdown": title},
            ]},
        ],
    })
}

fn tokens() -> Authentication {
    let client =
        |name: &str, right| Caller::new(ClientName::new(name).unwrap(), Rights::from_iter([right]));
    Authentication::tokens([
        (TokenHash::of(TOKEN), client("admin", Right::Admin)),
        (TokenHash::of("the-readers-token"), client("reader", Right::Read)),
    ])
}

fn password() -> Password {
    Password { user: ClientName::new("operator").unwrap(), hash: TokenHash::of("a password") }
}

fn config(base_url: &str, authentication: Authentication) -> Config {
    Config { authentication, validation: ValidationLevel::Off, ..Config::small(base_url) }
}
